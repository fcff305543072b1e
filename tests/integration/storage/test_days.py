"""The days of events: which partition holds what, what moves, what is dropped, and that a table becomes one of days."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from entresol.clock import Identifiers, time_of_id
from entresol.codegen.protos import compile_protos
from entresol.config import Settings
from entresol.errors import InvalidArgumentError
from entresol.schema.load import load
from entresol.schema.model import Model, Resource
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_catalog
from entresol.storage.migrate import migrate
from entresol.storage.plan import Plan, plan
from entresol.storage.pools import Pools
from entresol.storage.rows import RowCodec
from entresol.storage.sql import TableSql
from entresol.storage.store import Store
from entresol.testing.clock import ManualClock
from entresol.testing.servers import Database, Databases, Migrate

ROOT = Path(__file__).resolve().parents[3]
SYSTEM = ROOT / "migrations" / "system"
STORIES = ROOT / "migrations" / "stories"
STORY = """
INSERT INTO users (name) VALUES ('users/ann');
INSERT INTO stories (name, author) VALUES ('stories/a', 'users/ann');
"""
DAYS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'clicks'::regclass ORDER BY 1"


@pytest.fixture(scope="module")
def stories() -> Model:
    return load(compile_protos(ROOT / "protos"))


@pytest.fixture(scope="session")
def migrate_database() -> Migrate:
    """Give what applies the committed migrations."""

    async def apply(url: str) -> None:
        await migrate(url, [SYSTEM, STORIES])

    return apply


@pytest.fixture
def store(pools: Pools, stories: Model) -> Store:
    return Store(pools, stories)


@pytest.fixture
def clicks(stories: Model) -> Resource:
    return stories.resources["stories.entresol.dev/Click"]


def click_at(clicks: Resource, time: datetime) -> Any:
    """Return a click that a server would name at this time."""
    clock = ManualClock(time.timestamp())
    return clicks.message_class(name=f"stories/a/clicks/{Identifiers(clock).resource_id()}", referrer="page")


async def lines(database: Database, sql: str) -> list[str]:
    return (await database.psql(sql)).split()


def midnight(days: int = 0) -> datetime:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=days)


def part(day: datetime) -> str:
    return f"clicks_{day:%Y%m%d}"


async def test_an_event_lies_in_the_day_that_its_name_tells(
    database: Database, store: Store, clicks: Resource
) -> None:
    await database.psql(STORY)
    last = click_at(clicks, midnight(1) - timedelta(milliseconds=1))
    first = click_at(clicks, midnight(1))
    done = await store.ingest(clicks, [last, first])
    assert done is not None
    assert await lines(database, f"SELECT name FROM {part(midnight())}") == [last.name]
    assert await lines(database, f"SELECT name FROM {part(midnight(1))}") == [first.name]
    read = await store.get(clicks, [first.name, last.name], primary=True)
    assert read.rows == {row.name: row for row in done.rows}


async def test_a_get_looks_at_one_day(database: Database, pools: Pools, clicks: Resource) -> None:
    name = click_at(clicks, midnight(1)).name
    table = TableSql(RowCodec(clicks))
    for statement in (table.read_by_names([name]), table.select_by_names([name])):
        for mode in ("force_generic_plan", "force_custom_plan"):
            async with pools.write() as connection:
                await connection.execute(f"SET plan_cache_mode = {mode}")
                text = await connection.fetchval(
                    f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}", *statement.parameters
                )
                await connection.execute("RESET plan_cache_mode")
            looked = {
                node["Relation Name"]
                for node in _walk(json.loads(text)[0]["Plan"])
                if "Relation Name" in node
            }
            assert looked == {part(midnight(1))}


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _walk(below)


async def test_without_its_day_an_event_waits_in_the_default_partition(
    database: Database, store: Store, clicks: Resource
) -> None:
    await database.psql(STORY)
    await database.psql(f"DROP TABLE {part(midnight())}")
    click = click_at(clicks, midnight() + timedelta(seconds=1))
    done = await store.ingest(clicks, [click])
    assert done is not None
    assert await lines(database, "SELECT name FROM clicks_other") == [click.name]
    await database.psql("SELECT entresol.make_days('clicks')")
    assert await lines(database, "SELECT name FROM clicks_other") == []
    assert await lines(database, f"SELECT name FROM {part(midnight())}") == [click.name]
    assert (await store.get(clicks, [click.name], primary=True)).rows == {click.name: done.rows[0]}


async def test_a_day_that_is_over_is_dropped_whole(
    database: Database, store: Store, clicks: Resource
) -> None:
    await database.psql(STORY)
    old, kept = (click_at(clicks, midnight(days) + timedelta(hours=5)) for days in (-31, -30))
    await store.ingest(clicks, [old, kept])
    await database.psql("SELECT entresol.make_days('clicks')")
    assert {part(midnight(-31)), part(midnight(-30))} <= set(await lines(database, DAYS))
    await database.psql("SELECT entresol.drop_days('clicks', 30)")
    assert part(midnight(-31)) not in await lines(database, DAYS)
    assert set((await store.get(clicks, [old.name, kept.name], primary=True)).rows) == {kept.name}
    await database.psql("SELECT entresol.drop_days('clicks', 30)")
    assert await lines(database, DAYS) == [
        *map(part, (midnight(-30), midnight(), midnight(1), midnight(2))),
        "clicks_other",
    ]


async def test_the_server_and_the_database_read_the_same_time_in_an_id(database: Database) -> None:
    for time in (
        datetime(1970, 1, 1, tzinfo=UTC),
        midnight(),
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ):
        made = Identifiers(ManualClock(time.timestamp())).resource_id()
        assert time_of_id(made) == time
        asked = f"SELECT entresol.time_of_name('stories/a/clicks/{made}') = '{time.isoformat()}'"
        assert await lines(database, asked) == ["t"]
    for other in ("42", "r" + "z" * 25, "r" + "0" * 24, "r0" + "u" * 24):
        assert time_of_id(other) is None
        asked = f"SELECT entresol.time_of_name('stories/a/clicks/{other}') IS NULL"
        assert await lines(database, asked) == ["t"]


async def test_an_event_whose_name_tells_no_day_is_refused(store: Store, clicks: Resource) -> None:
    click = clicks.message_class(name="stories/a/clicks/42")
    with pytest.raises(InvalidArgumentError, match="name"):
        await store.ingest(clicks, [click])
    with pytest.raises(InvalidArgumentError, match="name"):
        async with store.transaction() as transaction:
            await transaction.load(clicks, [click])


async def test_partitions_are_no_difference_and_nobody_is_told_of_them(
    database: Database, stories: Model
) -> None:
    async with connect_primary(database.write_url) as connection:
        catalog = await read_catalog(connection)
    assert plan(stories, catalog) == Plan()
    assert [name for name in catalog.tables if name.startswith("public.clicks")] == ["public.clicks"]
    assert (
        await lines(database, "SELECT tablename FROM pg_publication_tables WHERE tablename ~ 'click'") == []
    )


async def test_a_table_that_is_in_use_becomes_one_of_days_with_all_its_rows(
    databases: Databases, tmp_path: Path, stories: Model, clicks: Resource
) -> None:
    before = tmp_path / "stories"
    before.mkdir()
    for file in sorted(STORIES.glob("000[1-3]_*.sql")):
        shutil.copy(file, before)

    async def old(url: str) -> None:
        await migrate(url, [SYSTEM, before])

    made = [click_at(clicks, midnight(days) + timedelta(hours=1)).name for days in (0, -3, -40)]
    rows = ", ".join(f"('{name}', 'stories/a', 'page', now())" for name in (*made, "stories/a/clicks/chosen"))
    database = await databases.create(old, replicated=False)
    try:
        await database.psql(STORY)
        await database.psql(f"INSERT INTO clicks (name, parent, referrer, create_time) VALUES {rows}")
        async with connect_primary(database.write_url) as connection:
            (refusal,) = plan(stories, await read_catalog(connection)).refused
        assert refusal.element == "public.clicks"
        assert "PARTITION BY RANGE (create_time)" in str(refusal)
        for file in STORIES.glob("000[4-9]_*.sql"):
            shutil.copy(file, before)
        await migrate(database.write_url, [SYSTEM, before])
        async with connect_primary(database.write_url) as connection:
            catalog = await read_catalog(connection)
        assert plan(stories, catalog) == Plan()
        assert await lines(database, "SELECT count(*) FROM clicks WHERE referrer = 'page'") == ["4"]
        assert await lines(database, "SELECT count(*) FROM clicks_other") == ["0"]
        for name, days in zip(made, (0, -3, -40), strict=True):
            assert name in await lines(database, f"SELECT name FROM {part(midnight(days))}")
        assert await _found(database, stories, clicks, [*made, "stories/a/clicks/chosen"]) == 4
    finally:
        await databases.drop(database)


async def _found(database: Database, stories: Model, clicks: Resource, names: list[str]) -> int:
    pools = await Pools.open(Settings(database_write=database.write_url))
    try:
        return len((await Store(pools, stories).get(clicks, names, primary=True)).rows)
    finally:
        await pools.close()
