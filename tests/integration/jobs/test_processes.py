"""Isolated jobs: each in a process of its own, which may do whatever it likes, and takes nobody along."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.integration.jobs.conftest import Workshop
from tests.integration.jobs.test_jobs import METADATA, RESPONSE, state, until
from tests.integration.jobs.test_threads import pauses_s

from entresol.errors import Code
from entresol.jobs.processes import ATTEMPTS_MAX

ATTEMPTS, TIMEOUT_S = 2, 6  # as the proto says


def crunch(workshop: Workshop, label: str, how: str = "", **request: Any) -> str:
    return str(workshop.api.call("CrunchTask", label=label, how=how, **request).name)


def process_of(workshop: Workshop, name: str) -> int:
    """Return the process that a running attempt told, or 0."""
    return int(workshop.unpacked(METADATA, workshop.operation(name).metadata).step or 0)


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_an_isolated_job_is_done_in_a_process_that_is_used_again(workshop: Workshop) -> None:
    with workshop.worker(jobs_processes=1) as worker:
        names = [crunch(workshop, f"t{n}") for n in range(5)]
        responses = [workshop.unpacked(RESPONSE, workshop.wait(name).response) for name in names]
        assert len({response.steps for response in responses}) == 1
        assert responses[0].steps not in (0, os.getpid(), worker.pid)
        assert is_there(responses[0].steps)
    assert not is_there(responses[0].steps)
    assert {response.attempts for response in responses} == {1}
    assert workshop.marks() == [f"marks/t{n}-1" for n in range(5)]


def test_a_process_is_renewed_when_it_has_grown_or_made_many_attempts(workshop: Workshop) -> None:
    def process_that_does(how: str) -> int:
        return int(workshop.unpacked(RESPONSE, workshop.wait(crunch(workshop, "a", how)).response).steps)

    with workshop.worker(jobs_processes=1):
        first, second = process_that_does("grow"), process_that_does("pid")
        assert first != second
        names = [crunch(workshop, "a", "pid") for _ in range(ATTEMPTS_MAX)]
        responses = [workshop.unpacked(RESPONSE, workshop.wait(name, 30).response) for name in names]
        processes = {response.steps for response in responses}
        assert len(processes) == 2
        assert second in processes
        until(lambda: not is_there(first) and not is_there(second))


def test_what_takes_more_memory_than_a_process_may_have_fails(workshop: Workshop) -> None:
    with workshop.worker(jobs_processes=1, jobs_process_size_bytes_max=256 << 20):
        name = crunch(workshop, "a", "grow")
        until(lambda: state(workshop, name) == "WAITING")
        workshop.api.call("CancelOperation", name=name)
        other = workshop.wait(crunch(workshop, "a", "pid"))
    assert workshop.unpacked(RESPONSE, other.response).attempts == 1


def test_where_no_process_can_start_its_jobs_wait_and_others_do_not(workshop: Workshop) -> None:
    with workshop.worker(jobs_process_size_bytes_max=16 << 20):
        name = crunch(workshop, "a", "pid")
        others = [workshop.begin(label=f"b{n}") for n in range(3)]
        assert all(workshop.wait(other).HasField("response") for other in others)
        time.sleep(3)  # for a process to be tried
        assert state(workshop, name) == "READY"
    with workshop.worker():
        assert workshop.unpacked(RESPONSE, workshop.wait(name).response).attempts == 1


def test_what_never_ends_is_killed_when_its_time_is_over(workshop: Workshop) -> None:
    with workshop.worker(jobs_processes=2):
        names = [crunch(workshop, how, how) for how in ("spin", "hold")]
        until(lambda: all(process_of(workshop, name) for name in names))
        processes = [process_of(workshop, name) for name in names]
        others = [workshop.begin(label=f"b{n}", steps=2, pause="0.1s") for n in range(5)]
        for other in others:
            assert workshop.unpacked(RESPONSE, workshop.wait(other).response).attempts == 1
        until(lambda: not any(map(is_there, processes)), TIMEOUT_S + 6)
        ended = [workshop.wait(name, 30) for name in names]
    assert [one.error.code for one in ended] == [Code.DEADLINE_EXCEEDED] * 2
    assert [workshop.unpacked(METADATA, one.metadata).attempt for one in ended] == [ATTEMPTS] * 2


def test_the_death_of_its_process_is_a_failure_of_the_attempt_and_of_no_other(workshop: Workshop) -> None:
    with workshop.worker(jobs_processes=4) as worker:
        others = [crunch(workshop, "b", pause="4s"), workshop.begin(label="c", steps=1, pause="6s")]
        until(lambda: all(state(workshop, other) == "RUNNING" for other in others))
        texts = {"abort": "SIGABRT", "eat": "SIGKILL", "exit": "ended with status 3"}
        names = {how: crunch(workshop, "a", how) for how in texts}
        for how, text in texts.items():
            done = workshop.wait(names[how], 30)
            assert text in done.error.message
            assert state(workshop, names[how]) == "DEAD"
            assert workshop.unpacked(METADATA, done.metadata).attempt == ATTEMPTS
        for other in others:
            assert workshop.unpacked(RESPONSE, workshop.wait(other).response).attempts == 1
        assert worker.poll() is None
    assert workshop.marks() == ["marks/b-1", "marks/c-1"]


def test_what_an_isolated_job_raises_arrives(workshop: Workshop) -> None:
    with workshop.worker(jobs_processes=1):
        done = workshop.wait(crunch(workshop, "a", "wrong"))
        assert (done.error.code, done.error.message) == (Code.FAILED_PRECONDITION, "a cannot be done")
        assert workshop.unpacked(METADATA, done.metadata).attempt == 1
        later = crunch(workshop, "b", "later", pause="3s")
        until(lambda: state(workshop, later) == "WAITING")
        assert pauses_s(workshop) == [3.0]
        assert workshop.unpacked(RESPONSE, workshop.wait(later).response).attempts == 2


def test_what_is_cancelled_is_killed_whatever_it_does(workshop: Workshop) -> None:
    with workshop.worker():
        name = crunch(workshop, "a", "spin")
        until(lambda: process_of(workshop, name))
        process = process_of(workshop, name)
        workshop.api.call("CancelOperation", name=name)
        assert workshop.wait(name).error.code == Code.CANCELLED
        assert not is_there(process)


def test_what_an_isolated_job_started_ends_with_it(workshop: Workshop) -> None:
    with workshop.worker():
        name = crunch(workshop, "a", "start")
        until(lambda: workshop.unpacked(METADATA, workshop.operation(name).metadata).percent == 20)
        started = process_of(workshop, name)
        assert is_there(started)
        workshop.api.call("CancelOperation", name=name)
        assert workshop.wait(name).error.code == Code.CANCELLED
        until(lambda: not is_there(started))


def test_an_isolated_coroutine_hears_that_it_is_to_end(workshop: Workshop, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    with workshop.worker():
        name = crunch(workshop, str(heard), "await")
        until(lambda: process_of(workshop, name))
        workshop.api.call("CancelOperation", name=name)
        assert workshop.wait(name).error.code == Code.CANCELLED
        assert heard.read_text() == "told"


def test_a_killed_worker_leaves_no_process_behind(workshop: Workshop) -> None:
    with workshop.worker() as worker:
        names = [crunch(workshop, "a", "hold"), crunch(workshop, "b", "spin")]
        until(lambda: all(process_of(workshop, name) for name in names))
        processes = [process_of(workshop, name) for name in names]
        assert all(map(is_there, processes))
        worker.kill()
        until(lambda: not any(map(is_there, processes)))


def test_a_worker_that_is_told_to_end_hands_isolated_jobs_back_unused(workshop: Workshop) -> None:
    with workshop.worker(drain_s=0.2) as first:
        name = crunch(workshop, "a", "spin")
        until(lambda: process_of(workshop, name))
        process = process_of(workshop, name)
        first.terminate()
        assert first.wait(15) == 0
        assert not is_there(process)
    assert state(workshop, name) == "READY"
    assert workshop.unpacked(METADATA, workshop.operation(name).metadata).attempt == 0


def test_an_isolated_job_of_a_worker_that_stands_still_commits_nothing(
    workshop: Workshop, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with workshop.worker(jobs_lease_s=1) as first:
        name = crunch(workshop, "a", str(gate))
        until(lambda: process_of(workshop, name))
        first.send_signal(signal.SIGSTOP)  # its process goes on
        with workshop.worker():
            until(lambda: workshop.unpacked(METADATA, workshop.operation(name).metadata).attempt == 2, 30)
            gate.touch()
            done = workshop.wait(name, 20)
            until(lambda: Path(f"{gate}-1").exists())
            first.send_signal(signal.SIGCONT)
    assert workshop.unpacked(RESPONSE, done.response).attempts == 2
    assert workshop.marks() == ["marks/a-2"]
