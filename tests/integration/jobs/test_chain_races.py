"""Jobs that are over in the moment in which others are put in after them: none waits for ever, none begins early."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.integration.jobs.conftest import HERE, SERVICE

from entresol.codegen.protos import compile_protos
from entresol.schema.load import load
from entresol.storage.job_ids import new_id
from entresol.storage.jobs import Attempt, Jobs
from entresol.storage.new_jobs import Lane, NewJob, enqueue
from entresol.storage.pools import Pools
from entresol.storage.store import Store
from entresol.storage.wakeups import listen
from entresol.testing.servers import Database

FIRST, FOLLOWER = Lane("tasks", f"{SERVICE}.RunTask"), Lane("tasks", f"{SERVICE}.GatherTask")
ROUNDS, AT_ONCE, FIRSTS, FOLLOWERS = 30, 12, 5, 4
# In one moment: whoever is ready, though one that it is after is not over.
EARLY = """
    SELECT count(*) FROM entresol.jobs AS follower JOIN entresol.jobs AS first ON first.id = ANY (follower.after)
    WHERE follower.state <> 'waiting'
"""


@pytest.fixture
def store(pools: Pools) -> Store:
    return Store(pools, load(compile_protos(HERE / "protos")))


def job(lane: Lane, after: tuple[uuid.UUID, ...] = ()) -> NewJob:
    return NewJob(new_id(), lane, b"", 1, 60.0, after=after)


async def put(store: Store, jobs: list[NewJob]) -> None:
    async with store.transaction() as transaction:
        await enqueue(transaction, jobs)
        await asyncio.sleep(random.uniform(0, 0.005))


async def begun(store: Store, jobs: Jobs, number: int) -> list[Attempt]:
    """Return attempts at so many jobs."""
    await put(store, [job(FIRST) for _ in range(number)])
    worker = uuid.uuid4()
    await jobs.join(worker, "here", 1, ["tasks"], lease_s=600)
    lanes = await jobs.survey(["tasks"], [FIRST.kind], {})
    return [one.attempt for one in await jobs.claim(worker, [(lanes[0], number)])]


async def finish(jobs: Jobs, attempts: list[Attempt]) -> None:
    await asyncio.sleep(random.uniform(0, 0.02))
    assert len(await jobs.finish([(attempt, "succeeded", b"") for attempt in attempts])) == len(attempts)


async def follow(store: Store, attempts: list[Attempt]) -> list[uuid.UUID]:
    await asyncio.sleep(random.uniform(0, 0.02))
    chosen = random.sample(attempts, random.randint(1, len(attempts)))
    followers = [job(FOLLOWER, tuple(attempt.id for attempt in chosen)) for _ in range(2)]
    await put(store, followers)
    return [follower.id for follower in followers]


async def race(store: Store, jobs: Jobs, attempts: list[Attempt]) -> list[uuid.UUID]:
    """End jobs while others are put in after them, and return those."""
    random.shuffle(attempts)
    cut = random.randint(1, FIRSTS - 1)
    async with asyncio.TaskGroup() as group:
        group.create_task(finish(jobs, attempts[:cut]))
        group.create_task(finish(jobs, attempts[cut:]))
        following = [group.create_task(follow(store, attempts)) for _ in range(FOLLOWERS)]
    return [id_ for task in following for id_ in task.result()]


@asynccontextmanager
async def played(jobs: Jobs, pools: Pools) -> AsyncIterator[None]:
    """Do what workers do beside, and look at every moment whether somebody is early."""

    async def promote() -> None:
        while True:
            await jobs.promote()

    async def look() -> None:
        while True:
            async with pools.write() as connection:
                assert await connection.fetch(EARLY, timeout=10) == [(0,)]

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work) for work in (promote(), promote(), look())]
        yield
        for task in tasks:
            task.cancel()


async def test_nobody_waits_for_what_is_over_and_nobody_begins_early(
    store: Store, jobs: Jobs, pools: Pools
) -> None:
    followers: list[uuid.UUID] = []
    async with played(jobs, pools):
        for _ in range(ROUNDS):
            attempts = await begun(store, jobs, FIRSTS * AT_ONCE)
            groups = [attempts[at : at + FIRSTS] for at in range(0, len(attempts), FIRSTS)]
            for found in await asyncio.gather(*(race(store, jobs, group) for group in groups)):
                followers += found
    assert len(followers) == ROUNDS * AT_ONCE * FOLLOWERS * 2
    async with asyncio.timeout(10):
        while {one.state for one in (await jobs.read(followers)).values()} != {"ready"}:
            await jobs.promote()  # others may have had the last ones


async def test_workers_are_told_of_what_waited_for_a_job_that_is_over(
    store: Store, jobs: Jobs, database: Database
) -> None:
    heard = asyncio.Event()
    (attempt,) = await begun(store, jobs, 1)
    follower = job(FOLLOWER, (attempt.id,))
    await put(store, [follower])
    listening = asyncio.create_task(listen(database.write_url, heard.set))
    async with asyncio.timeout(10):
        await heard.wait()  # at its beginning
        await asyncio.sleep(0.2)  # and of what was told before
        assert (
            await database.psql(f"SELECT due_time FROM entresol.jobs WHERE id = '{follower.id}'")
            == "infinity"
        )
        heard.clear()
        await finish(jobs, [attempt])
        await heard.wait()
    listening.cancel()
    assert (await jobs.read([follower.id]))[follower.id].state == "ready"


async def test_those_that_gather_and_have_a_delay_wait_for_both(store: Store, jobs: Jobs) -> None:
    (attempt,) = await begun(store, jobs, 1)
    follower = NewJob(new_id(), FOLLOWER, b"", 1, 60.0, delay_s=0.5, after=(attempt.id,))
    await put(store, [follower])
    await finish(jobs, [attempt])
    assert await jobs.promote() == 0
    async with asyncio.timeout(10):
        while await jobs.promote() == 0:
            pass
    assert (await jobs.read([follower.id]))[follower.id].state == "ready"
