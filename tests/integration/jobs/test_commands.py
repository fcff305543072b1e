"""`entresol schedules` and `entresol operations`, beside real workers."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from typing import Any

from tests.integration.jobs.conftest import ENTRESOL, SERVICE, Workshop, environment
from tests.integration.jobs.test_jobs import until


def create(workshop: Workshop) -> None:
    schedule = {"method": f"{SERVICE}.RunTask", "timing": "0 0 1 1 *", "request": {"label": "new-year"}}
    workshop.operate("CreateSchedule", schedule_id="yearly", schedule=schedule)


def show(workshop: Workshop) -> Any:
    return json.loads(workshop.run("schedules", "show", "yearly"))


def test_schedules_are_listed_paused_with_a_reason_and_resumed(workshop: Workshop) -> None:
    create(workshop)
    listed = json.loads(workshop.run("schedules", "list", "--json"))
    assert (listed["name"], listed["timing"], listed["state"]) == ("yearly", "0 0 1 1 *", "active")
    assert "yearly" in workshop.run("schedules", "list")
    workshop.run("schedules", "pause", "yearly", "--reason", "a holiday")
    assert (show(workshop)["state"], show(workshop)["pause_reason"]) == ("paused", "a holiday")
    workshop.run("schedules", "resume", "yearly")
    assert show(workshop)["state"] == "active"
    failed = workshop.running("schedules", "pause", "nothing")
    assert "schedules/nothing does not exist" in failed.communicate(timeout=30)[1]
    assert failed.returncode != 0


def test_a_schedule_is_run_and_filled_back_and_its_ticks_are_shown(workshop: Workshop) -> None:
    create(workshop)
    assert workshop.run("schedules", "backfill", "yearly", "2020-01-01", "2023-01-01") == "3 jobs put in\n"
    name = workshop.run("schedules", "run", "yearly").strip()
    ticks = show(workshop)["ticks"]
    assert ticks[0]["operation"] == name
    assert [tick["time"][:10] for tick in ticks[1:]] == ["2022-01-01", "2021-01-01", "2020-01-01"]


def test_an_operation_is_waited_for_and_how_it_ends_is_the_status(workshop: Workshop) -> None:
    good, bad, long = (workshop.begin(label="a", steps=1, pause="0.5s"), workshop.begin(label="b", is_wrong=True),
                       workshop.begin(label="c", steps=1, pause="60s"))  # fmt: skip
    with workshop.worker():
        assert json.loads(workshop.run("operations", "wait", good))["state"] == "succeeded"
        for name, status, said in ((bad, 1, "b cannot be done"), (long, 3, "running")):
            waiting = workshop.running("operations", "wait", name, "--timeout", "3")
            assert said in waiting.communicate(timeout=30)[0]
            assert waiting.returncode == status
        workshop.run("operations", "cancel", long)
        until(lambda: json.loads(workshop.run("operations", "show", long))["state"] == "cancelled")
    assert [json.loads(line)["name"] for line in workshop.run("operations", "list", "--json").splitlines()] == [
        long, bad, good
    ]  # fmt: skip


def test_the_wait_shows_how_far_it_is_to_who_looks(workshop: Workshop) -> None:
    name = workshop.begin(label="a", steps=3, pause="0.5s")
    terminal, told = pty.openpty()
    with workshop.worker():
        done = subprocess.run(
            [ENTRESOL, "operations", "wait", name],
            env=environment(workshop.settings) | {"TERM": "xterm", "COLUMNS": "120"},
            stdout=subprocess.DEVNULL,
            stderr=told,
            timeout=30,
            check=False,
        )
    os.close(told)
    shown = os.read(terminal, 1_000_000).decode()
    os.close(terminal)
    assert done.returncode == 0
    assert re.search(r"step [12]\b", shown)
    assert "100%" in shown
