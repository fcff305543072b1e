"""Where reads and writes go, and what happens to them when servers leave, hang, lag, or change roles."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from entresol import telemetry
from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers
from entresol.embedded.polling import until
from entresol.embedded.replica import Replica
from entresol.errors import (
    ConfigurationError,
    DeadlineExceededError,
    ResourceExhaustedError,
    StoreUnavailableError,
    UnavailableError,
)
from entresol.schema.model import Model, Resource
from entresol.storage.deadline import Deadline
from entresol.storage.pools import Pools, ServerState
from entresol.storage.primary import Primary
from entresol.storage.store import Store
from entresol.testing.plugin import run
from entresol.testing.servers import Database, Databases


@pytest.fixture(scope="module")
def breakable() -> Iterator[EmbeddedServers]:
    """Give servers of the module's own; a test leaves them running and in step."""
    started = run(EmbeddedServers.start(replicas=2, cache=CacheKind.NONE))
    yield started
    run(started.stop())


@pytest.fixture(autouse=True)
def whole(breakable: EmbeddedServers) -> Iterator[None]:
    """Leave the servers as they were, also when a test fails in the middle."""

    async def mend() -> None:
        for server in (breakable.primary, *breakable.replicas):
            await server.resume()
            await server.start()
        for replica in breakable.replicas:
            await replica.set_delay(0)
            await set_patience(replica, "30s")

    yield
    run(mend())


@pytest.fixture(scope="module")
def databases(breakable: EmbeddedServers) -> Databases:
    return Databases(breakable)


@pytest.fixture
def house(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/House"]


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Pools]:
    pools = await Pools.open(settings)
    try:
        yield pools
    finally:
        await pools.close()


async def set_patience(replica: Replica, time: str) -> None:
    """Say how long replay waits for a read that is in its way."""
    await replica.psql(f"ALTER SYSTEM SET max_standby_streaming_delay = '{time}'", database="postgres")
    await replica.psql("SELECT pg_reload_conf()", database="postgres")


def replicas(pools: Pools) -> list[ServerState]:
    return [state for state in pools.servers() if state.role == "replica"]


def live(pools: Pools) -> int:
    return sum(state.live for state in replicas(pools))


async def reached(claim: Callable[[], bool], timeout_s: float = 15) -> None:
    async def holds() -> bool:
        return claim()

    assert await until(holds, timeout_s)


async def write(store: Store, house: Resource, name: str) -> int:
    async with store.transaction() as transaction:
        await transaction.insert(house, [house.message_class(name=name)])
    return transaction.commit_lsn


async def sources(store: Store, house: Resource, count: int = 4, **options: Any) -> set[str]:
    return {str((await store.get(house, ["houses/a"], **options)).source) for _ in range(count)}


async def test_reads_go_to_the_replicas_in_turn(store: Store, house: Resource, database: Database) -> None:
    ports = [f"replica:{replica.name}:{replica.port}" for replica in database.servers.replicas]
    assert await sources(store, house) == set(ports)
    assert await sources(store, house, primary=True) == {"primary"}


async def test_reads_go_where_least_is_going_on(pools: Pools) -> None:
    async with pools.read() as first, pools.read() as second, pools.read() as third:
        assert first.source != second.source
        assert third.source in (first.source, second.source)
        async with pools.read() as fourth:
            assert fourth.source != third.source


async def test_a_replica_answers_only_what_it_has_replayed(
    store: Store, house: Resource, pools: Pools, database: Database
) -> None:
    for replica in database.servers.replicas:
        await replica.set_delay(300)
    position = await write(store, house, "houses/a")
    assert await sources(store, house, count=1, at_least=position) == {"primary"}
    assert await sources(store, house, count=2) != {"primary"}
    for replica in database.servers.replicas:
        await replica.set_delay(0)
    await database.settle()
    await reached(lambda: all(state.replayed >= position for state in replicas(pools)))
    read = await store.get(house, ["houses/a"], at_least=position)
    assert read.source.kind == "replica"
    assert read.position is not None
    assert read.position >= position
    assert list(read.rows) == ["houses/a"]


