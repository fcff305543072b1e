"""Queues and jobs: what waits, runs and failed, and why; and, where that is allowed, what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from entresol.console.page import Ask, Moved, Page, View, link
from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.redaction import message_shown, redacted
from entresol.schema.model import Method, Model
from entresol.service.enqueue import PREFIX, job_id
from entresol.storage.jobs import LAST, Jobs, JobState
from entresol.storage.timetable import Timetable
from entresol.transport.web.exchange import code_of

STATES = ("waiting", "ready", "running", "dead", "succeeded", "cancelled")
_PAGE_SIZE = 50
_OVER = ("dead", "succeeded", "cancelled")


class JobPages:
    """The pages of jobs."""

    def __init__(self, model: Model, jobs: Jobs, timetable: Timetable) -> None:
        self._model = model
        self._jobs = jobs
        self._timetable = timetable
        self._methods: Mapping[str, Method] = {
            method.full_name: method for method in model.methods.values() if method.job
        }

    def pages(self) -> list[Page]:
        """Return them."""
        return [
            Page("GET", "/jobs", self._list),
            Page("GET", "/jobs/{id}", self._job),
            Page("POST", "/jobs/retry", self._retry, writes=True),
            Page("POST", "/jobs/purge", self._purge, writes=True),
            Page("POST", "/jobs/{id}/cancel", self._cancel, writes=True),
            Page("POST", "/jobs/{id}/retry", self._retry_one, writes=True),
            Page("POST", "/jobs/{id}/purge", self._purge_one, writes=True),
            Page("POST", "/queues/{queue}/pause", self._pause, writes=True),
            Page("POST", "/queues/{queue}/resume", self._resume, writes=True),
        ]

    async def _list(self, ask: Ask) -> View:
        asked = {name: ask.query.get(name, "") for name in ("queue", "kind", "state", "after")}
        after = job_id(PREFIX + asked["after"], "after") if asked["after"] else LAST
        depths = await self._jobs.depths()
        found = await self._jobs.page(
            queue=asked["queue"], kind=asked["kind"], state=asked["state"], after=after, limit=_PAGE_SIZE
        )
        values = {
            "depths": depths,
            "jobs": found,
            "asked": asked,
            "states": STATES,
            "kinds": sorted(self._methods),
            "next": str(found[-1].id) if len(found) == _PAGE_SIZE else "",
        }
        return View("jobs.html", values)

    async def _job(self, ask: Ask) -> View:
        job = await self._found(ask)
        details = await self._jobs.details(job.id)
        tick = (await self._timetable.ticks_of([job.id])).get(job.id)
        statuses = [status_pb2.Status.FromString(failure) for failure in details.failures]
        if not statuses and job.failure is not None:
            statuses = [status_pb2.Status.FromString(job.failure)]
        values = {
            "job": job,
            "details": details,
            "is_over": job.state in _OVER,
            "request": self._message(self._request_type(job), details.request),
            "result": self._message(self._result_type(job), job.result),
            "failures": [_failure(status) for status in statuses],
            "tick": tick,
        }
        return View("job.html", values)

    async def _found(self, ask: Ask) -> JobState:
        id_ = job_id(PREFIX + ask.parts["id"])
        found = (await self._jobs.read([id_])).get(id_)
        if found is None:
            raise NotFoundError(PREFIX + ask.parts["id"])
        return found

    def _request_type(self, job: JobState) -> str:
        method = self._methods.get(job.kind)
        return "" if method is None else method.input.full_name

    def _result_type(self, job: JobState) -> str:
        method = self._methods.get(job.kind)
        return "" if method is None or method.job is None else method.job.response

    def _message(self, type_: str, data: bytes | None) -> Any:
        """Return a message as JSON has it; None of what is not there, or no proto of this server tells of."""
        if data is None or not type_:
            return None
        try:
            kind = GetMessageClass(self._model.pool.FindMessageTypeByName(type_))
            return message_shown(kind.FromString(data))
        except (KeyError, DecodeError):
            return None

    async def _cancel(self, ask: Ask) -> Moved:
        job = await self._found(ask)
        done = await self._jobs.cancel([job.id])
        return _to_job(job, "is cancelled, or told to end" if done else "was over already")

    async def _retry_one(self, ask: Ask) -> Moved:
        job = await self._found(ask)
        done = await self._jobs.retry(ids=[job.id])
        return _to_job(job, "is ready again" if done else "is not dead: only dead jobs are tried again")

    async def _purge_one(self, ask: Ask) -> Moved:
        job = await self._found(ask)
        done = await self._jobs.purge(ids=[job.id])
        if not done:
            return _to_job(job, "is not dead: only dead jobs are purged")
        return Moved(link("jobs"), f"{PREFIX}{job.id} is purged")

    async def _retry(self, ask: Ask) -> Moved:
        queue, kind = _dead(ask)
        done = await self._jobs.retry(queue=queue, kind=kind)
        return Moved(_back(ask), f"{len(done)} dead jobs are ready again")

    async def _purge(self, ask: Ask) -> Moved:
        queue, kind = _dead(ask)
        done = await self._jobs.purge(queue=queue, kind=kind)
        return Moved(_back(ask), f"{len(done)} dead jobs are purged")

    async def _pause(self, ask: Ask) -> Moved:
        queue = ask.parts["queue"]
        is_new = await self._jobs.pause(queue)
        return Moved(link("jobs"), f"queue {queue} {'is' if is_new else 'was already'} paused")

    async def _resume(self, ask: Ask) -> Moved:
        queue = ask.parts["queue"]
        is_new = await self._jobs.resume(queue)
        return Moved(link("jobs"), f"queue {queue} {'goes on' if is_new else 'was not paused'}")


def _dead(ask: Ask) -> tuple[str, str]:
    """Return which dead jobs are meant: of a queue, of a method, or of both."""
    queue, kind = ask.form.get("queue", ""), ask.form.get("kind", "")
    if not queue and not kind:
        raise InvalidArgumentError.of(
            "queue", "choose a queue or a method first; all dead jobs at once are not"
        )
    return queue, kind


def _back(ask: Ask) -> str:
    return link("jobs", queue=ask.form.get("queue"), kind=ask.form.get("kind"), state="dead")


def _to_job(job: JobState, what: str) -> Moved:
    return Moved(link("jobs", str(job.id)), f"{PREFIX}{job.id} {what}")


def _failure(status: status_pb2.Status) -> dict[str, Any]:
    """Return a failure: its code and text, and what was raised, and where."""
    told: dict[str, Any] = {
        "code": code_of(status.code)[0],
        "message": redacted(status.message),
        "error": "",
        "stack": [],
    }
    debug = error_details_pb2.DebugInfo()
    for detail in status.details:
        if detail.Unpack(debug):
            told |= {"error": redacted(debug.detail), "stack": [redacted(one) for one in debug.stack_entries]}
    return told
