"""Pauses: an operator's command holds a queue, or one kind of it, while workers run, and lets it go on."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any

from tests.integration.jobs.conftest import ENTRESOL, SERVICE, Workshop, environment
from tests.integration.jobs.test_jobs import state, until

POLL_S = 0.25


def entresol_jobs(workshop: Workshop, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [ENTRESOL, "jobs", *arguments],
        env=environment(workshop.settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def queues(workshop: Workshop) -> dict[str, Any]:
    lines = entresol_jobs(workshop, "queues", "--json").splitlines()
    return {facts["queue"]: facts for facts in map(json.loads, lines)}


def test_a_queue_that_is_paused_begins_nothing_and_what_runs_goes_on(workshop: Workshop) -> None:
    with workshop.worker():
        running = workshop.begin(label="a", steps=4, pause="1s")
        until(lambda: state(workshop, running) == "RUNNING")
        assert entresol_jobs(workshop, "pause", "tasks") == "queue tasks is paused\n"
        time.sleep(POLL_S * 2)
        held = workshop.begin(label="b")
        workshop.wait(running)
        assert state(workshop, held) == "READY"
        facts = queues(workshop)["tasks"]
        assert (facts["ready"], facts["is_paused"]) == (1, True)
        assert "yes" in entresol_jobs(workshop, "queues")
        assert entresol_jobs(workshop, "resume", "tasks") == "queue tasks goes on\n"
        workshop.wait(held, 2)
    entresol_jobs(workshop, "resume", "tasks", status=1)


def test_a_kind_that_is_paused_holds_no_other(workshop: Workshop) -> None:
    kind = f"{SERVICE}.HurryTask"
    entresol_jobs(workshop, "pause", "tasks", "--kind", kind)
    entresol_jobs(workshop, "pause", "elsewhere")
    with workshop.worker():
        held = str(workshop.api.call("HurryTask", label="a").name)
        workshop.wait(workshop.begin(label="b"))
        assert state(workshop, held) == "READY"
        facts = queues(workshop)
        assert (facts["tasks"]["is_paused"], facts["tasks"]["kinds_paused"]) == (False, [kind])
        assert facts["elsewhere"]["is_paused"]
        entresol_jobs(workshop, "resume", "tasks", "--kind", kind)
        workshop.wait(held, 2)
