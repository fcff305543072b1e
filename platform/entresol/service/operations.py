"""The operations of jobs, as `google.longrunning.Operations` tells of them (AIP-151)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from google.protobuf.message_factory import GetMessageClass

from entresol.errors import InvalidArgumentError, NotFoundError, PageTokenError, UnimplementedError
from entresol.schema.model import Model
from entresol.service.enqueue import job_id, operation_name
from entresol.service.registry import Context, Function
from entresol.service.status import for_callers
from entresol.storage.jobs import LAST, Jobs, JobState
from entresol.turns import Turn

SERVICE = "google.longrunning.Operations"
METADATA = "entresol.ops.v1.JobMetadata"
STATE_PREFIX = "JOB_STATE_"
PAGE_SIZE, PAGE_SIZE_MAX = 50, 1000
After = TypeVar("After")
_POLL_S = 0.1
_TYPE = "type.googleapis.com/"
_CANCELLED = (1, "the job was cancelled")


def provided_operations(model: Model) -> frozenset[str]:
    """Return the methods of the service that the platform answers: all, where a job tells of itself; else none."""
    has_jobs = any(method.job and method.job.metadata == METADATA for method in model.methods.values())
    if SERVICE not in model.services or not has_jobs:
        return frozenset()
    return frozenset(method.full_name for method in model.services[SERVICE].methods)


def operations(model: Model, jobs: Jobs) -> Mapping[str, Function]:
    """Return the functions of those methods, by full name."""
    provided = provided_operations(model)
    if not provided:
        return {}
    served = _Operations(model, jobs)
    functions = {
        "GetOperation": served.get,
        "ListOperations": served.page,
        "WaitOperation": served.wait,
        "CancelOperation": served.cancel,
    }
    return {name: functions.get(name.rpartition(".")[2], _unserved) for name in provided}


async def _unserved(_request: Any, context: Context) -> Any:
    raise UnimplementedError(f"{context.call.method.full_name} is not served")


class _Operations:
    def __init__(self, model: Model, jobs: Jobs) -> None:
        self._model = model
        self._jobs = jobs
        # Who polls in one moment is answered by one query.
        self._reads: Turn[uuid.UUID, JobState | None] = Turn(self._read_all, running_max=2)
        self._operation = _class(model, "google.longrunning.Operation")
        self._empty = _class(model, "google.protobuf.Empty")
        self._metadata = _class(model, METADATA)
        self._response_of = {
            method.full_name: method.job.response for method in model.methods.values() if method.job
        }

    async def get(self, request: Any, _context: Context) -> Any:
        return self._told(await self._found(request.name))

    async def page(self, request: Any, context: Context) -> Any:
        """Return a page of operations, the newest first."""
        if request.filter:
            raise InvalidArgumentError.of("filter", "operations cannot be filtered; leave it out")
        size = page_size(request)
        jobs = await self._jobs.page(after=page_after(request, uuid.UUID, LAST), limit=size)
        response: Any = context.call.method.output_class(operations=map(self._told, jobs))
        if len(jobs) == size:
            response.next_page_token = str(jobs[-1].id)
        return response

    async def wait(self, request: Any, context: Context) -> Any:
        """Return the operation once it is done, or as it is when the time is over that the caller gives."""
        loop = asyncio.get_running_loop()
        longest_s = context.remaining_s() - 2 * _POLL_S
        if request.HasField("timeout"):
            longest_s = min(longest_s, request.timeout.ToTimedelta().total_seconds())
        end_s = loop.time() + longest_s
        while True:
            told = self._told(await self._found(request.name))
            if told.done or loop.time() + _POLL_S > end_s:
                return told
            await asyncio.sleep(_POLL_S)

    async def cancel(self, request: Any, _context: Context) -> Any:
        job = await self._found(request.name)
        await self._jobs.cancel([job.id])
        return self._empty()

    async def _found(self, name: str) -> JobState:
        id_ = job_id(name)
        found = await self._reads.submit(id_)
        if found is None:
            raise NotFoundError(name)
        return found

    async def _read_all(self, ids: list[uuid.UUID]) -> list[JobState | None]:
        found = await self._jobs.read(ids)
        return [found.get(id_) for id_ in ids]

    def _told(self, job: JobState) -> Any:
        operation = self._operation(name=operation_name(job.id))
        operation.metadata.type_url = f"{_TYPE}{METADATA}"
        operation.metadata.value = self._metadata_of(job).SerializeToString()
        if job.state == "succeeded":
            operation.done = True
            operation.response.type_url = f"{_TYPE}{self._response_of.get(job.kind, 'google.protobuf.Empty')}"
            operation.response.value = job.result or b""
        elif job.state == "cancelled":
            operation.done = True
            operation.error.code, operation.error.message = _CANCELLED
        elif job.state == "dead":
            operation.done = True
            operation.error.MergeFromString(job.failure or b"")
            for_callers(operation.error)
        return operation

    def _metadata_of(self, job: JobState) -> Any:
        return self._metadata(**metadata_of(job))


def page_size(request: Any) -> int:
    """Return how many a page has."""
    return min(request.page_size or PAGE_SIZE, PAGE_SIZE_MAX)


def page_after(request: Any, read: Callable[[str], After], first: After) -> After:
    """Return where a page begins; PageTokenError when its token is none that was given."""
    try:
        return read(request.page_token) if request.page_token else first
    except ValueError as error:
        raise PageTokenError.of("page_token", "is none that a page came with") from error


def metadata_of(job: JobState) -> dict[str, Any]:
    """Return the fields of a job's `JobMetadata`."""
    times = {"create_time": job.create_time, "start_time": job.start_time, "end_time": job.done_time}
    return {
        "method": job.kind,
        "state": f"{STATE_PREFIX}{job.state.upper()}",
        "percent": job.percent,
        "step": job.step,
        "attempt": job.attempt,
        "requested_cancellation": job.is_cancelled,
        **{field: time for field, time in times.items() if time is not None},
    }


def _class(model: Model, message: str) -> Any:
    return GetMessageClass(model.pool.FindMessageTypeByName(message))
