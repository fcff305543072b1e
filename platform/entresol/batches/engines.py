"""Which engine carries a run out: the least that is enough for its input, unless one is asked for by name."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from importlib.util import find_spec

from entresol.batches.cluster import on_dask
from entresol.batches.embedded import embedded
from entresol.batches.functions import in_python
from entresol.batches.plan import Engine, Rows, Running
from entresol.batches.spark import on_spark
from entresol.config import Settings
from entresol.errors import FailedPreconditionError, InvalidArgumentError

AUTO = "auto"


async def push_down(running: Running) -> AsyncGenerator[Rows]:
    """Give the result of one statement, done by the server that has the rows."""
    assert running.plan.pushed_down is not None, "functions are not pushed down"
    running.report(0, "counting")
    running.input_rows = await running.analytics.count(running.plan.count)
    running.report(30, "computing")
    async for rows in running.analytics.rows(running.plan.pushed_down):
        yield rows


ENGINES: Mapping[str, Engine] = {
    "sql": push_down,
    "duckdb": embedded,
    "python": in_python,
    "dask": on_dask,
    "spark": on_spark,
}
# What lacks where there is no cluster of an engine. Where there are several, `auto` takes the first.
CLUSTERS: Mapping[str, str] = {
    "dask": "set ENTRESOL_BATCHES_DASK to its scheduler's address",
    "spark": "set ENTRESOL_BATCHES_SPARK to the address of its Spark Connect server",
}


def able(is_text: bool) -> tuple[str, ...]:
    """Return the engines that can do SQL texts, or functions."""
    return ("sql", "duckdb", *CLUSTERS) if is_text else ("python", *CLUSTERS)


def cluster_of(engine: str, settings: Settings) -> str:
    """Return the address of the engine's cluster; "" where it needs none, or there is none."""
    return {"dask": settings.batches_dask, "spark": settings.batches_spark}.get(engine, "")


def engine_for(wanted: str, *, is_text: bool, rows: int, settings: Settings) -> str:
    """Return the engine for an input of about so many rows.

    Raises:
        InvalidArgumentError: there is none of this name, or it cannot do such a map and reduce.
        FailedPreconditionError: a cluster is asked for and none is set.
    """
    if wanted == AUTO:
        there = [name for name in CLUSTERS if cluster_of(name, settings)]
        if there and rows > settings.batches_duckdb_rows_max:
            return there[0]
        if not is_text:
            return "python"
        return "duckdb" if rows > settings.batches_sql_rows_max and find_spec("duckdb") else "sql"
    if wanted not in able(is_text):
        what = "SQL texts run" if is_text else "functions cannot be pushed down: they run"
        raise InvalidArgumentError.of(
            "engine", f"is {wanted!r}; {what} on {', '.join(able(is_text))} or {AUTO}"
        )
    if wanted in CLUSTERS and not cluster_of(wanted, settings):
        raise FailedPreconditionError(f"there is no cluster: {CLUSTERS[wanted]}")
    return wanted
