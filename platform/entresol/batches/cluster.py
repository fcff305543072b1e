"""Dask: parts are read and mapped by processes of other machines, which have this package and reach the database.

Its scheduler keeps everything in memory: when it dies the run fails, and the queue makes another attempt. Workers that
die are made up for by Dask: what they had made is made again, of the same moment.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from entresol.batches.functions import BUCKETS, Pair
from entresol.batches.plan import Plan, Rows, Running
from entresol.batches.remote import map_rows, map_tables, portable, reduce_pile, reduce_tables
from entresol.errors import UnavailableError
from entresol.storage.arrow import Table, required

CONNECT_S = 10.0
PILES = 8
_RETRY_S = 2.0


async def on_dask(running: Running) -> AsyncGenerator[Rows]:
    """Give the result of SQL texts, or of functions."""
    distributed = required("distributed", "dask")
    plan = portable(running.plan)
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
                yield await submit(reduce_parts, plan, mapped)
                return
            reduced = [
                submit(reduce_pile, plan, [submit(pile_of, part, number) for part in mapped])
                for number in range(PILES)
            ]
            while reduced:
                yield await reduced.pop(0)


def reduce_parts(plan: Plan, mapped: Sequence[tuple[int, Table]]) -> Rows:
    """Return the result of all parts."""
    return [row for rows in reduce_tables(plan, [table for _, table in mapped]) for row in rows]


def rows_of(part: tuple[int, Any]) -> int:
    """Return how many rows a part has."""
    return part[0]


def pile_of(part: tuple[int, dict[int, list[Pair]]], number: int) -> list[Pair]:
    """Return the pairs of one pile: every so many buckets, for each task costs its time."""
    return [pair for bucket in range(number, BUCKETS, PILES) for pair in part[1].get(bucket, [])]


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
