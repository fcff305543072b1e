"""The stream of a real slot: in commit order, from what was acknowledged, and honest about every way it can end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
import uvloop
from tests.integration.storage.proxy import CERTIFICATE, Proxy

from entresol.embedded import CacheKind, EmbeddedServers
from entresol.errors import ConfigurationError, SlotBusyError, SlotLostError, StoreUnavailableError
from entresol.storage.changes import Keepalive, Transaction
from entresol.storage.migrate import migrate
from entresol.storage.replication import ReplicationStream, open_stream
from entresol.storage.slots import prepare, remove
from entresol.testing.plugin import run
from entresol.testing.servers import Database, Databases, Migrate

ROOT = Path(__file__).resolve().parents[3]
TABLES = ("users", "public.stories")
QUICK_S = 0.02


@pytest.fixture(scope="session")
def migrate_database() -> Migrate:
    async def apply(url: str) -> None:
        await migrate(url, [ROOT / "migrations" / "system", ROOT / "migrations" / "stories"])

    return apply


@pytest.fixture
def database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    made = run(databases.create(migrate_database, replicated=False))
    yield made
    run(databases.drop(made))


@pytest.fixture
def slot(database: Database) -> str:
    """Slots are known to the whole server: every test has its own."""
    return f"relay_{database.name}"


@pytest.fixture
def tcp_url(database: Database) -> str:
    return database.servers.primary.tcp_url(database.name)


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database.write_url, timeout=5)
    yield connection
    connection.terminate()


async def transaction(stream: ReplicationStream) -> Transaction:
    async with asyncio.timeout(10):
        async for event in stream:
            if isinstance(event, Transaction):
                return event
    raise AssertionError("the stream ended without an error")


async def past(stream: ReplicationStream, position: int) -> None:
    """Read keepalives until one has passed `position`; nothing else may come before it."""
    async with asyncio.timeout(10):
        async for event in stream:
            assert isinstance(event, Keepalive), event
            if event.wal_end >= position:
                return


def names(told: Transaction) -> list[tuple[str, str | None]]:
    return [(change.kind, (change.new or change.old or {})["name"]) for change in told.changes]


async def insert(connection: asyncpg.Connection, name: str) -> int:
    """Commit one user and return a position behind the commit."""
    await connection.execute("INSERT INTO users (name) VALUES ($1)", name)
    return int(await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))


async def test_commits_come_in_their_order_with_names_and_versions(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    async with open_stream(database.write_url, slot, slot, TABLES, status_s=QUICK_S) as stream:
        version = await connection.fetchval(
            "INSERT INTO users (name) VALUES ('users/a') RETURNING row_version"
        )
        async with connection.transaction():
            await connection.execute("UPDATE users SET about = repeat('x', 100000)")
            await connection.execute("INSERT INTO stories (name, author) VALUES ('stories/1', 'users/a')")
            xid = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
        await connection.execute("DELETE FROM stories")
        await connection.execute("TRUNCATE users CASCADE")
        one, two, three, four = [await transaction(stream) for _ in range(4)]
    assert [(change.table, change.kind, change.new) for change in one.changes] == [
        ("public.users", "insert", {"name": "users/a", "row_version": str(version)})
    ]
    assert two.xid == xid
    assert names(two) == [("update", "users/a"), ("insert", "stories/1")]
    assert two.changes[0].old == {"name": "users/a", "row_version": str(version)}
    assert names(three) == [("delete", "stories/1")]
    assert {(change.table, change.kind) for change in four.changes} == {
        ("public.users", "truncate"),
        ("public.stories", "truncate"),
    }
    positions = [position for told in (one, two, three, four) for position in (told.commit_lsn, told.end_lsn)]
    assert positions == sorted(positions)
    now_s = await connection.fetchval("SELECT extract(epoch FROM now())::float8")
    assert 0 <= now_s - one.commit_time_s < 60


async def test_what_is_rolled_back_or_of_no_interest_only_moves_the_position(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    async with open_stream(database.write_url, slot, slot, TABLES, status_s=QUICK_S) as stream:
        await connection.execute("BEGIN; INSERT INTO users (name) VALUES ('users/a'); ROLLBACK")
        await connection.execute("CREATE TABLE other (); INSERT INTO other DEFAULT VALUES")
        end = await connection.fetchval(
            "SELECT pg_logical_emit_message(true, 'test', '')::pg_lsn - '0/0'::pg_lsn"
        )
        await past(stream, int(end))


async def test_a_new_stream_tells_again_what_was_not_acknowledged(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    async with open_stream(database.write_url, slot, slot, TABLES) as stream:
        identity = stream.database
        for name in ("users/a", "users/b", "users/c"):
            await insert(connection, name)
        told = [await transaction(stream) for _ in range(3)]
        stream.acknowledge(told[0].end_lsn)
        stream.acknowledge(stream.start_lsn)  # going back is no harm
    async with open_stream(database.write_url, slot, slot, TABLES) as stream:
        assert stream.start_lsn == told[0].end_lsn
        assert stream.database == identity
        assert names(await transaction(stream)) == [("insert", "users/b")]
        assert (await transaction(stream)).end_lsn == told[2].end_lsn


async def test_one_reads_and_the_others_are_told_to_stand_by(database: Database, slot: str) -> None:
    async with open_stream(database.write_url, slot, slot, TABLES):
        with pytest.raises(SlotBusyError, match=f"replication slot {slot} is read by process"):
            async with open_stream(database.write_url, slot, slot, TABLES):
                pass
    async with open_stream(database.write_url, slot, slot, TABLES):
        pass


async def test_a_slot_that_is_gone_is_lost_and_made_anew(database: Database, slot: str) -> None:
    url = database.write_url
    assert (await prepare(url, slot, slot, TABLES)).created
    before = await prepare(url, slot, slot, TABLES)
    assert not before.created
    await database.psql(f"SELECT pg_drop_replication_slot('{slot}')")
    with pytest.raises(SlotLostError, match="does not exist"):
        async with ReplicationStream.open(url, slot, slot):
            pass
    async with open_stream(url, slot, slot, TABLES) as stream:
        assert stream.start_lsn > before.position
    await remove(url, slot, slot)
    await remove(url, slot, slot)


async def test_a_temporary_slot_tells_what_comes_and_goes_with_its_connection(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    await prepare(database.write_url, slot, slot, TABLES)
    await insert(connection, "users/before")
    temporary = f"{slot}_temporary"
    slots = f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{temporary}' AND temporary"
    async with ReplicationStream.open(database.write_url, temporary, slot, temporary=True) as stream:
        assert await connection.fetchval(slots) == 1
        await insert(connection, "users/after")
        assert names(await transaction(stream)) == [("insert", "users/after")]
    while await connection.fetchval(slots):
        pass  # the server notices the end of the connection in its own time


async def test_a_temporary_slot_needs_a_publication_and_a_free_place(database: Database, slot: str) -> None:
    with pytest.raises(ConfigurationError, match="run `entresol migrate`"):
        async with ReplicationStream.open(database.write_url, slot, "nothing", temporary=True):
            pass
    await prepare(database.write_url, slot, slot, TABLES)
    with pytest.raises(ConfigurationError, match="cannot be made"):
        async with ReplicationStream.open(database.write_url, slot, slot, temporary=True):
            pass


async def test_a_server_that_ends_the_connection_ends_the_stream(database: Database, slot: str) -> None:
    async with open_stream(database.write_url, slot, slot, TABLES) as stream:
        await past(stream, stream.start_lsn)
        await database.psql(
            f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '{slot}'"
        )
        with pytest.raises(StoreUnavailableError, match="terminating connection"):
            await transaction(stream)


async def test_a_cut_ends_the_stream(tcp_url: str, slot: str) -> None:
    async with Proxy(tcp_url) as proxy, open_stream(proxy.url(), slot, slot, TABLES) as stream:
        await past(stream, stream.start_lsn)
        proxy.cut()
        with pytest.raises(StoreUnavailableError):
            await transaction(stream)


async def test_a_network_that_stands_still_is_noticed(tcp_url: str, slot: str) -> None:
    await prepare(tcp_url, slot, slot, TABLES)
    async with (
        Proxy(tcp_url) as proxy,
        ReplicationStream.open(proxy.url(), slot, slot, status_s=QUICK_S, silence_s=0.3) as stream,
    ):
        await past(stream, stream.start_lsn)
        proxy.stand_still()
        with pytest.raises(StoreUnavailableError, match=r"was silent for 0\.3 s"):
            await transaction(stream)


async def test_a_slow_reader_is_not_taken_for_a_dead_one(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    await database.psql(f"ALTER DATABASE {database.name} SET wal_sender_timeout = '300ms'")
    async with open_stream(database.write_url, slot, slot, TABLES, status_s=QUICK_S) as stream:
        await insert(connection, "users/a")
        seen = "SELECT reply_time - backend_start > interval '1 s' FROM pg_stat_replication JOIN pg_replication_slots"
        while not await connection.fetchval(f"{seen} ON active_pid = pid WHERE slot_name = $1", slot):
            pass  # the server hears from the stream although nobody reads it
        assert names(await transaction(stream)) == [("insert", "users/a")]


async def test_only_the_columns_that_are_needed_are_sent(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    await prepare(database.write_url, slot, slot, TABLES)
    async with ReplicationStream.open(
        database.write_url, slot, slot, columns=frozenset({"name", "about", "row_version"})
    ) as stream:
        await insert(connection, "users/a")
        (change,) = (await transaction(stream)).changes
    assert set(change.new or {}) == {"name", "row_version"}


async def test_a_publication_grows_and_never_shrinks(database: Database, slot: str) -> None:
    await prepare(database.write_url, slot, slot, ["users"])
    assert (await prepare(database.write_url, slot, slot, ["stories", "votes"])).created, (
        "it missed their changes"
    )
    assert not (await prepare(database.write_url, slot, slot, ["users"])).created
    published = f"SELECT tablename FROM pg_publication_tables WHERE pubname = '{slot}' ORDER BY 1"
    assert await database.psql(published) == "stories\nusers\nvotes"


async def test_a_column_list_grows_to_cover_what_is_needed(database: Database, slot: str) -> None:
    await prepare(database.write_url, slot, slot, ["users"])
    assert (
        await prepare(database.write_url, slot, slot, ["users"], ("name", "row_version", "about"))
    ).created
    assert not (await prepare(database.write_url, slot, slot, ["users"])).created
    columns = f"SELECT attnames FROM pg_publication_tables WHERE pubname = '{slot}'"
    assert await database.psql(columns) == "{name,about,row_version}"


async def test_a_publication_does_not_grow_behind_the_back_of_a_reader(database: Database, slot: str) -> None:
    url = database.write_url
    async with open_stream(url, slot, slot, ["users"]):
        with pytest.raises(SlotBusyError):
            await prepare(url, slot, slot, ["stories"])
    assert (
        await database.psql(f"SELECT tablename FROM pg_publication_tables WHERE pubname = '{slot}'")
        == "users"
    )


async def test_migrations_publish_tables_so_that_no_slot_is_made_anew(database: Database, slot: str) -> None:
    url = database.write_url
    await prepare(url, slot, "entresol", ["users"])
    assert not (await prepare(url, slot, "entresol", ["users", "stories", "votes"])).created


async def test_a_publication_that_was_dropped_comes_back_with_a_new_slot(
    database: Database, slot: str
) -> None:
    await prepare(database.write_url, slot, slot, TABLES)
    await database.psql(f"DROP PUBLICATION {slot}; INSERT INTO users (name) VALUES ('users/a')")
    async with open_stream(database.write_url, slot, slot, TABLES, status_s=QUICK_S) as stream:
        await past(stream, stream.start_lsn)


async def test_a_publication_of_all_tables_is_left_as_it_is(database: Database, slot: str) -> None:
    await database.psql(f"CREATE PUBLICATION {slot} FOR ALL TABLES")
    await prepare(database.write_url, slot, slot, ["users"])


async def test_a_table_that_updates_would_fail_on_is_not_published(database: Database, slot: str) -> None:
    await database.psql("CREATE TABLE bare (name text)")
    with pytest.raises(ConfigurationError, match=r"public\.bare is missing or has no replica identity"):
        await prepare(database.write_url, slot, slot, ["users", "bare"])
    with pytest.raises(ConfigurationError, match=r"public\.nowhere is missing"):
        await prepare(database.write_url, slot, slot, ["nowhere"])


async def test_a_slot_of_another_kind_is_not_taken(database: Database, slot: str) -> None:
    await database.psql(f"SELECT pg_create_physical_replication_slot('{slot}')")
    with pytest.raises(ConfigurationError, match="exists for physical"):
        await prepare(database.write_url, slot, slot, TABLES)
    await database.psql(f"SELECT pg_drop_replication_slot('{slot}')")
    with pytest.raises(ConfigurationError, match="lower-case letters"):
        await prepare(database.write_url, "Not-a-slot", slot, TABLES)


async def test_a_user_that_may_not_replicate_is_told_so(database: Database, slot: str, tcp_url: str) -> None:
    await database.psql(f"CREATE ROLE {slot} LOGIN PASSWORD 'p'")
    url = tcp_url.replace(urlsplit(tcp_url).netloc.partition("@")[0], f"{slot}:p")
    try:
        with pytest.raises(ConfigurationError, match="REPLICATION"):
            await prepare(url, slot, slot, TABLES)
        with pytest.raises(ConfigurationError, match=r"REPLICATION|replication"):
            async with ReplicationStream.open(url, slot, slot):
                pass
    finally:
        await database.psql(f"DROP ROLE {slot}")


async def test_a_password_is_proven_and_a_wrong_one_is_said(slot: str, tcp_url: str) -> None:
    async with open_stream(tcp_url, slot, slot, TABLES) as stream:
        await past(stream, stream.start_lsn)
    user, _, rest = tcp_url.removeprefix("postgresql://").partition(":")
    host = rest.partition("@")[2]
    with pytest.raises(ConfigurationError, match=r"password authentication failed"):
        async with ReplicationStream.open(f"postgresql://{user}:wrong@{host}", slot, slot):
            pass
    with pytest.raises(ConfigurationError, match="asks for the password"):
        async with ReplicationStream.open(f"postgresql://{user}@{host}", slot, slot):
            pass


async def test_of_several_servers_the_one_that_accepts_writes_is_read(
    database: Database, servers: EmbeddedServers, slot: str, connection: asyncpg.Connection
) -> None:
    hosts = [servers.replicas[0], servers.primary]
    folders = ",".join(str(host.sockets) for host in hosts)
    ports = ",".join(str(host.port) for host in hosts)
    await database.settle()
    url = f"postgresql://entresol@/{database.name}?host={folders}&port={ports}"
    async with open_stream(url, slot, slot, TABLES) as stream:
        await insert(connection, "users/a")
        assert names(await transaction(stream)) == [("insert", "users/a")]
    with pytest.raises(StoreUnavailableError, match="is a replica"):
        async with ReplicationStream.open(servers.replicas[0].url(database.name), slot, slot):
            pass


def test_a_stream_that_breaks_is_unavailable_on_the_loop_that_the_relay_runs_on(
    tcp_url: str, slot: str
) -> None:
    async def follow() -> None:
        async with Proxy(tcp_url) as proxy, open_stream(proxy.url(), slot, slot, TABLES) as stream:
            proxy.cut()
            async for _ in stream:
                pass

    with ThreadPoolExecutor(1) as threads, pytest.raises(StoreUnavailableError):
        threads.submit(uvloop.run, follow()).result()


async def test_a_dead_server_behind_an_address_that_still_accepts_is_passed_over(
    tcp_url: str, slot: str, connection: asyncpg.Connection
) -> None:
    async def accept_and_break(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.close()

    async with await asyncio.start_server(accept_and_break, "127.0.0.1", 0) as balancer:
        dead_port = balancer.sockets[0].getsockname()[1]
        parts = urlsplit(tcp_url)
        user, _, host = parts.netloc.rpartition("@")
        hosts = f"{user}@127.0.0.1:{dead_port},{host}"
        url = parts._replace(netloc=hosts, query="sslmode=disable").geturl()
        async with open_stream(url, slot, slot, TABLES) as stream:
            await insert(connection, "users/a")
            assert names(await transaction(stream)) == [("insert", "users/a")]


async def test_a_server_that_is_away_is_unavailable(tcp_url: str, slot: str) -> None:
    async with Proxy(tcp_url) as proxy:
        url = proxy.url()
    with pytest.raises(StoreUnavailableError, match="no database accepts writes"):
        async with ReplicationStream.open(url, slot, slot):
            pass


@pytest.mark.parametrize(
    "query", ["sslmode=prefer", "sslmode=require", f"sslmode=verify-full&sslrootcert={CERTIFICATE}"]
)
async def test_tls_carries_the_stream(
    tcp_url: str, slot: str, query: str, connection: asyncpg.Connection
) -> None:
    await prepare(tcp_url, slot, slot, TABLES)
    async with (
        Proxy(tcp_url, tls=True) as proxy,
        ReplicationStream.open(proxy.url(query), slot, slot) as stream,
    ):
        await insert(connection, "users/a")
        assert names(await transaction(stream)) == [("insert", "users/a")]


@pytest.mark.parametrize(
    ("tls", "query", "problem"),
    [
        (False, "sslmode=require", "offers no TLS and sslmode=require demands it"),
        (True, "sslmode=verify-full", "certificate is not trusted"),
        (False, "sslmode=never", "sslmode=never of the database URL is not one of disable, "),
        (False, "sslrootcert=/nowhere&sslmode=verify-ca", "a certificate of the database URL cannot be read"),
    ],
)
async def test_tls_that_was_asked_for_is_not_done_without(
    tcp_url: str, slot: str, tls: bool, query: str, problem: str
) -> None:
    async with Proxy(tcp_url, tls=tls) as proxy:
        with pytest.raises(ConfigurationError, match=problem):
            async with ReplicationStream.open(proxy.url(query), slot, slot):
                pass


async def test_words_that_a_stranger_puts_before_tls_are_not_taken_for_the_servers(
    tcp_url: str, slot: str
) -> None:
    async with Proxy(tcp_url, tls=True, injected=b"R\0\0\0\x08\0\0\0\0") as proxy:
        with pytest.raises(StoreUnavailableError):
            async with ReplicationStream.open(proxy.url("sslmode=require"), slot, slot):
                pass


async def test_a_server_that_shuts_down_is_let_go_and_keeps_what_was_not_acknowledged(
    migrate_database: Migrate,
) -> None:
    async with await EmbeddedServers.start(replicas=0, cache=CacheKind.NONE) as servers:
        url = servers.write_url
        await migrate_database(url)
        async with open_stream(url, "relay", "relay", TABLES, status_s=QUICK_S) as stream:
            await servers.primary.psql("INSERT INTO users (name) VALUES ('users/a')", database="entresol")
            sent = await transaction(stream)
            stopping = asyncio.create_task(servers.primary.stop())
            with pytest.raises(StoreUnavailableError, match="shuts down"):
                await past(stream, 1 << 62)
        await stopping
        assert await servers.primary.was_stopped_in_order()
        await servers.primary.start()
        async with open_stream(url, "relay", "relay", TABLES, status_s=QUICK_S) as stream:
            assert await transaction(stream) == sent


async def test_a_server_that_asks_after_a_silence_is_answered_and_not_let_go(
    database: Database, slot: str, connection: asyncpg.Connection
) -> None:
    await prepare(database.write_url, slot, slot, TABLES)
    async with ReplicationStream.open(
        database.write_url, slot, slot, status_s=3600, lease_s=0.4, lets_go=True
    ) as stream:  # so it is asked after each 0.2 s
        async with asyncio.timeout(10):
            for _ in range(5):
                await anext(aiter(stream))
        await insert(connection, "users/a")
        assert names(await transaction(stream)) == [("insert", "users/a")]


async def test_a_server_that_shuts_down_waits_for_who_does_not_let_go(migrate_database: Migrate) -> None:
    async with await EmbeddedServers.start(replicas=0, cache=CacheKind.NONE) as servers:
        url = servers.write_url
        await migrate_database(url)
        await prepare(url, "slow", "slow", TABLES)
        async with ReplicationStream.open(url, "slow", "slow", status_s=QUICK_S) as stream:
            await servers.primary.psql("INSERT INTO users (name) VALUES ('users/a')", database="entresol")
            stopping = asyncio.create_task(servers.primary.stop())
            assert await transaction(stream)
            with pytest.raises(StoreUnavailableError) as ended:
                await _acknowledge_late(stream)
            assert "is let go" not in str(ended.value)
        await stopping
        assert await servers.primary.was_stopped_in_order()


async def _acknowledge_late(stream: ReplicationStream) -> None:
    told = 0
    async for event in stream:
        assert isinstance(event, Keepalive)
        told += 1
        if told > 200:  # which takes some seconds, but for a server that asks again and again
            stream.acknowledge(event.wal_end)
