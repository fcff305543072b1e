"""Jobs that wait for others: begun when all of those have succeeded, whatever happens meanwhile."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.integration.jobs.conftest import Workshop
from tests.integration.jobs.test_jobs import METADATA, RESPONSE, state, until

from entresol.errors import Code

GATHERED = "workshop.v1.GatherTaskResponse"


def chain(workshop: Workshop, *tasks: dict[str, Any], **request: Any) -> list[str]:
    return list(workshop.api.call("ChainTasks", tasks=tasks, **request).operations)


def gather(workshop: Workshop, after: list[str]) -> str:
    (name,) = chain(workshop, names=after, gathers=True)
    return name


def step(workshop: Workshop, name: str) -> str:
    return str(workshop.unpacked(METADATA, workshop.operation(name).metadata).step)


def steps(workshop: Workshop, name: str) -> list[int]:
    """Return what a task that gathers was told."""
    done = workshop.wait(name, 30)
    assert not done.HasField("error"), done.error
    return list(workshop.unpacked(GATHERED, done.response).steps)


def error(workshop: Workshop, name: str) -> tuple[Code, str]:
    done = workshop.wait(name)
    return Code(done.error.code), done.error.message


def test_each_of_a_chain_begins_behind_the_end_of_the_one_before_it(workshop: Workshop) -> None:
    names = chain(workshop, *({"label": f"t{n}", "steps": 1, "pause": "0.1s"} for n in range(5)))
    until(lambda: step(workshop, names[4]) == "waits for 1 operation")
    assert [state(workshop, name) for name in names] == ["READY"] + ["WAITING"] * 4
    with workshop.worker():
        ended = [workshop.unpacked(METADATA, workshop.wait(name).metadata) for name in names]
    for first, second in itertools.pairwise(ended):
        assert first.end_time.ToDatetime() <= second.start_time.ToDatetime()
        # Nobody polls for it: workers are told.
        assert (second.start_time.ToDatetime() - first.end_time.ToDatetime()).total_seconds() < 0.2
    assert workshop.marks() == [f"marks/t{n}-1" for n in range(5)]


def test_what_gathers_has_the_results_of_200_in_their_order(workshop: Workshop) -> None:
    names = chain(workshop, *({"label": f"t{n}", "steps": n} for n in range(200)), gathers=True)
    assert step(workshop, names[-1]) == "waits for 200 operations"
    assert "waits for 200 operations" in workshop.run("jobs", "list", "--state", "waiting")
    with workshop.worker(), workshop.worker():
        assert steps(workshop, names[-1]) == list(range(200))
    assert len(workshop.marks()) == 200


def test_what_is_over_already_is_not_waited_for(workshop: Workshop) -> None:
    with workshop.worker():
        first, second = chain(workshop, {"label": "a", "steps": 1}, {"label": "b", "steps": 2})
        workshop.wait(second)
        assert steps(workshop, gather(workshop, [second, first])) == [2, 1]


def test_who_waits_for_one_that_is_cancelled_is_dead_and_tells_for_whom(workshop: Workshop) -> None:
    first, second, third = chain(workshop, *({"label": label} for label in "abc"))
    workshop.api.call("CancelOperation", name=first)
    with workshop.worker():
        told = error(workshop, second)
        assert told == (Code.FAILED_PRECONDITION, f"{first}, which it waited for, is cancelled")
        # Of one that is dead nobody knows if it will be tried again.
        assert state(workshop, third) == "WAITING"
        assert workshop.run("jobs", "purge", second) == "1 job deleted\n"
        assert error(workshop, third)[1].startswith(f"{second}, which it waited for, was purged")
    assert workshop.marks() == []


def test_who_waits_for_one_that_is_cancelled_while_it_runs_is_dead(workshop: Workshop) -> None:
    first, second = chain(workshop, {"label": "a", "steps": 1, "pause": "20s"}, {"label": "b"})
    with workshop.worker():
        until(lambda: state(workshop, first) == "RUNNING")
        workshop.api.call("CancelOperation", name=first)
        assert error(workshop, second)[0] == Code.FAILED_PRECONDITION


def test_who_waits_for_one_that_is_dead_goes_on_when_that_is_tried_again(workshop: Workshop) -> None:
    first, second = chain(workshop, {"label": "a", "failures": 4}, {"label": "b"})
    with workshop.worker():
        until(lambda: state(workshop, first) == "DEAD", 30)
        assert (state(workshop, second), step(workshop, second)) == ("WAITING", "waits for 1 operation")
        assert workshop.run("jobs", "retry", first) == "1 job ready again\n"
        workshop.wait(second)
    assert workshop.marks() == ["marks/a-5", "marks/b-1"]


def test_one_that_waits_is_cancelled_alone(workshop: Workshop) -> None:
    first, second = chain(workshop, {"label": "a"}, {"label": "b"})
    workshop.api.call("CancelOperation", name=second)
    assert workshop.operation(second).error.code == Code.CANCELLED
    with workshop.worker():
        assert workshop.unpacked(RESPONSE, workshop.wait(first).response).attempts == 1
    assert workshop.marks() == ["marks/a-1"]


def test_nobody_waits_for_what_is_not_known(workshop: Workshop) -> None:
    nobody = "operations/01890a5d-ac96-774b-bcce-b302099a8057"
    for after in ([nobody], ["operations/a"], [(name := workshop.begin(label="a")), name]):
        workshop.api.refused(Code.INVALID_ARGUMENT, "ChainTasks", names=after, gathers=True)


def test_a_chain_goes_on_when_its_worker_is_killed(workshop: Workshop) -> None:
    names = chain(workshop, *({"label": f"t{n}", "steps": 1, "pause": "0.5s"} for n in range(5)))
    with workshop.worker() as first:
        until(lambda: state(workshop, names[2]) == "RUNNING")
        first.kill()
    with workshop.worker():
        done = [workshop.wait(name, 20) for name in names]
    attempts = [workshop.unpacked(RESPONSE, one.response).attempts for one in done]
    assert attempts == [1, 1, 2, 1, 1]
    assert workshop.marks() == [f"marks/t{n}-{attempt}" for n, attempt in enumerate(attempts)]


def test_a_transaction_that_stays_open_keeps_nobody_that_it_names_from_ending(workshop: Workshop) -> None:
    with workshop.worker():
        first = workshop.begin(label="a", steps=1, pause="0.5s")
        with ThreadPoolExecutor(1) as other:
            chained = other.submit(chain, workshop, {"label": "b"}, names=[first], stay="4s")
            workshop.wait(first, 3)
            assert not chained.done()
        workshop.wait(chained.result()[0])
