"""What operators see and do by `entresol.ops.v1`, while real workers run."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from datetime import datetime
from typing import Any

import pytest
from tests.integration.jobs.conftest import FUNCTIONS as EVERY
from tests.integration.jobs.conftest import HERE, OPERATOR, SERVICE, Workshop
from tests.integration.jobs.test_jobs import until

from entresol.errors import Code
from entresol.testing.servers import run

FUNCTIONS = f"{EVERY},{HERE / 'ticking.py'}"
NAME = "schedules/hourly"
# As if the last worker that declares a schedule had ended more than a minute ago.
LAPSE = "UPDATE entresol.schedules SET declared_time = declared_time - interval '61 s'"
STATES = ("UNSPECIFIED", "ACTIVE", "PAUSED", "UNDECLARED", "ENDED")


def create(workshop: Workshop, name: str = NAME, **fields: Any) -> Any:
    schedule = {"method": f"{SERVICE}.RunTask", "timing": "0 * * * *", "request": {"label": "h"}, **fields}
    return workshop.operate("CreateSchedule", schedule_id=name.removeprefix("schedules/"), schedule=schedule)


def state(workshop: Workshop, name: str) -> str:
    return STATES[workshop.operate("GetSchedule", name=name).state]


def ticks(workshop: Workshop, name: str) -> list[Any]:
    return [*workshop.operate("ListTicks", parent=name, page_size=1000).ticks]


def ticks_when_declared(workshop: Workshop, name: str) -> list[Any]:
    """Return the ticks of a schedule that a worker is about to declare."""
    known = [schedule.name for schedule in workshop.operate("ListSchedules").schedules]
    return ticks(workshop, name) if name in known else []


def test_only_operators_may_call_and_the_others_are_told_nothing(workshop: Workshop) -> None:
    for method in ("ListSchedules", "ListJobs", "ListQueues", "ListOperations"):
        workshop.api.refused(Code.PERMISSION_DENIED, method)
    assert list(workshop.operate("ListSchedules").schedules) == []
    name = workshop.begin(label="a")
    assert [one.name for one in workshop.operate("ListOperations").operations] == [name]


def test_a_schedule_is_made_shown_and_deleted(workshop: Workshop) -> None:
    made = create(
        workshop, zone="Europe/London", overlap="queue", jitter="1.500s", start_time="2999-01-01T00:30:00Z"
    )
    assert made == workshop.operate("GetSchedule", name=NAME)
    assert (made.name, made.zone, made.overlap, made.missed, made.missed_max) == (
        NAME, "Europe/London", "queue", "latest", 100
    )  # fmt: skip
    assert made.jitter.ToMilliseconds() == 1500
    assert (made.request["label"], made.declared) == ("h", False)
    assert made.next_time.ToJsonString() == "2999-01-01T01:00:00Z"
    workshop.api.refused(
        Code.ALREADY_EXISTS, "CreateSchedule", OPERATOR, schedule_id="hourly",
        schedule={"method": f"{SERVICE}.RunTask", "timing": "0 * * * *", "request": {"label": "h"}},
    )  # fmt: skip
    workshop.operate("DeleteSchedule", name=NAME)
    workshop.api.refused(Code.NOT_FOUND, "GetSchedule", OPERATOR, name=NAME)
    workshop.api.refused(Code.NOT_FOUND, "DeleteSchedule", OPERATOR, name=NAME)


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"timing": "soon"}, "neither"), ({"zone": "Atlantis"}, "no time zone"), ({"overlap": "maybe"}, "choose of"),
     ({"request": {"lable": "h"}}, "does not fit"), ({"method": f"{SERVICE}.GetMark"}, "no method that has a job"),
     ({"missed_max": -1}, "missed_max")],
)  # fmt: skip
def test_a_schedule_that_cannot_work_is_refused(
    workshop: Workshop, fields: dict[str, Any], said: str
) -> None:
    schedule = {"method": f"{SERVICE}.RunTask", "timing": "0 * * * *", "request": {"label": "h"}, **fields}
    refused = workshop.api.refused(
        Code.INVALID_ARGUMENT, "CreateSchedule", OPERATOR, schedule_id="x", schedule=schedule
    )
    assert said in str(refused.violations)


def test_schedules_and_ticks_come_in_pages(workshop: Workshop) -> None:
    names = [f"schedules/{letter}" for letter in "abcde"]
    for name in names:
        create(workshop, name)
    pages, token = [], ""
    while True:
        page = workshop.operate("ListSchedules", page_size=2, page_token=token)
        pages += [schedule.name for schedule in page.schedules]
        if not (token := page.next_page_token):
            break
    assert pages == names
    workshop.operate(
        "BackfillSchedule", name=names[0], start_time="2026-01-01T00:00:00Z", end_time="2026-01-01T05:00:00Z"
    )
    times, token = [], ""
    while True:
        page = workshop.operate("ListTicks", parent=names[0], page_size=2, page_token=token)
        times += [tick.time.ToJsonString()[11:13] for tick in page.ticks]
        if not (token := page.next_page_token):
            break
    assert times == ["04", "03", "02", "01", "00"]
    workshop.api.refused(Code.INVALID_ARGUMENT, "ListTicks", OPERATOR, parent=names[0], page_token="x")


def test_ticks_of_a_paused_schedule_are_listed_and_it_goes_on_when_resumed(workshop: Workshop) -> None:
    create(workshop, timing="every 200ms", request={"label": "p"}, overlap="allow")
    with workshop.worker():
        until(lambda: ticks(workshop, NAME))
        paused = workshop.operate("PauseSchedule", name=NAME, reason="the disk is full")
        assert (STATES[paused.state], paused.pause_reason) == ("PAUSED", "the disk is full")
        until(lambda: any(tick.reason == "paused" for tick in ticks(workshop, NAME)))
        assert not any(tick.operation and tick.reason for tick in ticks(workshop, NAME))
        resumed = workshop.operate("ResumeSchedule", name=NAME)
        assert (STATES[resumed.state], resumed.pause_reason) == ("ACTIVE", "")
        until(lambda: ticks(workshop, NAME)[0].operation)


def test_a_paused_schedule_can_be_run_now(workshop: Workshop) -> None:
    create(workshop)
    workshop.operate("PauseSchedule", name=NAME)
    name = workshop.operate("RunSchedule", name=NAME).operation
    with workshop.worker():
        assert not workshop.wait(name).HasField("error")
    (mark,) = workshop.marks()
    assert mark.startswith("marks/h-")
    tick = workshop.operate("GetJob", name=name).tick
    assert (tick.schedule, tick.operation) == (NAME, name)
    assert [one.operation for one in ticks(workshop, NAME)] == [name]


def test_the_ticks_of_a_time_that_is_past_are_put_in_once_each(workshop: Workshop) -> None:
    create(workshop, timing="30 1 * * *", zone="Europe/London")
    time = {"start_time": "2026-03-28T00:00:00Z", "end_time": "2026-03-31T00:00:00Z"}
    put = workshop.operate("BackfillSchedule", name=NAME, **time).ticks
    assert [tick.time.ToJsonString() for tick in put] == [
        "2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"
    ]  # fmt: skip
    again = {"start_time": "2026-03-30T00:30:00Z", "end_time": "2026-03-31T00:30:00Z"}
    assert list(workshop.operate("BackfillSchedule", name=NAME, **again).ticks) == []
    jobs = workshop.operate("ListJobs", method=f"{SERVICE}.RunTask").jobs
    assert sorted(job.name for job in jobs) == sorted(tick.operation for tick in put)
    assert {job.tick.time.ToJsonString() for job in jobs} == {tick.time.ToJsonString() for tick in put}


def test_a_backfill_is_bounded_and_of_the_past(workshop: Workshop) -> None:
    create(workshop, timing="every 1m")
    for begin, end in (
        ("2026-01-01", "2026-01-02"),
        ("2026-01-01", "2999-01-01"),
        ("2026-01-02", "2026-01-01"),
    ):
        time = {"start_time": f"{begin}T00:00:00Z", "end_time": f"{end}T00:00:00Z"}
        workshop.api.refused(Code.INVALID_ARGUMENT, "BackfillSchedule", OPERATOR, name=NAME, **time)
    assert ticks(workshop, NAME) == []


def test_what_a_call_changes_of_a_declared_schedule_outlives_workers_but_no_new_declaration(
    workshop: Workshop,
) -> None:
    name = "schedules/each-second"
    with workshop.worker(functions=FUNCTIONS):
        until(lambda: ticks_when_declared(workshop, name))
        changed = workshop.operate(
            "UpdateSchedule", schedule={"name": name, "timing": "0 0 1 1 *", "missed": "skip"}
        )
        assert (changed.timing, changed.missed, changed.overlap) == ("0 0 1 1 *", "skip", "allow")
        assert changed.next_time.ToDatetime() > datetime.fromisoformat("2026-12-01")
        workshop.api.refused(Code.FAILED_PRECONDITION, "DeleteSchedule", OPERATOR, name=name)
    run(workshop.database.psql(LAPSE))
    with workshop.worker(functions=FUNCTIONS):
        until(lambda: state(workshop, name) == "ACTIVE")  # the worker has told what it declares
        assert workshop.operate("GetSchedule", name=name).timing == "0 0 1 1 *"
    run(workshop.database.psql("UPDATE entresol.schedules SET declaration = 'another'"))
    with workshop.worker(functions=FUNCTIONS):
        until(lambda: workshop.operate("GetSchedule", name=name).timing == "every 1s")


def test_only_what_the_mask_names_is_changed(workshop: Workshop) -> None:
    create(workshop, zone="Europe/London", end_time="2999-01-01T00:00:00Z")
    changed = workshop.operate(
        "UpdateSchedule", schedule={"name": NAME, "timing": "every 1m"}, update_mask="zone,end_time"
    )
    assert (changed.timing, changed.zone, changed.HasField("end_time")) == ("0 * * * *", "UTC", False)
    workshop.api.refused(
        Code.INVALID_ARGUMENT, "UpdateSchedule", OPERATOR, schedule={"name": NAME}, update_mask="method"
    )


def test_a_schedule_that_no_code_declares_any_more_does_not_tick_until_one_does_again(
    workshop: Workshop,
) -> None:
    name = "schedules/each-second"
    with workshop.worker(functions=FUNCTIONS):
        until(lambda: ticks_when_declared(workshop, name))
    create(workshop, timing="every 200ms", overlap="allow")
    # As if the last worker that declares it had ended more than a minute ago.
    run(
        workshop.database.psql(
            "UPDATE entresol.schedules SET declared_time = declared_time - interval '61 s'"
        )
    )
    assert state(workshop, name) == "UNDECLARED"
    assert state(workshop, NAME) == "ACTIVE"
    seen = len(ticks(workshop, name))
    with workshop.worker():
        until(lambda: len(ticks(workshop, NAME)) > 10)
    assert len(ticks(workshop, name)) == seen
    with workshop.worker(functions=FUNCTIONS):
        until(lambda: len(ticks(workshop, name)) > seen)
        assert state(workshop, name) == "ACTIVE"
    run(
        workshop.database.psql(
            "UPDATE entresol.schedules SET declared_time = declared_time - interval '61 s'"
        )
    )
    workshop.operate("DeleteSchedule", name=name)


def test_jobs_are_listed_cancelled_tried_again_and_deleted(workshop: Workshop) -> None:
    dead = [workshop.begin(label=label, is_wrong=True) for label in "ab"]
    with workshop.worker():
        for name in dead:
            workshop.wait(name)
    ready = workshop.begin(label="c")
    assert [job.name for job in workshop.operate("ListJobs").jobs] == [ready, *reversed(dead)]
    assert [job.name for job in workshop.operate("ListJobs", page_size=1).jobs] == [ready]
    found = workshop.operate("ListJobs", state="JOB_STATE_DEAD", queue="tasks").jobs
    assert [job.name for job in found] == dead[::-1]
    (failure,) = workshop.operate("GetJob", name=dead[0]).failures
    assert (failure.code, failure.message) == (Code.FAILED_PRECONDITION, "a cannot be done")
    (queue,) = workshop.operate("ListQueues").queues
    assert (queue.queue, queue.ready, queue.dead) == ("tasks", 1, 2)
    workshop.operate("CancelJob", name=ready)
    assert workshop.operation(ready).error.code == Code.CANCELLED
    workshop.api.refused(Code.INVALID_ARGUMENT, "RetryJobs", OPERATOR)
    assert workshop.operate("RetryJobs", names=dead[:1]).count == 1
    assert workshop.operate("PurgeJobs", all=True).count == 1
    workshop.api.refused(Code.NOT_FOUND, "GetJob", OPERATOR, name=dead[1])
    workshop.api.refused(Code.NOT_FOUND, "CancelJob", OPERATOR, name=dead[1])


def test_the_api_is_served_by_rest_too(workshop: Workshop) -> None:
    create(workshop)
    with closing(http.client.HTTPConnection(workshop.web_address, timeout=10)) as connection:
        connection.request("GET", f"/ops/v1/{NAME}", headers=OPERATOR)
        told = json.loads(connection.getresponse().read())
        assert (told["name"], told["timing"], told["state"]) == (NAME, "0 * * * *", "SCHEDULE_STATE_ACTIVE")
        connection.request("POST", f"/ops/v1/{NAME}:pause", b"{}", {"content-type": "application/json"})
        refused = connection.getresponse()
        assert (refused.status, b"PERMISSION_DENIED" in refused.read()) == (403, True)
