"""A job from the call that begins it to the operation that is done, on real servers and worker processes."""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.jobs.conftest import LEASE_S, Workshop

import entresol
from entresol.errors import Code, InvalidArgumentError
from entresol.jobs.kinds import Reports
from entresol.testing.servers import run

RESPONSE, METADATA = "workshop.v1.RunTaskResponse", "entresol.ops.v1.JobMetadata"
STATES = ("UNSPECIFIED", "WAITING", "READY", "RUNNING", "SUCCEEDED", "DEAD", "CANCELLED")


def until(holds: Callable[[], object], timeout_s: float = 10.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to that in time"
        time.sleep(0.02)


def state(workshop: Workshop, name: str) -> str:
    metadata = workshop.unpacked(METADATA, workshop.operation(name).metadata)
    return STATES[metadata.state]


def test_a_job_is_done_and_its_operation_has_the_result(workshop: Workshop) -> None:
    name = workshop.begin(label="a", steps=4, pause="0.3s")
    begun = workshop.operation(name)
    metadata = workshop.unpacked(METADATA, begun.metadata)
    assert (begun.done, STATES[metadata.state], metadata.attempt) == (False, "READY", 0)
    assert metadata.method == "workshop.v1.WorkshopService.RunTask"
    with workshop.worker():
        until(lambda: 25 <= workshop.unpacked(METADATA, workshop.operation(name).metadata).percent < 100)
        done = workshop.wait(name)
    response, metadata = (
        workshop.unpacked(RESPONSE, done.response),
        workshop.unpacked(METADATA, done.metadata),
    )
    assert (response.steps, response.attempts) == (4, 1)
    assert (STATES[metadata.state], metadata.attempt) == ("SUCCEEDED", 1)
    assert (
        metadata.create_time.ToDatetime() <= metadata.start_time.ToDatetime() < metadata.end_time.ToDatetime()
    )
    assert workshop.marks() == ["marks/a-1"]


def test_an_attempt_that_fails_is_made_again_and_goes_on_where_the_last_was(workshop: Workshop) -> None:
    name = workshop.begin(label="a", steps=3, failures=1)
    with workshop.worker():
        done = workshop.wait(name)
    response = workshop.unpacked(RESPONSE, done.response)
    assert (response.steps, response.attempts) == (0, 2)
    assert workshop.marks() == ["marks/a-2"]


def test_what_would_fail_again_is_dead_at_once_and_tells_why(workshop: Workshop) -> None:
    name = workshop.begin(label="a", is_wrong=True)
    with workshop.worker():
        done = workshop.wait(name)
    assert (done.error.code, done.error.message) == (Code.FAILED_PRECONDITION, "a cannot be done")
    assert state(workshop, name) == "DEAD"
    metadata = workshop.unpacked(METADATA, done.metadata)
    assert metadata.attempt == 1


def test_an_attempt_whose_time_is_over_fails(workshop: Workshop) -> None:
    name = str(workshop.api.call("HurryTask", label="a", pause="20s").name)
    with workshop.worker():
        done = workshop.wait(name)
    assert done.error.code == Code.DEADLINE_EXCEEDED


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_soon(workshop: Workshop) -> None:
    waiting, running = workshop.begin(label="a"), workshop.begin(label="b", steps=1, pause="20s")
    workshop.api.call("CancelOperation", name=waiting)
    assert workshop.operation(waiting).error.code == Code.CANCELLED
    with workshop.worker():
        until(lambda: state(workshop, running) == "RUNNING")
        workshop.api.call("CancelOperation", name=running)
        began_s = time.monotonic()
        assert workshop.wait(running).error.code == Code.CANCELLED
        assert time.monotonic() - began_s < 3
    assert workshop.marks() == []


def test_what_is_cancelled_is_not_begun_again_though_its_worker_dies_before_it_hears_of_it(
    workshop: Workshop,
) -> None:
    name = workshop.begin(label="a", steps=1, pause="1s")
    with workshop.worker() as first:
        until(lambda: state(workshop, name) == "RUNNING")
        first.send_signal(signal.SIGSTOP)
        workshop.api.call("CancelOperation", name=name)
        first.kill()
    with workshop.worker():
        assert workshop.wait(name).error.code == Code.CANCELLED
    metadata = workshop.unpacked(METADATA, workshop.operation(name).metadata)
    assert (metadata.attempt, workshop.marks()) == (1, [])


def test_a_killed_worker_s_jobs_are_begun_again_by_another(workshop: Workshop) -> None:
    with workshop.worker() as first, workshop.worker():
        names = [workshop.begin(label=f"t{n}", steps=8, pause="0.5s") for n in range(10)]
        until(lambda: all(state(workshop, name) == "RUNNING" for name in names))
        time.sleep(1.2)  # so that some steps are noted
        first.kill()
        killed_s = time.monotonic()
        done = [workshop.wait(name, 20) for name in names]
        took_s = time.monotonic() - killed_s
    attempts = [workshop.unpacked(RESPONSE, one.response).attempts for one in done]
    assert set(attempts) <= {1, 2}
    assert sorted(f"marks/t{n}-{attempt}" for n, attempt in enumerate(attempts)) == workshop.marks()
    if 2 in attempts:  # who claimed what is chance
        assert took_s < LEASE_S + 2 + 8 * 0.5


def test_a_job_whose_worker_is_not_known_is_begun_again(workshop: Workshop) -> None:
    name = workshop.begin(label="a", steps=1, pause="60s")
    with workshop.worker() as first:
        until(lambda: state(workshop, name) == "RUNNING")
        first.kill()
    run(workshop.database.psql("DELETE FROM entresol.workers"))
    with workshop.worker():
        until(lambda: workshop.unpacked(METADATA, workshop.operation(name).metadata).attempt == 2)


@pytest.mark.parametrize("stopped", ["SIGSTOP", "blocked"])
def test_a_worker_that_stands_still_longer_than_its_lease_commits_nothing(
    workshop: Workshop, stopped: str
) -> None:
    block = f"{LEASE_S * 3}s" if stopped == "blocked" else "0s"
    name = workshop.begin(label="a", steps=1, pause="0.5s", block=block)
    with workshop.worker() as first:
        until(lambda: state(workshop, name) == "RUNNING")
        if stopped == "SIGSTOP":
            first.send_signal(signal.SIGSTOP)
        with workshop.worker():
            if stopped == "SIGSTOP":
                until(lambda: workshop.unpacked(METADATA, workshop.operation(name).metadata).attempt == 2)
                first.send_signal(signal.SIGCONT)
            done = workshop.wait(name, 20)
            attempts = workshop.unpacked(RESPONSE, done.response).attempts
            time.sleep(1)
    # A blocked loop keeps its lease, for its heart beats elsewhere; who is stopped altogether loses it.
    assert attempts == (2 if stopped == "SIGSTOP" else 1)
    assert workshop.marks() == [f"marks/a-{attempts}"]


def test_a_worker_that_is_stopped_within_its_transaction_keeps_nobody_from_its_jobs(
    workshop: Workshop,
) -> None:
    names = [workshop.begin(label=label, steps=1, stay="60s") for label in ("a", "b")]
    idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
    with workshop.worker() as first:
        until(lambda: run(workshop.database.psql(idle)).strip() == "2")
        first.send_signal(signal.SIGSTOP)
        with workshop.worker():
            done = [workshop.wait(name) for name in names]
            first.send_signal(signal.SIGCONT)
            until(lambda: run(workshop.database.psql(idle)).strip() == "0")
    assert [workshop.unpacked(RESPONSE, one.response).attempts for one in done] == [2, 2]
    assert workshop.marks() == ["marks/a-2", "marks/b-2"]


def test_what_commits_with_a_checkpoint_is_written_once_though_the_worker_dies_behind_it(
    workshop: Workshop,
) -> None:
    name = workshop.begin(label="a", leaves=True)
    with workshop.worker() as first:
        assert first.wait(10) == 1
    with workshop.worker():
        done = workshop.wait(name)
    assert workshop.unpacked(RESPONSE, done.response).attempts == 2
    assert workshop.marks() == ["marks/a-1"]


def test_a_worker_that_is_told_to_end_hands_its_jobs_back_unused(workshop: Workshop) -> None:
    name = workshop.begin(label="a", steps=3, pause="1s")
    with workshop.worker(drain_s=0.2) as first:
        until(lambda: state(workshop, name) == "RUNNING")
        first.terminate()
        assert first.wait(10) == 0
        assert state(workshop, name) == "READY"
    with workshop.worker():
        done = workshop.wait(name)
    assert workshop.unpacked(RESPONSE, done.response).attempts == 1


def test_an_operation_that_is_not_there_is_not_found(workshop: Workshop) -> None:
    workshop.api.refused(
        Code.NOT_FOUND, "GetOperation", name="operations/01890a5d-ac96-774b-bcce-b302099a8057"
    )
    workshop.api.refused(Code.INVALID_ARGUMENT, "GetOperation", name="operations/nothing")


def test_a_purge_counts_and_then_deletes_what_its_filter_matches(workshop: Workshop) -> None:
    table = workshop.api.model.by_message["workshop.v1.Mark"].table
    columns = "'marks/m' || lpad(n::text, 4, '0'), CASE n % 6 WHEN 0 THEN 'b' ELSE 'a' END, n"
    numbers = f"SELECT {columns} FROM generate_series(1, 1200) AS n"
    run(workshop.database.psql(f"INSERT INTO {table} (name, label, row_version) {numbers}"))
    with workshop.worker():

        def purged(**request: Any) -> tuple[int, list[str]]:
            done = workshop.wait(workshop.api.call("PurgeMarks", filter='label = "a"', **request).name)
            told = workshop.unpacked("workshop.v1.PurgeMarksResponse", done.response)
            return told.purge_count, list(told.purge_sample)

        names = [f"marks/m{number:04}" for number in range(1, 1201) if number % 6]
        assert purged() == (1000, names[:100])
        assert len(workshop.marks()) == 1000  # a page
        assert purged(force=True) == (1000, [])
        assert workshop.marks() == [f"marks/m{number:04}" for number in range(6, 1201, 6)]
        assert purged() == (0, [])


@pytest.mark.parametrize("filter_", ["", "label = "])
def test_a_purge_with_a_wrong_filter_is_refused_at_once(workshop: Workshop, filter_: str) -> None:
    workshop.api.refused(Code.INVALID_ARGUMENT, "PurgeMarks", filter=filter_, force=True)


def test_an_operation_that_failed_can_be_read_as_json_by_every_way(workshop: Workshop) -> None:
    name = workshop.begin(label="a", is_wrong=True)
    with workshop.worker():
        workshop.wait(name)
    told = "workshop.v1.RunTask: a cannot be done"
    with urllib.request.urlopen(f"http://{workshop.web_address}/v1/{name}", timeout=10) as answer:
        by_rest = json.load(answer)
    by_call = json.loads(
        workshop.run(
            "call", "google.longrunning.Operations/GetOperation", f"name={name}", "--json",
            "--address", workshop.address,
        )
    )["reply"]  # fmt: skip
    for operation in (by_rest, by_call):
        assert operation["done"]
        assert operation["error"]["message"] in told
        assert "FAILED_PRECONDITION" in [detail.get("reason") for detail in operation["error"]["details"]], (
            operation
        )


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"step": "a\0"}, "step"),
        ({"step": "\ud800"}, "step"),
        ({"checkpoint": "4"}, "checkpoint"),
        ({"percent": "4"}, "percent"),
    ],
)
def test_a_report_that_cannot_be_kept_is_refused_where_it_is_made(told: dict[str, Any], field: str) -> None:
    nobody: Any = None
    with pytest.raises(InvalidArgumentError) as refused:
        entresol.Job(nobody, nobody, nobody, nobody, Reports()).report(**told)
    assert refused.value.violations[0].field == field
