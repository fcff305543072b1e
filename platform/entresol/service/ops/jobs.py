"""`entresol.ops.v1.JobService`: what waits, runs and failed, and what an operator does about it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.service.enqueue import job_id, operation_name
from entresol.service.operations import STATE_PREFIX, metadata_of, page_after, page_size
from entresol.service.ops.access import PACKAGE
from entresol.service.registry import Context, Function
from entresol.storage.jobs import LAST, Jobs, JobState
from entresol.storage.timetable import Timetable

SERVICE = f"{PACKAGE}.JobService"


def job_methods(jobs: Jobs, timetable: Timetable) -> Mapping[str, Function]:
    """Return the functions of the service, by full name."""
    served = _JobService(jobs, timetable)
    functions: Mapping[str, Function] = {
        "GetJob": served.get,
        "ListJobs": served.page,
        "CancelJob": served.cancel,
        "RetryJobs": served.retry,
        "PurgeJobs": served.purge,
        "ListQueues": served.queues,
    }
    return {f"{SERVICE}.{name}": function for name, function in functions.items()}


class _JobService:
    def __init__(self, jobs: Jobs, timetable: Timetable) -> None:
        self._jobs = jobs
        self._timetable = timetable

    async def get(self, request: Any, context: Context) -> Any:
        found = await self._found(request.name)
        (told,) = await self._told([found], context)
        details = await self._jobs.details(found.id)
        if details.failures:
            del told.failures[:]
            for failure in details.failures:
                told.failures.add().MergeFromString(failure)
        if details.host is not None:
            told.worker = f"{details.host}:{details.process}"
        return told

    async def page(self, request: Any, context: Context) -> Any:
        size = page_size(request)
        state = type(context.new(f"{PACKAGE}.JobMetadata")).DESCRIPTOR.fields_by_name["state"].enum_type
        name = state.values_by_number[request.state].name.removeprefix(STATE_PREFIX).lower()
        jobs = await self._jobs.page(
            queue=request.queue,
            kind=request.method,
            state="" if request.state == 0 else name,
            after=page_after(request, uuid.UUID, LAST),
            limit=size,
        )
        response = context.new(f"{PACKAGE}.ListJobsResponse", jobs=await self._told(jobs, context))
        if len(jobs) == size:
            response.next_page_token = str(jobs[-1].id)
        return response

    async def cancel(self, request: Any, context: Context) -> Any:
        job = await self._found(request.name)
        await self._jobs.cancel([job.id])
        return context.new("google.protobuf.Empty")

    async def retry(self, request: Any, context: Context) -> Any:
        done = await self._jobs.retry(queue=request.queue, kind=request.method, ids=_chosen(request))
        return context.new(f"{PACKAGE}.RetryJobsResponse", count=len(done))

    async def purge(self, request: Any, context: Context) -> Any:
        done = await self._jobs.purge(queue=request.queue, kind=request.method, ids=_chosen(request))
        return context.new(f"{PACKAGE}.PurgeJobsResponse", count=len(done))

    async def queues(self, _request: Any, context: Context) -> Any:
        response = context.new(f"{PACKAGE}.ListQueuesResponse")
        for depth in await self._jobs.depths():
            response.queues.add(
                queue=depth.queue,
                waiting=depth.waiting,
                ready=depth.ready,
                running=depth.running,
                dead=depth.dead,
                ready_age=timedelta(seconds=depth.ready_s),
                workers=depth.workers,
            )
        return response

    async def _found(self, name: str) -> JobState:
        id_ = job_id(name)
        found = (await self._jobs.read([id_])).get(id_)
        if found is None:
            raise NotFoundError(name)
        return found

    async def _told(self, jobs: Sequence[JobState], context: Context) -> list[Any]:
        ticks = await self._timetable.ticks_of([job.id for job in jobs])
        return [_job(job, ticks.get(job.id), context) for job in jobs]


def _job(job: JobState, tick: Any, context: Context) -> Any:
    told = context.new(
        f"{PACKAGE}.Job",
        name=operation_name(job.id),
        queue=job.queue,
        metadata=metadata_of(job),
        attempts_max=job.attempts_max or 0,
        caller=job.caller,
    )
    if tick is not None:
        schedule, time = tick
        told.tick.schedule, told.tick.count, told.tick.operation = f"schedules/{schedule}", 1, told.name
        told.tick.time.FromDatetime(time)
        told.tick.last_time.FromDatetime(time)
    if job.failure is not None:
        told.failures.add().MergeFromString(job.failure)
    return told


def _chosen(request: Any) -> list[uuid.UUID] | None:
    if not (request.names or request.queue or request.method or request.all):
        raise InvalidArgumentError.of("all", "must be true where no names, queue or method are given")
    return [job_id(name, "names") for name in request.names] or None
