"""The queue in a cluster of its own: a job is done once if its transaction commits, whichever of the two is away."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.integration.jobs.conftest import (
    ENTRESOL,
    FUNCTIONS,
    HERE,
    SERVICE,
    Workshop,
    environment,
    served,
    workshop_settings,
)
from tests.integration.jobs.test_jobs import RESPONSE, state, until

from entresol.codegen.protos import compile_protos
from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers
from entresol.errors import Code, ConfigurationError, StoreUnavailableError
from entresol.schema.load import load
from entresol.service.status import CallFailedError
from entresol.storage.job_ids import new_id
from entresol.storage.jobs import Claimed, Jobs
from entresol.storage.new_jobs import Lane, NewJob, enqueue
from entresol.storage.placement import jobs_of
from entresol.storage.pools import Pools
from entresol.storage.store import Store
from entresol.storage.unique import enqueue_unique
from entresol.testing.servers import Database, Databases, run

LANE = Lane("tasks", f"{SERVICE}.RunTask")
TICKING = f"{FUNCTIONS},{HERE / 'ticking.py'}"


@pytest.fixture(scope="module")
def other_servers() -> Iterator[EmbeddedServers]:
    """Servers of these tests alone, which may do them harm."""
    servers = run(EmbeddedServers.start(replicas=0, cache=CacheKind.NONE))
    yield servers
    run(servers.stop())


@pytest.fixture(scope="module")
def other_databases(other_servers: EmbeddedServers) -> Databases:
    return Databases(other_servers)


@pytest.fixture
def other(other_databases: Databases, workshop_ready: Any) -> Iterator[Database]:
    """Give a database on them."""
    database = run(other_databases.create(workshop_ready, replicated=False))
    yield database
    run(other_databases.drop(database))


@pytest.fixture
def workshop(
    databases: Databases, workshop_ready: Any, other: Database, tmp_path: Path
) -> Iterator[Workshop]:
    """Give a workshop whose queue is on the other servers."""
    database = run(databases.create(workshop_ready, replicated=True))
    settings = dataclasses.replace(workshop_settings(database), database_jobs=other.write_url)
    try:
        with served(settings, database, tmp_path) as workshop:
            yield workshop
    finally:
        run(databases.drop(database))


@pytest.fixture
async def pools(database: Database, other: Database) -> AsyncIterator[Pools]:
    settings = Settings.load(
        {}, database_write=database.write_url, database_read=(), database_jobs=other.write_url
    )
    pools = await Pools.open(settings)
    yield pools
    await pools.close()


@pytest.fixture
def store(pools: Pools) -> Store:
    return Store(pools, load(compile_protos(HERE / "protos")))


@pytest.fixture
def jobs(pools: Pools) -> Jobs:
    return jobs_of(pools)


def job(**values: Any) -> NewJob:
    return NewJob(
        **{"id": new_id(), "lane": LANE, "request": b"", "attempts_max": 2, "timeout_s": 60.0, **values}
    )


async def put(store: Store, *new: NewJob) -> None:
    async with store.transaction() as transaction:
        await enqueue(transaction, new)


async def arrived(store: Store, database: Database, other: Database, number: int) -> None:
    """Move what is in the outbox, and see that there are so many jobs."""
    async with store.coupling.running(), asyncio.timeout(10):
        for _ in range(500):
            if await outbox(database) == 0:
                break
            await asyncio.sleep(0.02)
    assert await other.psql("SELECT count(*) FROM entresol.jobs") == str(number)


async def claimed(jobs: Jobs, *, lease_s: float = 600.0) -> list[Claimed]:
    """Claim all as a worker of this lease."""
    worker = uuid.uuid4()
    await jobs.join(worker, "here", 1, ["tasks"], lease_s=lease_s)
    lanes = await jobs.survey(["tasks"], [LANE.kind], {})
    return await jobs.claim(worker, [(lane, 100) for lane in lanes])


async def begun(store: Store, one: Claimed) -> Claimed:
    """Begin an attempt, than which there is none later."""
    claim = await store.coupling.begin(one)
    assert claim is not None
    return claim


async def held(store: Store, one: Claimed, checkpoint: bytes | None = None) -> bool:
    """Commit a transaction of an attempt, and tell whether it was still its own."""
    async with store.transaction() as transaction:
        return await store.coupling.hold(transaction, one, checkpoint)


async def outbox(database: Database) -> int:
    return int(await database.psql("SELECT count(*) FROM entresol.outbox"))


def test_a_job_goes_by_way_of_the_outbox_and_is_done_once(workshop: Workshop, other: Database) -> None:
    name = workshop.begin(label="a", steps=2, pause="0.1s")
    assert not workshop.operation(name).done
    with workshop.worker():
        done = workshop.wait(name)
    assert workshop.unpacked(RESPONSE, done.response).steps == 2
    assert workshop.marks() == ["marks/a-1"]
    assert run(other.psql("SELECT count(*) FROM entresol.jobs_done")) == "1"
    assert run(workshop.database.psql("SELECT count(*) FROM entresol.jobs_done")) == "0"
    until(lambda: run(workshop.database.psql("SELECT count(*) FROM entresol.outbox")) == "0")


async def test_a_job_is_there_if_and_only_if_its_transaction_commits(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    kept, undone = job(), job()
    async with store.transaction() as transaction:
        await enqueue(transaction, [undone])
        transaction.rollback_only()
    async with store.transaction() as transaction:
        await enqueue(transaction, [kept])
        await asyncio.sleep(0.1)
        assert await outbox(database) == 0
        assert not await jobs.read([kept.id])
    assert {id_: found.state for id_, found in (await jobs.read([kept.id, undone.id])).items()} == {
        kept.id: "ready"
    }
    await arrived(store, database, other, 1)
    assert [one.attempt.id for one in await claimed(jobs)] == [kept.id]


async def test_who_dies_between_the_two_clusters_has_moved_a_job_once(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    # As a mover that is killed when the job has arrived: what it does here is undone.
    await database.psql(
        """
        CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'killed'; END $$;
        CREATE TRIGGER die BEFORE DELETE ON entresol.outbox FOR EACH ROW EXECUTE FUNCTION die();
        """
    )
    await put(store, job(), job())
    with pytest.raises(asyncpg.RaiseError, match="killed"):
        await jobs.cancel(await _outbox_ids(database))
    done, running = await claimed(jobs)
    assert await jobs.finish([(done.attempt, "succeeded", b"")]) == {done.attempt.id}
    assert await outbox(database) == 2
    await database.psql("DROP TRIGGER die ON entresol.outbox")
    await arrived(store, database, other, 1)
    assert await outbox(database) == 0
    assert await claimed(jobs) == []
    found = await jobs.read([done.attempt.id, running.attempt.id])
    assert [found[one.attempt.id].state for one in (done, running)] == ["succeeded", "running"]


async def _outbox_ids(database: Database) -> list[uuid.UUID]:
    return [uuid.UUID(line) for line in (await database.psql("SELECT id FROM entresol.outbox")).split()]


async def test_an_attempt_that_is_no_longer_the_newest_commits_nothing(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    await put(store, job())
    await arrived(store, database, other, 1)
    (first,) = await claimed(jobs)
    assert not first.is_again
    first = await begun(store, first)
    assert await held(store, first, b"as far as this")
    await jobs.release([first.attempt])
    (second,) = await claimed(jobs)
    assert (second.number, second.is_again, second.checkpoint) == (1, True, None)
    assert await held(store, first)  # the later one has not begun
    second = await begun(store, second)
    assert second.checkpoint == b"as far as this"
    assert not await held(store, first)
    assert await held(store, second)
    assert await store.coupling.begin(dataclasses.replace(first, is_again=True)) is None


async def test_what_is_swept_commits_nothing_and_what_is_about_to_commit_is_not_swept(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    await put(store, job(attempts_max=1), job(attempts_max=1))
    await arrived(store, database, other, 2)
    committing, lost = await claimed(jobs, lease_s=0.0) or await claimed(jobs, lease_s=0.3)
    await asyncio.sleep(0.4)
    async with store.transaction() as transaction:
        assert await store.coupling.hold(transaction, committing, None)
        assert await jobs.sweep(b"") == 1
        found = await jobs.read([committing.attempt.id, lost.attempt.id])
        assert found[committing.attempt.id].state == "running"
        assert found[lost.attempt.id].state == "dead"
    assert not await held(store, lost)
    assert await jobs.sweep(b"") == 1
    assert not await held(store, committing)


async def test_tokens_of_what_is_over_are_forgotten_and_checkpoints_of_what_is_not_are_kept(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    await put(store, job(), job(), job())
    await arrived(store, database, other, 3)
    over, dead, young = [await begun(store, one) for one in await claimed(jobs)]
    assert all([await held(store, one, b"here") for one in (over, dead, young)])
    await jobs.finish([(over.attempt, "succeeded", b""), (young.attempt, "succeeded", b"")])
    await jobs.fail([(dead.attempt, None, b"")])
    await database.psql(
        "UPDATE entresol.attempts SET end_time = now() - interval '1 second' "
        f"WHERE id IN ('{over.attempt.id}', '{dead.attempt.id}')"
    )
    await jobs.keep(7)
    left = (await database.psql("SELECT id FROM entresol.attempts ORDER BY 1")).split()
    assert left == sorted(map(str, (dead.attempt.id, young.attempt.id)))
    assert await jobs.retry() == {dead.attempt.id}
    (again,) = await claimed(jobs)
    assert (await begun(store, again)).checkpoint == b"here"


async def test_of_one_key_there_is_one_job_in_both_clusters(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    key = uuid.uuid4()

    async def order() -> uuid.UUID:
        async with store.transaction() as transaction:
            return await enqueue_unique(transaction, job(unique_key=key))

    first = await order()
    assert await order() == first  # which is in the outbox
    await arrived(store, database, other, 1)
    assert await order() == first  # which has arrived
    assert await outbox(database) == 0


async def test_a_key_that_is_taken_where_a_job_arrives_ends_it_with_the_name_of_the_other(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    key = uuid.uuid4()
    first, second = job(unique_key=key), job(unique_key=key)
    await put(store, first)
    await arrived(store, database, other, 1)
    await other.servers.primary.kill()  # so that nobody can tell that the key is taken
    try:
        async with store.transaction() as transaction:
            assert await enqueue_unique(transaction, second) == second.id
    finally:
        await other.servers.primary.start()
    step = ""
    async with store.coupling.running(), asyncio.timeout(10):
        while not step:
            with suppress(StoreUnavailableError):  # until it is found again
                found = (await jobs.read([second.id]))[second.id]
                step = found.step if found.state == "cancelled" else ""
            await asyncio.sleep(0.02)
    assert str(first.id) in step


async def test_what_is_put_in_after_others_does_not_arrive_before_them(
    store: Store, jobs: Jobs, database: Database, other: Database
) -> None:
    first = job()
    follower = job(after=(first.id,))
    async with store.transaction() as transaction:
        assert await store.coupling.known(transaction, [first.id]) == set()
        await enqueue(transaction, [follower, first])
        assert await store.coupling.known(transaction, [first.id]) == {first.id}
    await arrived(store, database, other, 2)
    (one,) = await claimed(jobs)
    assert one.attempt.id == first.id
    await jobs.finish([(one.attempt, "succeeded", b"")])
    await jobs.promote()
    assert [one.attempt.id for one in await claimed(jobs)] == [follower.id]


def test_calls_that_begin_jobs_succeed_while_the_queue_is_away_and_all_are_done_once(
    workshop: Workshop, other: Database
) -> None:
    with workshop.worker():
        until(lambda: run(other.psql("SELECT count(*) FROM entresol.workers")) == "1")
        run(other.servers.primary.kill())
        try:
            names = [workshop.begin(label=f"a{number}", steps=1) for number in range(20)]
            workshop.api.refused(Code.UNAVAILABLE, "GetOperation", name=names[0])
            until(lambda: _is_full(workshop), 20)
        finally:
            run(other.servers.primary.start())
        until(lambda: run(outbox(workshop.database)) == 0)
        for name in names:
            assert workshop.unpacked(RESPONSE, workshop.wait(name, 20).response).attempts == 1
    assert len(workshop.marks()) == 20


def _is_full(workshop: Workshop) -> bool:
    """Tell whether what waits in the outbox fills the queue, of which others of 100 are let in."""
    try:
        workshop.api.call("PaceTask", label="a")
    except CallFailedError as error:
        return error.code is Code.RESOURCE_EXHAUSTED
    return False


def test_an_attempt_that_dies_behind_its_commit_is_told_of_its_checkpoint(workshop: Workshop) -> None:
    name = workshop.begin(label="a", leaves=True)
    with workshop.worker() as first:
        assert first.wait(10) == 1
    with workshop.worker():
        done = workshop.wait(name, 20)
    assert workshop.unpacked(RESPONSE, done.response).attempts == 2
    assert workshop.marks() == ["marks/a-1"]


def test_a_job_that_has_not_arrived_can_be_cancelled(workshop: Workshop) -> None:
    name = workshop.begin(label="a")
    workshop.api.call("CancelOperation", name=name)
    assert state(workshop, name) == "CANCELLED"


def test_schedules_tick_in_the_cluster_of_the_queue(workshop: Workshop, other: Database) -> None:
    with workshop.worker(functions=TICKING):
        until(lambda: len(workshop.marks()) >= 2)
    assert int(run(other.psql("SELECT count(*) FROM entresol.ticks"))) >= 2
    assert run(workshop.database.psql("SELECT count(*) FROM entresol.schedules")) == "0"


def test_jobs_are_done_though_the_database_they_write_to_goes_away(
    databases: Databases, workshop_ready: Any, other: Database, tmp_path: Path
) -> None:
    queue = run(databases.create(workshop_ready, replicated=False))
    settings = dataclasses.replace(workshop_settings(other), database_jobs=queue.write_url)
    try:
        with served(settings, other, tmp_path) as workshop, workshop.worker():
            names = [workshop.begin(label=f"a{number}", steps=4, pause="0.2s") for number in range(8)]
            until(lambda: state(workshop, names[0]) == "RUNNING")
            run(other.servers.primary.kill())
            run(other.servers.primary.start())
            until(lambda: all(workshop.operation(name).done for name in names), 30)
            marks = [mark.rpartition("-")[0] for mark in workshop.marks()]
            assert marks == [f"marks/a{number}" for number in range(8)]
    finally:
        run(databases.drop(queue))


def test_commands_migrate_both_and_refuse_a_cluster_that_is_not(
    other_databases: Databases, databases: Databases, workshop_ready: Any, tmp_path: Path
) -> None:
    async def nothing(url: str) -> None:
        assert url

    database = run(databases.create(workshop_ready, replicated=False))
    empty = run(other_databases.create(nothing, replicated=False))
    settings = dataclasses.replace(workshop_settings(database), database_jobs=empty.write_url)
    try:
        with (
            pytest.raises(ConfigurationError, match="entresol migrate"),
            served(settings, database, tmp_path),
        ):
            pass
        printed = subprocess.run(
            [ENTRESOL, "migrate"], env=environment(settings), capture_output=True, text=True, check=True
        ).stdout
        assert "system/0005_jobs.sql: applied in database_jobs" in printed
        with served(settings, database, tmp_path) as workshop:
            assert not workshop.operation(workshop.begin(label="a")).done
    finally:
        run(databases.drop(database))
        run(other_databases.drop(empty))