async def test_a_position_never_promises_what_the_read_does_not_show(
    store: Store, house: Resource, database: Database
) -> None:
    """Rule R2: every change up to the position is in what was read, while replay goes on."""
    position_of: dict[str, int] = {}
    done = asyncio.Event()

    async def writer() -> None:
        for number in range(150):
            position_of[f"houses/h{number}"] = await write(store, house, f"houses/h{number}")
        done.set()

    task = asyncio.create_task(writer())
    reads = 0
    while not done.is_set():
        known = dict(position_of)
        read = await store.get(house, list(known) or ["houses/none"])
        if read.position is not None:
            assert {name for name, position in known.items() if position <= read.position} <= read.rows.keys()
            reads += 1
    await task
    assert reads > 20


async def test_a_lagging_replica_leaves_and_comes_back(
    settings: Settings, house: Resource, zoo: Model, database: Database
) -> None:
    async with opened(replace(settings, replica_lag_max_s=0.3)) as pools:
        store = Store(pools, zoo)
        slow = database.servers.replicas[0]
        await slow.set_delay(60_000)
        await write(store, house, "houses/a")
        await reached(lambda: live(pools) == 1)
        assert await sources(store, house) == {
            f"replica:{database.servers.replicas[1].name}:{database.servers.replicas[1].port}"
        }
        await slow.set_delay(0)
        await reached(lambda: live(pools) == 2)


async def test_an_idle_primary_makes_no_lag_and_a_cut_off_replica_does(
    settings: Settings, database: Database
) -> None:
    async with opened(replace(settings, replica_lag_max_s=0.5)) as pools:
        began_s = time.monotonic()
        # Nothing is written, for longer than the lag that is allowed.
        await reached(lambda: time.monotonic() - began_s > 0.8)
        assert live(pools) == 2
        await database.servers.primary.kill()
        assert live(pools) == 2
        await reached(lambda: live(pools) == 0)
        await database.servers.primary.start()
        await reached(lambda: live(pools) == 2)


async def test_a_killed_replica_costs_no_read_and_comes_back(
    store: Store, house: Resource, pools: Pools, database: Database
) -> None:
    await write(store, house, "houses/a")
    await database.settle()
    failures: list[BaseException] = []
    stop = asyncio.Event()

    async def read() -> int:
        count = 0
        while not stop.is_set():
            try:
                assert (await store.get(house, ["houses/a"])).rows
            except BaseException as error:
                failures.append(error)
                raise
            count += 1
        return count

    readers = [asyncio.create_task(read()) for _ in range(8)]
    replica = database.servers.replicas[0]
    await reached(lambda: all(state.connections for state in replicas(pools)))
    await replica.kill()
    await reached(lambda: live(pools) == 1)
    # Who looks at the lag alone sees that it is away: it grows from when the replica was seen last.
    await reached(lambda: any(not state.live and state.lag_s > 0.3 for state in replicas(pools)))
    await replica.start()
    await reached(lambda: live(pools) == 2)
    await reached(lambda: all(state.lag_s < 0.3 for state in replicas(pools)))
    stop.set()
    assert all(await asyncio.gather(*readers))
    assert failures == []


async def test_reads_that_hang_on_a_paused_replica_are_answered_by_another(
    store: Store, house: Resource, pools: Pools, database: Database
) -> None:
    await write(store, house, "houses/a")
    await database.settle()
    await sources(store, house)
    replica = database.servers.replicas[0]
    await replica.pause()
    began_s = time.monotonic()
    reads = await asyncio.gather(*(store.get(house, ["houses/a"], timeout_s=10) for _ in range(8)))
    assert time.monotonic() - began_s < 5
    assert all(read.rows for read in reads)
    await reached(lambda: live(pools) == 1)
    await replica.resume()
    await reached(lambda: live(pools) == 2)


