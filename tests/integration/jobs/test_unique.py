"""Unique jobs: of one key, and of one request_id, there is one job, and who asks again gets its name."""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.integration.jobs.conftest import ENTRESOL, Workshop, environment
from tests.integration.jobs.test_jobs import RESPONSE, state, until

from entresol.errors import Code
from entresol.testing.servers import run

CALLERS = 64


def order(workshop: Workshop, key: str, **request: Any) -> str:
    return str(workshop.api.call("OrderTask", key=key, **request).operation)


def at_once(call: Callable[[], str]) -> set[str]:
    """Return what so many callers are told at the same time."""
    with ThreadPoolExecutor(CALLERS) as callers:
        return {future.result() for future in [callers.submit(call) for _ in range(CALLERS)]}


def count(workshop: Workshop) -> int:
    return int(run(workshop.database.psql("SELECT count(*) FROM entresol.jobs")))


def test_callers_with_one_request_id_get_one_operation(workshop: Workshop) -> None:
    id_ = str(uuid.uuid4())
    (name,) = at_once(lambda: workshop.begin(label="a", request_id=id_))
    assert count(workshop) == 1
    with workshop.worker():
        workshop.wait(name)
    assert workshop.begin(label="a", request_id=id_.upper()) == name
    assert workshop.begin(label="a", request_id=str(uuid.uuid4())) != name
    workshop.api.refused(Code.INVALID_ARGUMENT, "RunTask", label="b", request_id=id_)


def test_what_is_only_validated_begins_nothing(workshop: Workshop) -> None:
    id_ = str(uuid.uuid4())
    operation = workshop.api.call("RunTask", label="a", request_id=id_, validate_only=True)
    assert (operation.name, operation.done) == ("", True)
    assert workshop.unpacked(RESPONSE, operation.response).steps == 0
    assert count(workshop) == 0
    workshop.begin(label="a", request_id=id_)  # which nobody has used
    workshop.api.refused(Code.INVALID_ARGUMENT, "RunTask", validate_only=True)


@pytest.mark.parametrize("unique_for", ["0s", "60s"])
def test_callers_with_one_key_get_one_job(workshop: Workshop, unique_for: str) -> None:
    names = at_once(lambda: order(workshop, "a", unique_for=unique_for))
    assert len(names) == 1
    assert order(workshop, "b", unique_for=unique_for) not in names
    assert count(workshop) == 2


def test_a_key_is_free_once_its_job_is_over_or_dead(workshop: Workshop) -> None:
    with workshop.worker():
        first = order(workshop, "a", pause="1s")
        until(lambda: state(workshop, first) == "RUNNING")
        assert order(workshop, "a") == first
        workshop.wait(first)
        dead = order(workshop, "a", is_wrong=True)
        workshop.wait(dead)
        assert state(workshop, dead) == "DEAD"
        last = order(workshop, "a", pause="25s")
        assert len({first, dead, last}) == 3
        until(lambda: state(workshop, last) == "RUNNING")
        # A dead one does not come back beside one that has its key now.
        assert _retry(workshop) == "0 jobs ready again\n"
        workshop.api.call("CancelOperation", name=last)
        workshop.wait(last)
        assert _retry(workshop) == "1 job ready again\n"


def _retry(workshop: Workshop) -> str:
    command = [ENTRESOL, "jobs", "retry", "--all"]
    return subprocess.run(
        command, env=environment(workshop.settings), capture_output=True, text=True, check=True
    ).stdout


def test_a_key_with_a_period_is_taken_until_both_are_over(workshop: Workshop) -> None:
    with workshop.worker():
        first = order(workshop, "a", unique_for="3s")
        put_s = time.monotonic()
        workshop.wait(first)
        assert order(workshop, "a", unique_for="3s") == first
        until(lambda: order(workshop, "a", unique_for="3s", pause="4s") != first)
        assert 2.5 < time.monotonic() - put_s < 4
        second = order(workshop, "a", unique_for="3s")
        time.sleep(3.2)  # its period is over, and it is not
        assert order(workshop, "a", unique_for="3s") == second
        workshop.wait(second)
        assert order(workshop, "a", unique_for="3s") != second
