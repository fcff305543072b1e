"""Work in a test: a real worker while a block lasts, operations that are waited for, schedules that are run now."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from entresol.errors import NotFoundError
from entresol.service.status import CallFailedError
from entresol.testing import Code
from entresol.testing.platforms import ServedPlatform

SERVICE = "stories.v1.ReferrerService"
WAIT = "google.longrunning.Operations/WaitOperation"
DAY = "2026-01-31"


def _click(platform: ServedPlatform, time: str = f"{DAY} 12:00Z") -> None:
    """Click once from example.com at a time that no caller may choose."""
    sql = f"""
        INSERT INTO users (name) VALUES ('users/ann');
        INSERT INTO stories (name, author) VALUES ('stories/1', 'users/ann');
        INSERT INTO clicks (name, parent, referrer, create_time)
        VALUES ('stories/1/clicks/c1', 'stories/1', 'https://example.com/a', '{time}')
    """
    asyncio.run(platform.database.psql(sql))


def _count(platform: ServedPlatform, key: str = DAY) -> str:
    return str(platform.call(f"{SERVICE}/CountReferrers", key=key).name)


def _visits(platform: ServedPlatform, day: str = DAY) -> int:
    name = f"days/{day}/referrers/example.com"
    return int(platform.call(f"{SERVICE}/GetReferrer", name=name).visits)


def _running(platform: ServedPlatform) -> Counter[str]:
    """Return what runs: threads, tasks of the platform's loop, and workers that the database knows."""

    async def tasks() -> list[str]:
        return [task.get_name() for task in asyncio.all_tasks()]

    threads = [thread.name for thread in threading.enumerate()]
    workers = int(asyncio.run(platform.database.psql("SELECT count(*) FROM entresol.workers")))
    found = Counter([*threads, *platform.running.run(tasks()), *(["worker of the database"] * workers)])
    del found["entresol wake-up"]  # of the server, for a moment behind a call that puts a job in
    return Counter({name: number for name, number in found.items() if "entresol" in name or "worker" in name})


def test_what_a_batch_made_is_seen_once_its_operation_was_waited_for(platform: ServedPlatform) -> None:
    _click(platform)
    with pytest.raises(CallFailedError, match="does not exist"):  # which is cached
        _visits(platform)
    with platform.working():
        run = platform.wait(_count(platform))
        assert (run.key, run.output_rows) == (DAY, 1)
        assert _visits(platform) == 1


def test_an_operation_may_be_polled_as_clients_do(platform: ServedPlatform) -> None:
    operation = _count(platform)
    with platform.working():
        told = platform.call(WAIT, name=operation, timeout="10s")
    assert (told.done, told.WhichOneof("result")) == (True, "response")


def test_a_job_that_fails_is_told(platform: ServedPlatform) -> None:
    operation = _count(platform, "no day")
    with platform.working(), pytest.raises(CallFailedError, match="no day") as caught:
        platform.wait(operation)
    assert caught.value.code == Code.INVALID_ARGUMENT


def test_without_a_worker_nothing_is_waited_for(platform: ServedPlatform) -> None:
    operation = _count(platform)
    with pytest.raises(TimeoutError, match=r"JOB_STATE_READY.*no worker runs.*platform\.working\(\)"):
        platform.wait(operation)
    with platform.working():
        done = platform.wait(operation)
    assert platform.wait(operation) == done


def test_a_job_that_is_not_over_in_time_is_told_with_its_state(
    platform: ServedPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = threading.Event()

    async def fails(*_: Any) -> None:
        failed.set()
        raise ValueError("the reader is away")

    monkeypatch.setattr("entresol.service.batches.begin", fails)
    with platform.working():
        operation = _count(platform)
        assert failed.wait(30)
        with pytest.raises(TimeoutError, match=r"JOB_STATE_\w+, attempt [1-9].*in the log"):
            platform.wait(operation, timeout_s=0.1)


def test_a_schedule_is_run_now_with_the_request_it_declares(platform: ServedPlatform) -> None:
    day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    _click(platform, f"{day} 12:00Z")
    operation = platform.run_schedule("referrers")
    with platform.working():
        assert platform.wait(operation).key == day
        assert _visits(platform, day) == 1
    with pytest.raises(NotFoundError, match="schedules/nothing"):
        platform.run_schedule("nothing")


def test_nothing_is_left_running_behind_the_block_and_it_may_come_again(platform: ServedPlatform) -> None:
    _count(platform)  # the server counts queues since its first job
    before = _running(platform)
    for _ in range(2):
        with platform.working():
            platform.wait(_count(platform))
            within = _running(platform)
        begun = {"entresol worker", "entresol scheduler", "entresol heart", "worker of the database"}
        assert begun <= (within - before).keys()
        assert not _running(platform) - before
    with pytest.raises(TimeoutError, match="READY"):
        platform.wait(_count(platform))


def test_a_test_that_fails_within_the_block_leaves_nothing_running(platform: ServedPlatform) -> None:
    _count(platform)
    before = _running(platform)
    with pytest.raises(KeyError, match="of the test"), platform.working():
        raise KeyError("of the test")
    assert not _running(platform) - before