async def test_a_read_that_replay_cannot_wait_for_is_answered_by_the_primary(
    store: Store, house: Resource, database: Database
) -> None:
    await write(store, house, "houses/a")
    await database.psql(
        "ALTER TABLE houses RENAME TO kept;"
        "CREATE VIEW public.houses AS SELECT kept.* FROM kept, LATERAL (SELECT pg_sleep(1.5)) AS slow"
    )
    await database.settle()
    for replica in database.servers.replicas:
        await set_patience(replica, "0")
    task = asyncio.create_task(store.get(house, ["houses/a"]))

    async def is_reading() -> bool:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        return "1" in [await replica.psql(sql, database="postgres") for replica in database.servers.replicas]

    assert await until(is_reading, 5)
    await database.psql("ALTER TABLE kept ADD COLUMN note text")
    read = await task
    assert str(read.source) == "primary"
    assert list(read.rows) == ["houses/a"]


async def test_while_the_primary_is_away_a_read_waits_for_a_replica_to_replay_what_it_needs(
    store: Store, zoo: Model, house: Resource, settings: Settings, database: Database
) -> None:
    for replica in database.servers.replicas:
        await replica.set_delay(1000)
    position = await write(store, house, "houses/a")
    await database.servers.primary.kill()
    async with opened(replace(settings, database_wait_s=10.0)) as pools:
        read = await Store(pools, zoo).get(house, ["houses/a"], at_least=position)
        assert read.source.kind == "replica"
        assert read.rows
    async with opened(replace(settings, database_wait_s=0.3)) as pools:
        with pytest.raises(StoreUnavailableError):
            await Store(pools, zoo).get(house, ["houses/a"], at_least=position + 10**9)
    await database.servers.primary.start()


async def test_while_the_primary_is_away_reads_do_without_what_they_need_not(
    store: Store, house: Resource, database: Database
) -> None:
    for replica in database.servers.replicas:
        await replica.set_delay(60_000)
    position = await write(store, house, "houses/a")
    read = await store.get(house, ["houses/a"], hint=position)
    assert (read.source.kind, list(read.rows)) == ("primary", ["houses/a"])
    await database.servers.primary.kill()
    reads = await asyncio.gather(*(store.get(house, ["houses/a"], hint=position) for _ in range(4)))
    assert {read.source.kind for read in reads} == {"replica"}
    assert all(read.position is not None and read.position < position for read in reads)
    with pytest.raises(StoreUnavailableError):
        await store.get(house, ["houses/a"], at_least=position)
    await database.servers.primary.start()


async def test_without_replicas_the_primary_reads_and_without_a_primary_nothing_writes(
    store: Store, house: Resource, pools: Pools, database: Database
) -> None:
    await write(store, house, "houses/a")
    await database.settle()
    await database.servers.primary.kill()
    assert await sources(store, house, count=2) != {"primary"}
    with pytest.raises(StoreUnavailableError):
        await write(store, house, "houses/b")
    with pytest.raises(StoreUnavailableError):
        await store.get(house, ["houses/a"], primary=True)
    assert pools.servers()[0].live is False
    await database.servers.primary.start()
    await reached(lambda: pools.servers()[0].live)
    await write(store, house, "houses/b")
    for replica in database.servers.replicas:
        await replica.kill()
    await reached(lambda: live(pools) == 0)
    assert await sources(store, house, count=2) == {"primary"}
    for replica in database.servers.replicas:
        await replica.start()
    await reached(lambda: live(pools) == 2)


