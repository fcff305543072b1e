"""The hot statements use the indexes that the model asks for, with a planner that knows real numbers of rows."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from entresol.schema.filters import parse
from entresol.schema.model import Model
from entresol.schema.orders import parse_order
from entresol.storage.pools import Pools
from entresol.storage.rows import RowCodec
from entresol.storage.selection import Selection
from entresol.storage.sql import Statement, TableSql
from entresol.storage.sql_page import ListQuery, select_page
from entresol.testing.servers import Database

ROWS = """
INSERT INTO zoos (name) SELECT 'zoos/' || n FROM generate_series(1, 9) n;
INSERT INTO cages (name, parent) SELECT 'zoos/' || z || '/cages/' || c, 'zoos/' || z
    FROM generate_series(1, 9) z, generate_series(1, 500) c;
INSERT INTO exotic.specimens (name, int32_field, time_field, diet, optional_string)
    SELECT 'specimens/' || n, n % 1000, CASE WHEN n % 3 > 0 THEN to_timestamp(n) END, n % 50, n::text
    FROM generate_series(1, 6000) n;
ANALYZE;
"""


@pytest.fixture
async def filled(database: Database, pools: Pools) -> AsyncIterator[Pools]:
    await database.psql(ROWS)
    return pools


async def nodes(pools: Pools, statement: Statement) -> list[dict[str, Any]]:
    """Return the nodes of the plan that a prepared statement settles on, its parameters unknown."""
    async with pools.write() as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.text}", *statement.parameters)
        await connection.execute("RESET plan_cache_mode")
    return list(_walk(json.loads(text)[0]["Plan"]))


async def known(pools: Pools, statement: Statement) -> list[dict[str, Any]]:
    """Return the nodes of the plan for these very parameters, which is what a page is run with."""
    async with pools.write() as connection:
        text = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.text}", *statement.parameters)
    return list(_walk(json.loads(text)[0]["Plan"]))


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", []):
        yield from _walk(below)


def used(plan: list[dict[str, Any]]) -> tuple[set[str], set[str]]:
    """Return the indexes used, and how rows were read or sorted otherwise."""
    indexes = {node["Index Name"] for node in plan if "Index Name" in node}
    others = {node["Node Type"] for node in plan} & {"Seq Scan", "Sort"}
    return indexes, others


async def test_rows_by_name_come_from_an_index_that_begins_with_it(filled: Pools, zoo: Model) -> None:
    table = TableSql(RowCodec(zoo.resources["zoo.example.com/Specimen"]))
    for statement in (
        table.select_by_names(["specimens/1", "specimens/2"]),
        table.lock("specimens/1"),
        table.delete("specimens/1", None),
    ):
        indexes, others = used(await nodes(filled, statement))
        # Both begin with the name, and cost the planner the same.
        assert indexes <= {"specimens_pkey", "specimens_row_version_key"}
        assert indexes
        assert others == set()


async def test_a_read_by_few_names_is_planned_once(filled: Pools, zoo: Model) -> None:
    table = TableSql(RowCodec(zoo.resources["zoo.example.com/Specimen"]))
    statement = table.read_by_names(["specimens/1", "specimens/2", "specimens/3"])
    async with filled.write() as connection:
        for _ in range(20):
            assert len(await connection.fetch(statement.text, *statement.parameters)) == 3
        plans = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
        (record,) = await connection.fetch(plans, statement.text)
    assert tuple(record) == (15, 5)  # PostgreSQL's first five are for comparison


async def test_a_batch_of_a_deletion_goes_on_in_the_primary_key(filled: Pools, zoo: Model) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    table = TableSql(RowCodec(resource))
    statement = Selection.of(resource, "int32_field > 500").take(table, "specimens/5", 50)
    assert used(await known(filled, statement)) == ({"specimens_pkey"}, set())


PAGES: list[tuple[str, tuple[object, ...], str]] = [
    ("", ("specimens/5",), "specimens_pkey"),
    ("int32_field desc", (500, "specimens/5"), "specimens_int32_field_idx"),
    ("int32_field", (500, "specimens/5"), "specimens_int32_field_idx"),
    ("time_field desc", (None, "specimens/5"), "specimens_time_field_idx"),
    ("diet, optional_string desc", (3, "x", "specimens/5"), "specimens_diet_optional_string_idx"),
]


async def test_a_page_starts_in_an_index_and_never_sorts_the_table(filled: Pools, zoo: Model) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    table = TableSql(RowCodec(resource))
    for order, values, index in PAGES:
        for after in (None, values):
            query = ListQuery(order=parse_order(order, resource), after=after, limit=50)
            assert used(await known(filled, select_page(table, query))) == ({index}, set())


async def test_the_leading_bound_and_a_filters_equality_are_what_an_index_scan_starts_from(
    filled: Pools, zoo: Model
) -> None:
    resource = zoo.resources["zoo.example.com/Specimen"]
    query = ListQuery(order=parse_order("int32_field desc", resource), after=(500, "specimens/5"), limit=50)
    plan = await known(filled, select_page(TableSql(RowCodec(resource)), query))
    (scan,) = [node for node in plan if "Index Name" in node]
    assert "int32_field <= 500" in scan["Index Cond"]

    query = ListQuery(filter=parse("int32_field = 17", resource), limit=20)
    plan = await known(filled, select_page(TableSql(RowCodec(resource)), query))
    assert used(plan)[0] == {"specimens_int32_field_idx"}


async def test_a_page_of_children_comes_from_the_index_of_the_parent(filled: Pools, zoo: Model) -> None:
    resource = zoo.resources["zoo.example.com/Cage"]
    query = ListQuery(parent="zoos/7", after=("zoos/7/cages/2",), limit=20)
    statement = select_page(TableSql(RowCodec(resource)), query)
    assert used(await known(filled, statement)) == ({"cages_parent_name_idx"}, set())
