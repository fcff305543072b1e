"""Dask: parts are read and mapped by processes of other machines, which have this package and reach the database.

Its scheduler keeps everything in memory: when it dies the run fails, and the queue makes another attempt. Workers that
die are made up for by Dask: what they had made is made again, of the same moment.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from entresol.batches.embedded import database, iter_rows, map_table
from entresol.batches.functions import BUCKETS, Pair, pairs_of, reduce_pairs
from entresol.batches.plan import Plan, Rows, Running
from entresol.errors import UnavailableError
from entresol.storage.arrow import Table, read, required

CONNECT_S = 10.0
PILES = 8
_RETRY_S = 2.0


async def on_dask(running: Running) -> AsyncGenerator[Rows]:
    """Give the result of SQL texts, or of functions."""
    distributed = required("distributed", "dask")
    plan = _portable(running.plan)
    is_text = plan.pushed_down is not None
    with _translated(distributed):
        async with distributed.Client(
            running.cluster, asynchronous=True, timeout=CONNECT_S, set_as_default=False
        ) as client:

            def submit(function: Any, *arguments: Any) -> Any:
                return client.submit(function, *arguments, pure=False)

            mapped = [submit(map_tables if is_text else map_rows, plan, text) for text in plan.reads]
            done = 0
            async for _ in distributed.as_completed(mapped, loop=client.loop):
                done += 1
                running.read(done, 0)
            for rows in [submit(rows_of, part) for part in mapped]:
                running.input_rows += await rows
            running.report(90, "reducing")
            if is_text:
                yield await submit(reduce_tables, plan, mapped)
                return
            reduced = [
                submit(reduce_pile, plan, [submit(pile_of, part, number) for part in mapped])
                for number in range(PILES)
            ]
            while reduced:
                yield await reduced.pop(0)


def map_tables(plan: Plan, text: str) -> tuple[int, Table]:
    """Return how many rows a part of the input has, and what comes of them."""
    arrow = required("pyarrow", "dask")
    rows, made = 0, []
    with _database(plan) as connection:
        for table in read(plan.moment, text):
            rows += table.num_rows
            made.append(map_table(connection, plan.map, table))
    return rows, arrow.concat_tables(made)


def reduce_tables(plan: Plan, mapped: Sequence[tuple[int, Table]]) -> Rows:
    """Return the result of all that was mapped."""
    arrow = required("pyarrow", "dask")
    with _database(plan) as connection:
        connection.register("mapped", arrow.concat_tables([table for _, table in mapped]))
        return [row for rows in iter_rows(connection, plan.reduce) for row in rows]


def map_rows(plan: Plan, text: str) -> tuple[int, dict[int, list[Pair]]]:
    """Return how many rows a part of the input has, and the pairs that come of them, by bucket."""
    own = _usable(plan)
    rows, made = 0, dict[int, list[Pair]]()
    for table in read(plan.moment, text):
        rows += table.num_rows
        for bucket, pair in pairs_of(table, own.map):
            made.setdefault(bucket, []).append(pair)
    return rows, made


def rows_of(part: tuple[int, Any]) -> int:
    """Return how many rows a part has."""
    return part[0]


def pile_of(part: tuple[int, dict[int, list[Pair]]], number: int) -> list[Pair]:
    """Return the pairs of one pile: every so many buckets, for each task costs its time."""
    return [pair for bucket in range(number, BUCKETS, PILES) for pair in part[1].get(bucket, [])]


def reduce_pile(plan: Plan, pairs: Sequence[list[Pair]]) -> Rows:
    """Return the result of the keys of one pile."""
    return reduce_pairs(_usable(plan), [pair for some in pairs for pair in some])


@contextmanager
def _database(plan: Plan) -> Iterator[Any]:
    with (
        tempfile.TemporaryDirectory(prefix="entresol-batch-", dir=plan.spill) as folder,
        database(folder, plan.memory_bytes, file=False) as connection,
    ):
        yield connection


def _portable(plan: Plan) -> Plan:
    """Return the plan with its functions as bytes: workers have no module of the application's."""
    if plan.pushed_down is not None:
        return plan
    pickle = required("cloudpickle", "dask")
    for function in (plan.map, plan.reduce):
        module = sys.modules.get(function.__module__)
        if module is not None and module.__name__ not in pickle.list_registry_pickle_by_value():
            pickle.register_pickle_by_value(module)
    return replace(plan, map=pickle.dumps(plan.map), reduce=pickle.dumps(plan.reduce))


def _usable(plan: Plan) -> Plan:
    pickle = required("cloudpickle", "dask")
    return replace(plan, map=pickle.loads(plan.map), reduce=pickle.loads(plan.reduce))


@contextmanager
def _translated(distributed: Any) -> Iterator[None]:
    """Turn the loss of the scheduler, or of too many workers, into an error after which another attempt is made."""
    lost = (
        distributed.client.FutureCancelledError,
        distributed.scheduler.KilledWorker,
        distributed.comm.CommClosedError,
        OSError,
    )
    try:
        yield
    except lost as error:
        text = f"the cluster failed: {type(error).__name__}: {error}"
        raise UnavailableError(text, retry_after_s=_RETRY_S) from error
