"""The least engine that is enough, or the one that is asked for, if it can."""

from __future__ import annotations

import dataclasses

import pytest

from entresol.batches.engines import engine_for
from entresol.config import Settings
from entresol.errors import EntresolError

ALONE = Settings(batches_sql_rows_max=100, batches_duckdb_rows_max=1000)
CLUSTER = Settings(batches_sql_rows_max=100, batches_duckdb_rows_max=1000, batches_dask="tcp://there:1")
SPARK = dataclasses.replace(ALONE, batches_spark="sc://there:1")
BOTH = dataclasses.replace(CLUSTER, batches_spark="sc://there:1")


@pytest.mark.parametrize(
    ("settings", "is_text", "rows", "engine"),
    [
        (ALONE, True, 100, "sql"),
        (ALONE, True, 101, "duckdb"),
        (ALONE, True, 10**9, "duckdb"),
        (CLUSTER, True, 1000, "duckdb"),
        (CLUSTER, True, 1001, "dask"),
        (ALONE, False, 10**9, "python"),
        (CLUSTER, False, 1001, "dask"),
        (SPARK, True, 1000, "duckdb"),
        (SPARK, True, 1001, "spark"),
        (SPARK, False, 1001, "spark"),
        (BOTH, True, 1001, "dask"),
    ],
)
def test_the_size_chooses(settings: Settings, is_text: bool, rows: int, engine: str) -> None:
    assert engine_for("auto", is_text=is_text, rows=rows, settings=settings) == engine


@pytest.mark.parametrize(
    ("is_text", "engine"),
    [(True, "sql"), (True, "duckdb"), (True, "dask"), (True, "spark"), (False, "python"), (False, "spark")],
)
def test_a_name_chooses_whatever_the_size(is_text: bool, engine: str) -> None:
    for rows in (1, 10**9):
        assert engine_for(engine, is_text=is_text, rows=rows, settings=BOTH) == engine


@pytest.mark.parametrize(
    ("is_text", "engine", "says"),
    [
        (False, "sql", "functions cannot be pushed down: they run on python, dask, spark or auto"),
        (False, "duckdb", "functions cannot be pushed down"),
        (True, "python", "SQL texts run on sql, duckdb, dask, spark or auto"),
        (True, "hadoop", "SQL texts run on"),
        (True, "dask", "set ENTRESOL_BATCHES_DASK"),
        (False, "spark", "set ENTRESOL_BATCHES_SPARK"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(is_text: bool, engine: str, says: str) -> None:
    with pytest.raises(EntresolError, match=says):
        engine_for(engine, is_text=is_text, rows=1, settings=ALONE)