async def test_a_statement_whose_caller_is_cancelled_ends_on_the_server(
    pools: Pools, store: Store, database: Database
) -> None:
    async def call() -> None:
        async with store.transaction() as transaction:
            await transaction.fetch("SELECT pg_sleep(60)")

    sleeping = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database.name}' AND query LIKE '%sleep(60)%'"
    active = f"{sleeping} AND state <> 'idle' AND pid <> pg_backend_pid()"

    async def count(expected: str) -> bool:
        return await database.psql(active) == expected

    task = asyncio.create_task(call())
    assert await until(lambda: count("1"), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await until(lambda: count("0"), 5)
    async with store.transaction() as transaction:
        assert (await transaction.fetch("SELECT 1"))[0][0] == 1
    assert pools.servers()[0].outstanding == 0


async def test_callers_that_are_cancelled_anywhere_leave_nothing_behind(
    pools: Pools, store: Store, house: Resource, database: Database
) -> None:
    await write(store, house, "houses/a")
    message = house.message_class(name="houses/a")

    async def call(number: int) -> None:
        if number % 2:
            await store.get(house, ["houses/a"], primary=number % 3 == 0)
            return
        async with store.transaction() as transaction:
            await transaction.get(house, "houses/a", lock=True)
            await transaction.update(house, message, [], version=None)
            await transaction.execute("SELECT pg_sleep(0.002)")

    source = random.Random(5)
    tasks = [asyncio.create_task(call(number)) for number in range(300)]
    while pending := [task for task in tasks if not task.done()]:
        source.choice(pending).cancel()
        await asyncio.wait(pending, timeout=0.001)
    ends = {type(task.exception()) if not task.cancelled() else asyncio.CancelledError for task in tasks}
    assert ends <= {asyncio.CancelledError, type(None), ResourceExhaustedError}
    await reached(lambda: all(state.outstanding == 0 for state in pools.servers()))
    # A server notices a little later that a connection was closed on it, and vacuums on its own account.
    left = (
        "SELECT string_agg(state || ' ' || query, ';') FROM pg_stat_activity "
        f"WHERE datname = '{database.name}' AND backend_type = 'client backend' "
        "AND xact_start IS NOT NULL AND pid <> pg_backend_pid()"
    )

    async def nothing_is_left() -> bool:
        return await database.psql(left) == ""

    assert await until(nothing_is_left, 5), await database.psql(left)
    await asyncio.gather(*(call(number) for number in range(20)))


@pytest.mark.parametrize("turns", range(12))
async def test_a_transaction_given_up_as_it_begins_is_not_the_next_caller_s(
    pools: Pools, store: Store, house: Resource, turns: int
) -> None:
    """The BEGIN may be answered before its cancellation arrives; then what comes next would be undone unseen."""
    await write(store, house, "houses/a")

    async def begin() -> None:
        async with store.transaction():
            await asyncio.Event().wait()

    task = asyncio.create_task(begin())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await reached(lambda: pools.servers()[0].outstanding == 0)
    done = await store.update(house, house.message_class(name="houses/a"), [], version=None)
    assert done is not None
    read = await store.get(house, ["houses/a"], primary=True)
    assert read.rows["houses/a"].version == done.changes[0].version


async def test_waiting_for_a_connection_is_bounded_and_measured_even_in_vain(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(telemetry.POOL_WAIT, "record", lambda wait_s, _: waits.append(wait_s))
    async with opened(replace(settings, database_write_connections=2, database_wait_s=0.1)) as pools:
        async with pools.write(), pools.write():
            began_s = time.monotonic()
            with pytest.raises(ResourceExhaustedError):
                async with pools.write():
                    raise AssertionError("there was a third")
            assert 0.09 < time.monotonic() - began_s < 2
            assert waits[-1] > 0.09
        async with pools.write():
            assert pools.servers()[0].outstanding == 1


async def test_writes_do_not_wait_for_reads_of_the_primary(settings: Settings) -> None:
    settings = replace(settings, database_read=(), database_read_connections=1)
    async with opened(settings) as pools, pools.read() as lease, pools.write() as connection:
        assert lease.source.kind == "primary"
        assert await connection.fetchval("SELECT 1") == 1


async def test_a_connection_that_was_closed_while_it_rested_is_not_noticed(
    store: Store, house: Resource, database: Database
) -> None:
    await write(store, house, "houses/a")
    await sources(store, house, primary=True)
    await database.psql(
        f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database.name}' "
        "AND pid <> pg_backend_pid()"
    )
    await write(store, house, "houses/b")
    assert await sources(store, house, primary=True) == {"primary"}


async def test_a_connection_that_is_cut_as_it_comes_back_hides_no_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(pools: Pools) -> None:
        async with pools.write() as connection:
            execute = connection.execute

            async def cut(*statement: Any, **options: Any) -> Any:
                told = await execute(*statement, **options)
                connection.terminate()
                return told

            monkeypatch.setattr(type(connection), "execute", lambda _, *words, **more: cut(*words, **more))
            raise KeyError("of the caller's own")

    async with opened(settings) as pools:
        with pytest.raises(KeyError):
            await fail(pools)
        monkeypatch.undo()
        async with pools.write() as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_commit_without_an_answer_is_not_said_to_have_failed(
    store: Store, house: Resource, database: Database
) -> None:
    await database.psql(
        """
        CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON houses DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION slow();
        """
    )
    cut = f"""
        SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = '{database.name}' AND query LIKE '%COMMIT%' AND pid <> pg_backend_pid()"""

    async def is_cut() -> bool:
        return await database.psql(cut) == "1"

    transaction: Any = None

    async def call() -> None:
        nonlocal transaction
        async with store.transaction() as transaction:
            await transaction.insert(house, [house.message_class(name="houses/a")])

    task = asyncio.create_task(call())
    assert await until(is_cut, 5)
    with pytest.raises(UnavailableError, match="not known"):
        await task
    assert not transaction.committed


async def test_a_deadline_is_kept_when_the_primary_hangs(
    store: Store, house: Resource, database: Database
) -> None:
    await write(store, house, "houses/a")
    await database.servers.primary.pause()
    began_s = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        await store.get(house, ["houses/a"], primary=True, timeout_s=0.3)
    assert time.monotonic() - began_s < 2
    await database.servers.primary.resume()
    await reached_read(store, house)


async def reached_read(store: Store, house: Resource) -> None:
    assert (await store.get(house, ["houses/a"], primary=True, timeout_s=10)).rows


async def test_writes_follow_the_primary_to_another_server(
    settings: Settings, zoo: Model, house: Resource
) -> None:
    async with await EmbeddedServers.start(replicas=1, cache=CacheKind.NONE) as servers:
        (other,) = servers.replicas
        first = servers.primary
        sockets = f"host={first.sockets},{other.sockets}&port={first.port},{other.port}"
        url = f"postgresql://entresol@/entresol?{sockets}"
        async with opened(replace(settings, database_write=url, database_read=())) as pools:
            async with pools.write() as connection:
                await connection.execute("CREATE TABLE notes ()")
            await servers.settle()
            await first.kill()
            await other.promote()
            async with pools.write() as connection:
                await connection.execute("INSERT INTO notes DEFAULT VALUES")
            assert pools.servers()[0].address == f"{other.name}:{other.port}"


async def test_while_the_primary_is_away_one_search_looks_and_the_callers_hear_at_once(
    settings: Settings, breakable: EmbeddedServers
) -> None:
    dialled = 0

    async def accept_and_break(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        await reader.read(8)
        writer.close()

    async def write(pools: Pools) -> None:
        with pytest.raises(StoreUnavailableError):
            async with pools.write():
                pass

    async with await asyncio.start_server(accept_and_break, "127.0.0.1", 0) as dead:
        url = f"postgresql://entresol@127.0.0.1:{dead.sockets[0].getsockname()[1]}/entresol?sslmode=disable"
        away = replace(settings, database_write=url, database_read=breakable.read_urls)
        async with opened(away) as pools:
            dialled = 0
            await asyncio.gather(*(write(pools) for _ in range(200)))
            assert dialled < 20


async def test_the_search_for_the_primary_leaves_those_alone_that_are_known_as_replicas(
    settings: Settings,
) -> None:
    dialled = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        writer.close()

    async with await asyncio.start_server(count, "127.0.0.1", 0) as known:
        port = known.sockets[0].getsockname()[1]
        url = f"postgresql://entresol@127.0.0.1:{port},127.0.0.1:1/entresol?sslmode=disable"
        replicas = {port}
        primary = Primary(replace(settings, database_write=url), lambda address: address.port in replicas)
        try:
            for _ in range(3):
                with pytest.raises(StoreUnavailableError):
                    async with primary.writes.lend(Deadline.after(5)):
                        pass
                await asyncio.sleep(0.1)
            assert dialled == 0
            assert "it is a replica" in primary.reason
            replicas.clear()
            await reached(lambda: dialled > 0)
        finally:
            await primary.close()


async def test_the_primary_is_found_although_another_address_says_nothing(
    settings: Settings, breakable: EmbeddedServers
) -> None:
    silent = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as mute:
        primary, port = breakable.primary, mute.sockets[0].getsockname()[1]
        sockets = f"host=127.0.0.1,{primary.sockets}&port={port},{primary.port}"
        url = f"postgresql://entresol@/entresol?{sockets}&sslmode=disable"
        patient = replace(settings, database_write=url, database_read=(), database_connect_timeout_s=60.0)
        async with asyncio.timeout(20), opened(patient) as pools, pools.write(timeout_s=10) as connection:
            assert await connection.fetchval("SELECT 1") == 1
        silent.set()


async def test_no_token_depends_on_what_no_replica_can_have(
    pools: Pools, store: Store, house: Resource, database: Database
) -> None:
    """The log behind its flushed end is lost with the primary: a token that depends on it has nobody to answer it."""
    primary = database.servers.primary
    await primary.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    await primary.psql("SELECT pg_reload_conf()")
    try:
        async with pools.write() as connection:
            for number in range(20):
                await connection.execute("BEGIN")
                insert = (
                    "INSERT INTO houses (name) SELECT 'houses/' || $1 || n FROM generate_series(1, 100) n"
                )
                await connection.execute(insert, f"{number}-")
                ends = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
                seen = (await store.get(house, ["houses/a"], primary=True)).seen
                flushed = await connection.fetchval("SELECT pg_current_wal_flush_lsn()")
                await connection.execute("ROLLBACK")
                if flushed < ends:  # else the server's own writer was just at work
                    assert seen < ends
                    return
        pytest.fail("the log was flushed each time before anybody looked")
    finally:
        await primary.psql("ALTER SYSTEM RESET wal_writer_delay")
        await primary.psql("SELECT pg_reload_conf()")


async def test_a_server_that_turned_read_only_is_left_for_the_one_that_writes(
    settings: Settings, database: Database
) -> None:
    async with opened(settings) as pools:
        async with pools.write() as connection:
            before = await connection.fetchval("SELECT pg_backend_pid()")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with pools.write() as connection:
                await connection.execute("BEGIN READ ONLY; CREATE TABLE notes ()")
        async with pools.write() as connection:
            assert await connection.fetchval("SELECT pg_backend_pid()") != before


async def test_a_promoted_replica_answers_no_reads_as_a_replica(settings: Settings) -> None:
    async with (
        await EmbeddedServers.start(replicas=1, cache=CacheKind.NONE) as servers,
        opened(replace(settings, database_write=servers.write_url, database_read=servers.read_urls)) as pools,
    ):
        assert live(pools) == 1
        await servers.replicas[0].promote()
        await reached(lambda: live(pools) == 0)
        async with pools.read() as lease:
            assert lease.source.kind == "primary"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"database_write": "mysql://localhost/x"}, ConfigurationError),
        ({"database_write": "postgresql://localhost:1,2:x/y"}, ConfigurationError),
        (
            {"database_write": "postgresql://127.0.0.1:1/x?sslmode=none", "database_read": ()},
            ConfigurationError,
        ),
        ({"database_write": "postgresql://127.0.0.1:1/x", "database_read": ()}, StoreUnavailableError),
    ],
)
async def test_what_cannot_be_opened_is_said_at_once(
    change: dict[str, Any], error: type[Exception], settings: Settings
) -> None:
    with pytest.raises(error):
        await Pools.open(replace(settings, **change))


async def test_a_database_that_does_not_exist_is_a_mistake_in_the_settings(
    settings: Settings, database: Database
) -> None:
    url = settings.database_write.replace(database.name, "none")
    with pytest.raises(ConfigurationError, match="ENTRESOL_DATABASE_WRITE"):
        await Pools.open(replace(settings, database_write=url))


async def test_replicas_alone_are_enough_to_start(settings: Settings, house: Resource, zoo: Model) -> None:
    async with opened(replace(settings, database_write="postgresql://127.0.0.1:1/x")) as pools:
        assert (await Store(pools, zoo).get(house, ["houses/a"])).source.kind == "replica"
