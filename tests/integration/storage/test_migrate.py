"""Migrations on a real, empty database: whole or not at all, once, beside other runners and other sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.unit.storage.shop import shop

from entresol.codegen.protos import compile_protos
from entresol.errors import MigrationError, UnavailableError
from entresol.schema.load import load
from entresol.schema.model import Model
from entresol.storage import migrate as migrate_module
from entresol.storage.catalog import read_catalog
from entresol.storage.check import Lacks, check_schema
from entresol.storage.migrate import Applied, migrate, status
from entresol.storage.plan import NO_TRANSACTION, Plan, plan, write_files
from entresol.testing.plugin import run
from entresol.testing.servers import Database, Databases

ROOT = Path(__file__).resolve().parents[3]
SYSTEM = ROOT / "migrations" / "system"
STORIES = ROOT / "migrations" / "stories"


async def nothing(url: str) -> None:
    """Leave the database empty."""


@pytest.fixture
def url(databases: Databases) -> Iterator[str]:
    made = run(databases.create(nothing, replicated=False))
    yield made.write_url
    run(databases.drop(made))


@pytest.fixture
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, timeout=5)
    yield connection
    connection.terminate()


@pytest.fixture(scope="module")
def stories() -> Model:
    return load(compile_protos(ROOT / "protos"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "changes"
    path.mkdir()
    return path


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


async def planned(connection: asyncpg.Connection, model: Model) -> Plan:
    return plan(model, await read_catalog(connection))


async def test_an_empty_database_gets_everything_once(
    url: str, connection: asyncpg.Connection, stories: Model
) -> None:
    assert "table public.stories is missing" in (await check_schema(url, stories)).missing
    applied = await migrate(url, [SYSTEM, STORIES])
    names = [
        (folder.name, path.name) for folder in (SYSTEM, STORIES) for path in sorted(folder.glob("*.sql"))
    ]
    assert [(item.folder, item.name) for item in applied] == names
    assert names[0] == ("system", "0001_platform.sql")
    assert await check_schema(connection, stories) == Lacks()
    assert await planned(connection, stories) == Plan()
    assert await migrate(url, [SYSTEM, STORIES]) == []


async def test_every_write_of_a_row_gets_a_higher_version(url: str, connection: asyncpg.Connection) -> None:
    await migrate(url, [SYSTEM, STORIES])
    first = await connection.fetchval("INSERT INTO users (name) VALUES ('users/ann') RETURNING row_version")
    second = await connection.fetchval("UPDATE users SET about = 'x', row_version = 0 RETURNING row_version")
    assert 0 < first < second


async def test_a_migration_that_was_changed_is_named_and_nothing_is_applied(url: str, folder: Path) -> None:
    first = write(folder, "0001_one.sql", "CREATE TABLE one ();")
    await migrate(url, [folder])
    first.write_text("CREATE TABLE one (a int);")
    write(folder, "0002_two.sql", "CREATE TABLE two ();")
    with pytest.raises(
        MigrationError, match=r"changes/0001_one\.sql was changed after it was applied on 2\d{3}-"
    ):
        await migrate(url, [folder])
    assert [(item.name, item.state) for item in await status(url, [folder])] == [
        ("0001_one.sql", "changed"),
        ("0002_two.sql", "pending"),
    ]


async def test_line_endings_are_no_change(url: str, folder: Path) -> None:
    first = write(folder, "0001_one.sql", "CREATE TABLE one\n();\n")
    await migrate(url, [folder])
    first.write_bytes(b"CREATE TABLE one\r\n();\r\n")
    assert await migrate(url, [folder]) == []


async def test_a_migration_that_fails_leaves_nothing_and_names_its_line(
    url: str, folder: Path, connection: asyncpg.Connection
) -> None:
    write(folder, "0001_one.sql", "CREATE TABLE one ();")
    write(folder, "0002_two.sql", "CREATE TABLE two ();\n\nALTER TABLE two\n  ADD COLUMN a nonsense;")
    with pytest.raises(
        MigrationError, match=r'changes/0002_two\.sql:4: type "nonsense" does not exist \[42704\]'
    ):
        await migrate(url, [folder])
    assert await connection.fetchval("SELECT to_regclass('one') IS NOT NULL AND to_regclass('two') IS NULL")
    assert [item.state for item in await status(url, [folder])] == ["applied", "pending"]


async def test_two_runners_at_once_apply_each_file_once(url: str) -> None:
    both = await asyncio.gather(migrate(url, [SYSTEM, STORIES]), migrate(url, [SYSTEM, STORIES]))
    assert min(len(applied) for applied in both) == 0
    assert sum(len(applied) for applied in both) == len([*SYSTEM.glob("*.sql"), *STORIES.glob("*.sql")])


async def test_a_runner_gives_up_on_one_that_does_not_end(url: str, connection: asyncpg.Connection) -> None:
    await connection.execute("SELECT pg_advisory_lock($1)", migrate_module._ADVISORY_LOCK)
    with pytest.raises(UnavailableError, match="another process has been migrating"):
        await migrate(url, [SYSTEM], runner_wait_s=0)


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    url: str, connection: asyncpg.Connection
) -> None:
    assert (await migrate(url, [SYSTEM], dry_run=True))[0] == Applied("system", "0001_platform.sql")
    assert await connection.fetchval("SELECT to_regnamespace('entresol')") is None


async def test_migrations_of_a_newer_release_are_left_alone(url: str, folder: Path) -> None:
    newer = write(folder, "0002_newer.sql", "CREATE TABLE newer ();")
    write(folder, "0001_one.sql", "CREATE TABLE one ();")
    await migrate(url, [folder])
    newer.unlink()
    assert await migrate(url, [folder]) == []
    assert [(item.name, item.state) for item in await status(url, [folder])] == [
        ("0001_one.sql", "applied"),
        ("0002_newer.sql", "unknown"),
    ]


async def test_an_index_that_an_interrupted_run_left_invalid_is_built_again(
    url: str, folder: Path, connection: asyncpg.Connection
) -> None:
    await connection.execute("CREATE SCHEMA s; CREATE TABLE s.one (a int); INSERT INTO s.one VALUES (1), (1)")
    index = "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS u ON s.one (a);"
    write(folder, "0001_unique.sql", f"{NO_TRANSACTION}\nSET lock_timeout = '60s';\n-- twice\n{index}")
    with pytest.raises(MigrationError, match=r"changes/0001_unique\.sql:4: could not create unique index"):
        await migrate(url, [folder])
    assert (
        await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 's.u'::regclass")
        is False
    )
    await connection.execute("DELETE FROM s.one")
    await migrate(url, [folder])
    assert (
        await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 's.u'::regclass")
        is True
    )


async def test_a_lock_in_the_way_is_not_waited_for_but_tried_again(
    url: str, folder: Path, connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrate_module, "PAUSE_FIRST_S", 0.01)
    await connection.execute("CREATE TABLE one ()")
    write(folder, "0001_one.sql", "SET LOCAL lock_timeout = '10ms';\nALTER TABLE one ADD COLUMN a int;")
    await connection.execute("BEGIN; LOCK TABLE one")
    with pytest.raises(
        UnavailableError, match=r"0001_one\.sql: .*lock timeout, 2 times; end the long transactions"
    ):
        await migrate(url, [folder], attempts_max=2)
    running = asyncio.create_task(migrate(url, [folder], attempts_max=1000))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'one'::regclass"
    while not await connection.fetchval(waiting):
        assert not running.done()
    await connection.execute("ROLLBACK")
    assert [item.name for item in await running] == ["0001_one.sql"]


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "0001_a.sql",
            "SELECT 1;\n-- note\nCOMMIT;",
            r"0001_a\.sql:3: the file runs in one transaction; remove COMMIT",
        ),
        ("1_a.sql", "", r"1_a\.sql: name it NNNN_title\.sql"),
        ("0001_A.sql", "", "name it NNNN_title"),
        ("0000_b.sql", "", "has the number of 0000_a.sql"),
    ],
)
async def test_a_file_that_cannot_be_run_is_refused_before_anything_is_applied(
    url: str, folder: Path, name: str, text: str, problem: str
) -> None:
    write(folder, "0000_a.sql", "CREATE TABLE a ();")
    write(folder, name, text)
    with pytest.raises(MigrationError, match=problem):
        await migrate(url, [folder])
    (folder / name).unlink()
    assert [item.state for item in await status(url, [folder])] == ["pending"]


async def test_folders_must_exist_and_differ_in_name(url: str, folder: Path) -> None:
    with pytest.raises(MigrationError, match="is not a folder"):
        await migrate(url, [folder / "nowhere"])
    with pytest.raises(MigrationError, match="two folders of migrations are named changes"):
        await migrate(url, [folder, folder])


async def test_a_model_that_grew_is_planned_and_applied_beside_its_rows(
    url: str, folder: Path, connection: asyncpg.Connection
) -> None:
    write_files(await planned(connection, shop()), folder, "shop")
    await migrate(url, [SYSTEM, folder])
    assert await planned(connection, shop()) == Plan()
    await connection.execute("INSERT INTO shop.products (name, sku) VALUES ('products/1', 'x')")
    grown = shop(
        ("    // As a formula.", "    // For nothing.\n    bool free = 8;\n    // As a formula."),
        ("  int32 order = 6", "  repeated string tags = 9;\n  // Where it stands.\n  int32 order = 6"),
        ('        fields: ["sku"]', '        fields: ["order desc"]\n      }, {\n        fields: ["sku"]'),
    )
    before = await check_schema(connection, grown)
    assert before.missing == (
        "column shop.products.free is missing",
        "column shop.products.tags is missing",
        'index products_order_idx on shop.products ("order" DESC, name) is missing or invalid',
    )
    paths = write_files(await planned(connection, grown), folder, "shop grows")
    assert [path.name for path in paths] == ["0002_shop_grows.sql", "0003_shop_grows_concurrently.sql"]
    await migrate(url, [SYSTEM, folder])
    assert await check_schema(connection, grown) == Lacks()
    assert await planned(connection, grown) == Plan()
    assert await check_schema(connection, shop()) == Lacks(), "the release before must still start"
    assert await connection.fetchval("SELECT tags FROM shop.products") == []


async def test_a_server_is_told_what_its_database_lacks_and_not_what_it_has_beside(
    url: str, connection: asyncpg.Connection, stories: Model
) -> None:
    await migrate(url, [SYSTEM, STORIES])
    await connection.execute("ALTER TABLE users ADD COLUMN more text; CREATE TABLE beside ()")
    await connection.execute("CREATE INDEX more ON users (about)")
    assert await check_schema(connection, stories) == Lacks()
    await connection.execute("ALTER TABLE users DISABLE TRIGGER stamp_row_version")
    await connection.execute("ALTER TABLE users DROP COLUMN about, ALTER COLUMN karma TYPE numeric")
    await connection.execute("ALTER TABLE stories REPLICA IDENTITY DEFAULT; DROP TABLE entresol.requests")
    await connection.execute("DROP INDEX votes_voter_create_time_idx")
    lacks = await check_schema(connection, stories)
    assert sorted(lacks.missing) == [
        "column public.users.about is missing",
        "index votes_voter_create_time_idx on public.votes (voter, create_time DESC, name) is missing or invalid",
        "table public.stories has no replica identity over (name, row_version, author)",
        "table public.users has no trigger that stamps row_version",
        "the platform's own requests is missing",
    ]
    assert lacks.refused == (
        "public.users.karma: the column is numeric, the model wants bigint; changing a type rewrites the table",
    )


async def test_a_pooled_connection_will_do(database: Database, stories: Model) -> None:
    pool = await asyncpg.create_pool(database.write_url, min_size=1, max_size=1)
    async with pool.acquire() as connection:
        assert "table public.stories is missing" in (await check_schema(connection, stories)).missing
    await pool.close()
