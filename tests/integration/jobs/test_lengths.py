"""Full queues: who puts a job into a full queue is refused, by every process, and let in again when it is not."""

from __future__ import annotations

import asyncio

import pytest
from google.rpc import error_details_pb2
from tests.integration.jobs.conftest import Workshop, put
from tests.integration.jobs.test_jobs import until

from entresol.errors import Code, QueueFullError
from entresol.service.status import CallFailedError
from entresol.storage.job_ids import new_id
from entresol.storage.lengths import Lengths
from entresol.storage.new_jobs import Lane, NewJob
from entresol.storage.pools import Pools
from entresol.testing.servers import Database, run


def test_who_puts_a_job_into_a_full_queue_is_told_when_to_come_again(workshop: Workshop) -> None:
    def is_let_in() -> bool:
        try:
            workshop.api.call("PaceTask", label="a")
        except CallFailedError:
            return False
        return True

    let_in = 0
    while is_let_in():
        let_in += 1
    assert 100 <= let_in < 105
    refusal = workshop.api.refused(Code.RESOURCE_EXHAUSTED, "PaceTask", label="a")
    assert refusal.info.reason == "QUEUE_FULL"
    (retry,) = refusal.details(error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1
    workshop.begin(label="b")  # of a method that allows for more
    run(workshop.database.psql("DELETE FROM entresol.jobs"))
    until(is_let_in, 5)


def new(queue: str, queue_max: int | None) -> NewJob:
    lane = Lane(queue, "tasks.v1.TaskService.PaceTask")
    return NewJob(new_id(), lane, b"", attempts_max=1, timeout_s=1.0, queue_max=queue_max)


async def is_full(lengths: Lengths, queue_max: int) -> bool:
    """Tell whether one is refused, once the process has looked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("entresol.storage.lengths.LOOK_S", 0.05)
        for _ in range(100):
            try:
                lengths.admit([new("tasks", queue_max)])
            except QueueFullError:
                await asyncio.sleep(0.02)
                return True
            await asyncio.sleep(0.02)
    return False


async def test_a_process_knows_what_others_put_in(database: Database, pools: Pools) -> None:
    await put(database, 500, tenants=2)
    await database.psql("UPDATE entresol.jobs SET state = 'waiting' WHERE random() < 0.3")
    first, second = Lengths(pools), Lengths(pools)
    assert await is_full(first, 1000)
    assert await is_full(second, 1000)
    assert not await is_full(Lengths(pools), 1200)
    await database.psql("UPDATE entresol.jobs SET state = 'running' WHERE id <> gen_random_uuid()")
    async with asyncio.timeout(10):
        while await is_full(first, 1000):
            pass


async def test_what_a_process_puts_in_counts_at_once_and_all_or_nothing(pools: Pools) -> None:
    lengths = Lengths(pools)
    lengths.admit([new("tasks", 10)] * 9)
    with pytest.raises(QueueFullError):
        lengths.admit([new("tasks", 10)] * 2)
    lengths.admit([new("tasks", 10)])
    lengths.admit([new("tasks", None), new("others", 1)])
    with pytest.raises(QueueFullError):
        lengths.admit([new("others", 1)])
