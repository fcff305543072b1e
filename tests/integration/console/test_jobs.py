"""Jobs and schedules in the console: what waits, what failed and where, and what an operator does about it."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta

from google.rpc import error_details_pb2, status_pb2
from tests.integration.console.browser import Page
from tests.integration.console.conftest import Shown

from entresol.storage.jobs import Attempt, Jobs
from entresol.storage.schedules import Declared
from entresol.storage.timetable import Timetable

KIND = "stories.v1.CommentService.PurgeComments"
OTHER = "stories.v1.ReferrerService.CountReferrers"


def put(stories: Shown, author: str = "users/ann") -> str:
    """Put a job in by a call, and return its id."""
    request = f'{{"parent": "stories/s1", "filter": "author = \\"{author}\\"", "force": true}}'
    call = {"method": "/stories.v1.CommentService/PurgeComments", "request": request}
    page = stories.browser.post("/console/playground", call)
    assert page.status == 200, page.text
    found = re.search(r"operations/([0-9a-f-]{36})", page.text)
    assert found, page.text
    return found[1]


async def claim(stories: Shown) -> Attempt:
    """Become a worker, and claim one job."""
    jobs, worker = Jobs(stories.running.platform.pools), uuid.uuid4()
    await jobs.join(worker, "here", 1, ["default"], lease_s=60)
    (lane,) = [one for one in await jobs.survey(["default"], [KIND], {}) if one.has_jobs]
    (claimed,) = await jobs.claim(worker, [(lane, 1)])
    return claimed.attempt


async def fail(stories: Shown, attempt: Attempt, *, again_s: float | None) -> None:
    status = status_pb2.Status(
        code=13, message="the comments could not be deleted: postgresql://ann:sesame@db/x"
    )
    debug = error_details_pb2.DebugInfo(
        detail="ValueError: <b>no</b>", stack_entries=["purges.py:7 in purge"]
    )
    status.details.add().Pack(debug)
    await Jobs(stories.running.platform.pools).fail([(attempt, again_s, status.SerializeToString())])


def die(stories: Shown) -> str:
    """Put in a job that fails for good."""
    job = put(stories)
    run = stories.running.run
    run(fail(stories, run(claim(stories)), again_s=None))
    return job


def page_of(stories: Shown, job: str) -> Page:
    return stories.browser.get(f"/console/jobs/{job}")


def test_queues_and_jobs_are_listed_and_filtered(stories: Shown) -> None:
    dead, ready = die(stories), put(stories)
    page = stories.browser.get("/console/jobs")
    assert re.search(r"default 0 1 0 1 ", page.text), "waiting, ready, running, dead"
    assert dead in page.body
    assert ready in page.body
    only = stories.browser.get("/console/jobs?state=dead")
    assert dead in only.body
    assert ready not in only.body
    assert dead not in stories.browser.get(f"/console/jobs?kind={OTHER}").body
    assert dead not in stories.browser.get("/console/jobs?queue=other").body


def test_a_jobs_page_has_request_progress_and_every_failure_with_its_stack(stories: Shown) -> None:
    job = put(stories)
    jobs, run = Jobs(stories.running.platform.pools), stories.running.run
    attempt = run(claim(stories))
    run(jobs.report([(attempt, 40, "deleting", None)]))
    page = page_of(stories, job)
    assert "running" in page.text
    assert "40 % · deleting" in page.text
    assert '"filter" : "author = \\"users/ann\\""' in page.text
    run(fail(stories, attempt, again_s=None))
    page = page_of(stories, job)
    assert "dead" in page.text
    assert "INTERNAL attempt 1: ValueError: <b>no</b>" in page.text
    assert "<b>no</b>" not in page.body, "it is text"
    assert "purges.py:7 in purge" in page.text
    assert "sesame" not in page.body, "it is a password"


def test_dead_jobs_are_retried_and_purged(stories: Shown) -> None:
    job = die(stories)
    again = stories.browser.post(f"/console/jobs/{job}/retry", {})
    assert "is ready again" in again.text
    assert "ready" in page_of(stories, job).text
    stories.running.run(fail(stories, stories.running.run(claim(stories)), again_s=None))
    gone = stories.browser.post(f"/console/jobs/{job}/purge", {})
    assert "is purged" in gone.text
    assert page_of(stories, job).status == 404
    first, second = die(stories), die(stories)
    all_of_them = stories.browser.post("/console/jobs/retry", {"queue": "", "kind": ""})
    assert all_of_them.status == 400, "neither a queue nor a method is given"
    assert "2 dead jobs are ready again" in stories.browser.post("/console/jobs/retry", {"kind": KIND}).text
    assert "0 dead jobs are purged" in stories.browser.post("/console/jobs/purge", {"queue": "default"}).text
    assert all("ready" in page_of(stories, one).text for one in (first, second))


def test_a_job_is_cancelled_and_its_queue_paused_and_resumed(stories: Shown) -> None:
    job = put(stories)
    assert "is paused" in stories.browser.post("/console/queues/default/pause", {}).text
    assert "paused" in stories.browser.get("/console/jobs").text
    assert "was already paused" in stories.browser.post("/console/queues/default/pause", {}).text
    assert "goes on" in stories.browser.post("/console/queues/default/resume", {}).text
    assert "is cancelled" in stories.browser.post(f"/console/jobs/{job}/cancel", {}).text
    assert "cancelled" in page_of(stories, job).text
    assert "was over already" in stories.browser.post(f"/console/jobs/{job}/cancel", {}).text


def test_a_notice_is_said_once(stories: Shown) -> None:
    said = stories.browser.post("/console/queues/default/pause", {})
    assert "queue default is paused" in said.text
    assert "queue default is paused" not in stories.browser.get(said.path).text


def test_schedules_are_shown_paused_resumed_and_run(stories: Shown) -> None:
    timetable, run = Timetable(stories.running.platform.pools), stories.running.run
    declared = Declared("nightly", OTHER, b"", "10 0 * * *", "Europe/Berlin", "skip", "latest", 100, 0.0)
    assert run(timetable.create(declared, datetime.now(UTC) + timedelta(hours=3)))
    assert "nightly" in stories.browser.get("/console/schedules").text
    path = "/console/schedules/nightly"
    page = stories.browser.get(path)
    assert "10 0 * * * Europe/Berlin" in page.text
    assert "It has not ticked yet." in page.text
    assert "in 3.0 h" in page.text
    paused = stories.browser.post(f"{path}/pause", {"reason": "a holiday"})
    assert "nightly is paused" in paused.text
    assert "a holiday" in paused.text
    assert "nightly is not paused" in stories.browser.post(f"{path}/resume", {}).text
    begun = stories.browser.post(f"{path}/run", {})
    assert "is put in" in begun.text
    assert "CountReferrers" in begun.text
    assert stories.browser.get(path).text.count("It has not ticked yet.") == 0
    assert stories.browser.post("/console/schedules/none/run", {}).status == 404
