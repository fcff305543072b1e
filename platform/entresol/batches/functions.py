"""Map and reduce as functions of Python: pairs go to files by their key, and one file after the other is reduced."""

from __future__ import annotations

import pickle
import tempfile
import threading
import zlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from entresol.batches.definition import MapFunction, ReduceFunction
from entresol.batches.plan import Plan, Rows, Running
from entresol.batches.threads import threads
from entresol.storage.analytics import BatchTextError
from entresol.storage.arrow import Table, read

BUCKETS = 64
_PAIRS_HELD = 10_000
Pair = tuple[Any, Any]


async def in_python(running: Running) -> AsyncGenerator[Rows]:
    """Give the result of functions, of which a 64th of the keys is in memory at once."""
    plan = running.plan
    with tempfile.TemporaryDirectory(prefix="entresol-batch-", dir=plan.spill) as folder:
        buckets = [Path(folder, str(number)) for number in range(BUCKETS)]
        async with threads() as pool:
            for done, text in enumerate(plan.reads, 1):
                running.read(done, await pool.call(_map_part, plan, text, buckets, pool.stop))
            running.report(90, "reducing")
            for bucket in buckets:
                yield await pool.call(_reduce_file, plan, bucket)


def pairs_of(table: Table, map_: MapFunction) -> Iterator[tuple[int, Pair]]:
    """Give the pairs that come of a part of the input, each with its bucket."""
    for row in table.to_pylist():
        for key, value in map_(row):
            yield zlib.crc32(repr(key).encode()) % BUCKETS, (key, value)


def reduce_pairs(plan: Plan, pairs: Iterable[Pair]) -> list[tuple[object, ...]]:
    """Return the rows of all keys of these pairs.

    Raises:
        BatchTextError: a row lacks a column.
    """
    reduce: ReduceFunction = plan.reduce
    values: dict[Any, list[Any]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return [_columns(reduce(key, values.pop(key)), plan.columns) for key in list(values)]


def _columns(row: Any, columns: Sequence[str]) -> tuple[object, ...]:
    try:
        return tuple([row[name] for name in columns])
    except (KeyError, TypeError) as error:
        raise BatchTextError(f"reduce returned {row!r}, which lacks one of {', '.join(columns)}") from error


def _map_part(plan: Plan, text: str, buckets: Sequence[Path], stop: threading.Event) -> int:
    rows = 0
    held: dict[int, list[Pair]] = {}
    for table in read(plan.moment, text):
        if stop.is_set():
            break
        rows += table.num_rows
        for bucket, pair in pairs_of(table, plan.map):
            pairs = held.setdefault(bucket, [])
            pairs.append(pair)
            if len(pairs) * BUCKETS >= _PAIRS_HELD:
                _append(buckets[bucket], held.pop(bucket))
    for bucket, pairs in held.items():
        _append(buckets[bucket], pairs)
    return rows


def _append(path: Path, pairs: list[Pair]) -> None:
    with path.open("ab") as file:
        pickle.dump(pairs, file)


def _reduce_file(plan: Plan, path: Path) -> Rows:
    return reduce_pairs(plan, _kept(path))


def _kept(path: Path) -> Iterator[Pair]:
    if not path.exists():
        return
    with path.open("rb") as file:
        while file.peek(1):
            yield from pickle.load(file)  # noqa: S301 - this run has written it
