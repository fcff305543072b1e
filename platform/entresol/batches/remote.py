"""What a run's processes on other machines do, whoever starts them: they have this package and reach the database."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from entresol.batches.embedded import database, iter_rows, map_table
from entresol.batches.functions import Pair, pairs_of, reduce_pairs
from entresol.batches.plan import Plan, Rows
from entresol.storage.arrow import Table, read, required


def map_tables(plan: Plan, text: str) -> tuple[int, Table]:
    """Return how many rows a part of the input has, and what comes of them."""
    arrow = required("pyarrow", "batches")
    rows, made = 0, []
    with _database(plan) as connection:
        for table in read(plan.moment, text):
            rows += table.num_rows
            made.append(map_table(connection, plan.map, table))
    return rows, arrow.concat_tables(made)


def reduce_tables(plan: Plan, mapped: Iterable[Table]) -> Iterator[Rows]:
    """Give the result of all that was mapped, of which one table is in memory at once; the rest may be spilt."""
    with _database(plan, file=True) as connection:
        way = "CREATE TABLE mapped AS"
        for table in mapped:
            connection.register("made", table)
            connection.execute(f"{way} SELECT * FROM made")  # noqa: S608 - one of two constants
            connection.unregister("made")
            way = "INSERT INTO mapped"
        yield from iter_rows(connection, plan.reduce)


def map_rows(plan: Plan, text: str) -> tuple[int, dict[int, list[Pair]]]:
    """Return how many rows a part of the input has, and the pairs that come of them, by bucket."""
    own = _usable(plan)
    rows, made = 0, dict[int, list[Pair]]()
    for table in read(plan.moment, text):
        rows += table.num_rows
        for bucket, pair in pairs_of(table, own.map):
            made.setdefault(bucket, []).append(pair)
    return rows, made


def reduce_pile(plan: Plan, pairs: Iterable[Sequence[Pair]]) -> Rows:
    """Return the result of the keys of one pile."""
    return reduce_pairs(_usable(plan), [pair for some in pairs for pair in some])


def portable(plan: Plan) -> Plan:
    """Return the plan with its functions as bytes: other machines have no module of the application's."""
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
def _database(plan: Plan, *, file: bool = False) -> Iterator[Any]:
    with (
        tempfile.TemporaryDirectory(prefix="entresol-batch-", dir=plan.spill) as folder,
        database(folder, plan.memory_bytes, file=file) as connection,
    ):
        yield connection
