"""A worker whose database does not answer, or whose answers are lost."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Awaitable, Callable, Sequence

import pytest
from tests.integration.jobs.conftest import CROWD, put

from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.errors import StoreUnavailableError
from entresol.jobs.attempts import Running
from entresol.jobs.heart import Heart
from entresol.jobs.kinds import Kind, Reports
from entresol.jobs.worker import Worker
from entresol.storage.jobs import Attempt, Claimed, Jobs, Share
from entresol.storage.pools import Pools
from entresol.testing.servers import Database

Work = Callable[[Claimed, Reports], Awaitable[bytes]]


class _Deaf(Jobs):
    """Hears no answer to its first claims."""

    def __init__(self, pools: Pools) -> None:
        super().__init__(pools)
        self.unheard: list[Claimed] = []

    async def claim(self, worker: uuid.UUID, wanted: Sequence[Share]) -> list[Claimed]:
        claimed = await super().claim(worker, wanted)
        if self.unheard:
            return claimed
        self.unheard = claimed
        raise StoreUnavailableError("the answer was lost")


class _Away(Jobs):
    """Claims nothing, for there is no database."""

    async def claim(self, worker: uuid.UUID, wanted: Sequence[Share]) -> list[Claimed]:
        raise StoreUnavailableError("the database is away")


def _worker(
    jobs: Jobs, database: Database, begun: asyncio.Queue[Claimed], work: Work | None = None
) -> Worker:
    async def run(claimed: Claimed, _reports: Reports) -> bytes:
        begun.put_nowait(claimed)
        return b""

    settings = Settings.load({}, database_write=database.write_url, database_read=(), drain_s=0.1)
    kind = Kind(CROWD, work or run, lambda error, _claimed: str(error).encode())
    return Worker(jobs, {CROWD: kind}, ["tasks"], settings)


@pytest.mark.timeout(60)
async def test_what_was_claimed_without_an_answer_is_handed_back_and_done(
    database: Database, pools: Pools
) -> None:
    await put(database, 5)
    jobs, queue = _Deaf(pools), asyncio.Queue[Claimed]()
    worker = _worker(jobs, database, queue)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        begun = [await queue.get() for _ in range(5)]
    worker.stop()
    await running
    assert queue.empty()
    assert len(jobs.unheard) == 5
    assert {one.attempt.id for one in begun} == {one.attempt.id for one in jobs.unheard}
    assert {one.number for one in begun} == {1}  # what nobody heard of used no attempt up


@pytest.mark.timeout(60)
async def test_a_worker_ends_when_it_is_told_to_though_the_database_is_away(
    database: Database, pools: Pools
) -> None:
    await put(database, 1)
    worker = _worker(_Away(pools), database, asyncio.Queue())
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.5)
    worker.stop()
    async with asyncio.timeout(20):
        await running


@pytest.mark.timeout(60)
async def test_what_cannot_be_kept_of_one_job_s_reports_harms_no_other(
    database: Database, pools: Pools
) -> None:
    await put(database, 2)
    steps, ended = iter(["a \0 step", "a fine step"]), asyncio.Event()

    async def run(_claimed: Claimed, reports: Reports) -> bytes:
        reports.tell(step=next(steps))
        await ended.wait()
        return b""

    worker = _worker(Jobs(pools), database, asyncio.Queue(), run)
    running = asyncio.create_task(worker.run())
    jobs = Jobs(pools)

    async def is_told() -> bool:
        return "a fine step" in [job.step for job in await jobs.page()]

    async def are_done() -> bool:
        return {job.state for job in await jobs.page()} == {"succeeded"}

    assert await until(is_told, 20.0)
    ended.set()
    assert await until(are_done, 20.0)
    worker.stop()
    await running


async def test_a_function_whose_own_task_is_cancelled_has_failed_and_not_run_out_of_time() -> None:
    async def run(_claimed: Claimed, _reports: Reports) -> bytes:
        inner = asyncio.create_task(asyncio.sleep(60))
        inner.cancel()
        await inner
        return b""

    claimed = Claimed(Attempt(uuid.uuid4(), 1), 1, CROWD, 1, 3, 60.0, "", "", b"", None, None)
    kind = Kind(CROWD, run, lambda error, claimed: b"")
    attempt = Running(claimed, kind, asyncio.get_running_loop().time() + 60.0)
    with pytest.raises(RuntimeError, match="cancelled, and not by the platform"):
        await attempt.run()


async def test_an_attempt_that_fails_when_it_was_told_to_end_is_cancelled(
    database: Database, jobs: Jobs
) -> None:
    await put(database, 1)
    worker = uuid.uuid4()
    await jobs.join(worker, "here", 1, ["tasks"], lease_s=60)
    (lane,) = await jobs.survey(["tasks"], [CROWD], {})
    (claimed,) = await jobs.claim(worker, [(lane, 1)])
    await jobs.cancel([claimed.attempt.id])
    assert await jobs.fail([(claimed.attempt, 1.0, b"")]) == {claimed.attempt.id}
    assert [job.state for job in await jobs.page()] == ["cancelled"]


@pytest.mark.timeout(60)
async def test_a_heart_that_is_stopped_between_two_beats_does_not_wait_for_the_next(
    database: Database, jobs: Jobs
) -> None:
    worker, lease_s = uuid.uuid4(), 3600.0
    await jobs.join(worker, "here", 1, ["tasks"], lease_s=1800)
    heart = Heart(database.write_url, lease_s, lambda: None)
    heart.start(worker)

    async def has_beaten() -> bool:
        late = "SELECT count(*) FROM entresol.workers WHERE lease_time > now() + interval '50 min'"
        return await database.psql(late) == "1"

    assert await until(has_beaten, 20)
    await heart.stop()
    assert "entresol heart" not in {thread.name for thread in threading.enumerate()}
