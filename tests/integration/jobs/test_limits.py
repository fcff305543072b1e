"""Limits of kinds over all workers: whatever claims at once, ends, fails or is killed, there are never more."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.jobs.conftest import CROWD, LEASE_S, Workshop, put
from tests.integration.jobs.test_jobs import state, until

from entresol.schema.model import JobLimit
from entresol.storage.jobs import Claimed, Jobs
from entresol.testing.servers import Database, run


class Crowd:
    """Workers of one kind that claim, end, fail and hand back as fast as they can, and who of them runs what."""

    def __init__(self, jobs: Jobs, limit: JobLimit) -> None:
        self.jobs = jobs
        self.limit = limit
        self.live: set[tuple[uuid.UUID, int]] = set()
        self.most = 0
        self.begun: list[float] = []

    async def join(self) -> uuid.UUID:
        worker = uuid.uuid4()
        await self.jobs.join(worker, "here", 1, ["tasks"], lease_s=60)
        return worker

    async def claim(self, worker: uuid.UUID, room: int) -> list[Claimed]:
        lanes = [lane for lane in await self.jobs.survey(["tasks"], [CROWD], {}) if lane.has_jobs]
        if not lanes:
            return []
        wanted = [(lane, room) for lane in lanes]
        claimed = await self.jobs.claim_limited(worker, wanted, {CROWD: (self.limit, room)})
        self.begun += [time.monotonic()] * len(claimed)
        self.live |= {one.attempt for one in claimed}
        self.most = max(self.most, len(self.live))
        return claimed

    async def work(self, end_s: float, chance: random.Random) -> None:
        worker = await self.join()
        while time.monotonic() < end_s:
            for one in await self.claim(worker, chance.randint(1, 4)):
                await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01]))
                self.live.discard(one.attempt)
                match chance.randrange(3):
                    case 0:
                        assert await self.jobs.finish([(one.attempt, "succeeded", b"")])
                    case 1:
                        assert await self.jobs.fail([(one.attempt, 0.0, b"failed")])
                    case _:
                        assert await self.jobs.release([one.attempt])


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_of_workers_that_claim_at_once_never_more_run_than_may(
    database: Database, jobs: Jobs, concurrency: int
) -> None:
    await put(database, 400, tenants=3)
    crowd = Crowd(jobs, JobLimit(concurrency))
    await jobs.add_limits({CROWD: crowd.limit})
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    end_s = time.monotonic() + 4
    await asyncio.gather(*(crowd.work(end_s, random.Random(seed + number)) for number in range(8)))
    assert crowd.most == concurrency
    assert len(crowd.begun) > 100  # so that they did claim at once


async def test_an_attempt_counts_until_the_lease_of_its_worker_is_swept(
    database: Database, jobs: Jobs
) -> None:
    await put(database, 10)
    crowd = Crowd(jobs, JobLimit(2))
    await jobs.add_limits({CROWD: crowd.limit})
    first, second = await crowd.join(), await crowd.join()
    assert len(await crowd.claim(first, 10)) == 2
    await database.psql(f"UPDATE entresol.workers SET lease_time = now() WHERE id = '{first}'")
    assert await crowd.claim(second, 10) == []
    assert await jobs.sweep(b"lost") == 2
    assert len(await crowd.claim(second, 10)) == 2


async def test_lanes_of_a_kind_share_what_may_run(database: Database, jobs: Jobs) -> None:
    await put(database, 10, tenants=3)
    crowd = Crowd(jobs, JobLimit(6))
    await jobs.add_limits({CROWD: crowd.limit})
    claimed = await crowd.claim(await crowd.join(), 6)
    assert [*Counter(one.lane for one in claimed).values()] == [2, 2, 2]


async def test_of_workers_that_claim_at_once_no_more_begin_than_a_rate_allows(
    database: Database, jobs: Jobs
) -> None:
    await put(database, 300, tenants=3)
    crowd = Crowd(jobs, JobLimit(rate=40.0, burst=5))
    await jobs.add_limits({CROWD: crowd.limit})
    end_s = time.monotonic() + 3
    chance = [random.Random(number) for number in range(8)]
    began_s = time.monotonic()
    await asyncio.gather(*(crowd.work(end_s, one) for one in chance))
    check_rate(crowd.begun, rate=40, burst=5)
    assert len(crowd.begun) > 0.7 * 40 * (time.monotonic() - began_s)


async def test_a_rate_that_is_raised_does_not_wait_for_the_one_before(database: Database, jobs: Jobs) -> None:
    await put(database, 10)
    crowd = Crowd(jobs, JobLimit(rate=0.001, burst=1))
    await jobs.add_limits({CROWD: crowd.limit})
    worker = await crowd.join()
    assert [len(await crowd.claim(worker, 5)) for _ in range(2)] == [1, 0]
    crowd.limit = JobLimit(rate=1000.0, burst=1)
    await jobs.add_limits({CROWD: crowd.limit})
    await asyncio.sleep(0.01)
    assert len(await crowd.claim(worker, 5)) == 1


def check_rate(times: list[float], rate: float, burst: int) -> None:
    """Check every window that begins and ends with a start; a start is told a moment after it was allowed."""
    times = sorted(times)
    for first, begun_s in enumerate(times):
        for last in range(first, len(times)):
            assert last - first + 1 <= rate * (times[last] - begun_s + 0.1) + burst


def overlap(notes: Path, ends: dict[int, float]) -> int:
    """Return how many attempts ran at once, at most; those of a process that was killed as long as `ends` says."""
    moments: list[tuple[float, int]] = []
    open_: dict[str, int] = {}
    for line in notes.read_text().splitlines():
        at, what, process, attempt = line.split()
        if what == "begins":
            moments.append((float(at), 1))
            open_[attempt] = int(process)
        else:
            moments.append((float(at), -1))
            del open_[attempt]
    moments += [(ends[process], -1) for process in open_.values()]
    most = running = 0
    for _, change in sorted(moments):
        running += change
        most = max(most, running)
    return most


def test_no_more_run_than_may_also_when_workers_are_killed(workshop: Workshop) -> None:
    with workshop.worker() as first, workshop.worker() as second, workshop.worker() as third:
        names = [str(workshop.api.call("CrowdTask", label="a", pause="0.5s").name) for _ in range(24)]
        workshop.wait(workshop.begin(label="b", steps=1))  # which is less urgent, and waits for no permit
        until(lambda: state(workshop, names[5]) == "SUCCEEDED")
        assert state(workshop, names[-1]) == "READY"
        ends = {}
        for worker in (first, second):
            worker.kill()
            ends[worker.pid] = time.monotonic() + LEASE_S / 2  # its lease is at least that long yet
        for name in names:
            workshop.wait(name, 20)
        assert third.poll() is None
    assert overlap(workshop.notes, ends) == 3


def test_no_more_begin_than_a_rate_allows_and_not_many_less(workshop: Workshop) -> None:
    names = [str(workshop.api.call("PaceTask", label="a", pause="0s").name) for _ in range(60)]
    with workshop.worker(), workshop.worker():
        for name in names:
            workshop.wait(name)
    lines = [line.split() for line in workshop.notes.read_text().splitlines()]
    times = sorted(float(at) for at, what, *_ in lines if what == "begins")
    check_rate(times, rate=20, burst=2)
    assert times[-1] - times[0] < 2 * 58 / 20
    assert run(workshop.database.psql("SELECT count(*) FROM entresol.jobs")).strip() == "0"
