"""Plain functions: each in a thread, so that one that blocks holds up nobody, on real worker processes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.integration.jobs.conftest import Workshop
from tests.integration.jobs.test_jobs import METADATA, RESPONSE, state, until
from tests.integration.jobs.test_schedules import rows

from entresol.errors import Code


def block(workshop: Workshop, label: str, **request: Any) -> str:
    return str(workshop.api.call("BlockTask", label=label, **request).name)


def pauses_s(workshop: Workshop) -> list[float]:
    """Return how long each job that waits does so, from when its attempt failed."""
    found = rows(
        workshop,
        "SELECT extract(epoch FROM due_time - update_time)::float8 FROM entresol.jobs WHERE state = 'waiting'",
    )
    return [row[0] for row in found]


def test_a_function_that_blocks_holds_up_no_other(workshop: Workshop) -> None:
    with workshop.worker():
        blocked = block(workshop, "slow", pause="4s")
        until(lambda: state(workshop, blocked) == "RUNNING")
        quick = [workshop.begin(label=f"a{n}", steps=2, pause="0.01s") for n in range(5)]
        quick += [block(workshop, f"b{n}", pause="0.1s") for n in range(5)]
        assert all(workshop.wait(name).HasField("response") for name in quick)
        assert state(workshop, blocked) == "RUNNING"
        done = workshop.wait(blocked)
    assert workshop.unpacked(RESPONSE, done.response).attempts == 1
    assert "marks/slow-1" in workshop.marks()
    assert len(workshop.marks()) == 11


def test_a_function_hears_that_it_is_cancelled_when_it_reports(workshop: Workshop, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    with workshop.worker():
        name = block(workshop, str(heard), how="report")
        until(lambda: workshop.unpacked(METADATA, workshop.operation(name).metadata).step == "on")
        workshop.api.call("CancelOperation", name=name)
        assert workshop.wait(name).error.code == Code.CANCELLED
        assert heard.read_text() == "told"


def test_a_thread_that_cannot_be_ended_is_left_behind_and_counts_as_running(workshop: Workshop) -> None:
    with workshop.worker(jobs_concurrency=1, drain_s=0.2) as worker:
        stuck = block(workshop, "stuck", pause="60s")
        until(lambda: state(workshop, stuck) == "RUNNING")
        workshop.api.call("CancelOperation", name=stuck)
        assert workshop.wait(stuck).error.code == Code.CANCELLED
        other = workshop.begin(label="a")
        time.sleep(2)
        assert state(workshop, other) == "READY"
        worker.terminate()
        assert worker.wait(10) == 0
    assert workshop.marks() == []


def test_a_function_that_would_end_the_process_fails_and_no_other_does(workshop: Workshop) -> None:
    with workshop.worker():
        other = workshop.begin(label="a", steps=1, pause="2s")
        name = block(workshop, "b", how="exit")
        until(lambda: state(workshop, name) == "WAITING")
        assert workshop.unpacked(RESPONSE, workshop.wait(other).response).attempts == 1


def test_the_next_attempt_comes_no_sooner_than_the_error_says(workshop: Workshop) -> None:
    name = block(workshop, "a", how="later", pause="3s")
    with workshop.worker():
        until(lambda: state(workshop, name) == "WAITING")
        assert pauses_s(workshop) == [3.0]
        done = workshop.wait(name)
    assert workshop.unpacked(RESPONSE, done.response).attempts == 2
