"""Jobs that were told to end, and whose worker never heard of it: they are over, and nothing of them is done again."""

from __future__ import annotations

import uuid

import pytest
from tests.integration.jobs.conftest import CROWD, put

from entresol.storage.jobs import Claimed, Jobs
from entresol.testing.servers import Database

STATES = "SELECT outcome, attempt FROM entresol.jobs_done UNION ALL SELECT state, attempt FROM entresol.jobs ORDER BY 1"


async def claimed(database: Database, jobs: Jobs, lease_s: float = 60) -> list[Claimed]:
    """Return two attempts, the first of which was told to end."""
    await put(database, 2)
    worker = uuid.uuid4()
    await jobs.join(worker, "here", 1, ["tasks"], lease_s=60)
    lanes = await jobs.survey(["tasks"], [CROWD], {})
    first, second = await jobs.claim(worker, [(lanes[0], 2)])
    assert await jobs.cancel([first.attempt.id]) == {first.attempt.id}
    if not lease_s:
        await database.psql("UPDATE entresol.workers SET lease_time = now()")
    return [first, second]


async def test_a_lost_worker_s_are_over_and_the_others_are_ready_again(
    database: Database, jobs: Jobs
) -> None:
    await claimed(database, jobs, lease_s=0)
    assert await jobs.sweep(b"") == 2
    assert (await database.psql(STATES)).split() == ["cancelled|1", "ready|1"]


async def test_those_that_are_handed_back_are_over_and_the_others_are_ready_again(
    database: Database, jobs: Jobs
) -> None:
    given = await claimed(database, jobs)
    assert await jobs.release([one.attempt for one in given]) == {one.attempt.id for one in given}
    assert (await database.psql(STATES)).split() == ["cancelled|1", "ready|0"]


@pytest.mark.parametrize("percent", [0, 95])
async def test_what_has_succeeded_is_done_whole_whatever_it_told_last(
    database: Database, jobs: Jobs, percent: int
) -> None:
    given = await claimed(database, jobs)
    await jobs.report([(given[1].attempt, percent, "a step", None)])
    await jobs.finish([(given[1].attempt, "succeeded", b"")])
    assert (await database.psql("SELECT percent FROM entresol.jobs_done")).strip() == "100"


async def test_a_queue_tells_how_many_serve_it_and_every_worker_what_waits_in_all(
    database: Database, jobs: Jobs
) -> None:
    await claimed(database, jobs)
    (depth,) = await jobs.depths()
    assert (depth.queue, depth.running, depth.workers) == ("tasks", 2, 1)
    await put(database, 3, kind="another")
    await database.psql("UPDATE entresol.lanes SET queue = 'tsaks' WHERE kind = 'another'")
    floors: dict[int, int] = {}
    for _ in range(2):
        found = await jobs.backlog(floors)
        assert found["tsaks"].ready == 3
    assert [(depth.queue, depth.workers) for depth in await jobs.depths()] == [("tasks", 1), ("tsaks", 0)]
