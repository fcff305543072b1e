"""The tasks of the workshop."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import entresol

SERVICE = "workshop.v1.WorkshopService"


@entresol.job(f"{SERVICE}.RunTask")
async def run_task(request: Any, job: entresol.Job) -> Any:
    """Go on behind the step that an earlier attempt has noted, and leave a mark at the end."""
    if request.leaves:
        return await _leave(request, job)
    if request.is_wrong:
        raise entresol.FailedPreconditionError(f"{request.label} cannot be done")
    done = int(job.checkpoint or b"0")
    for step in range(done, request.steps):
        await asyncio.sleep(request.pause.ToTimedelta().total_seconds())
        job.report(100 * (step + 1) // request.steps, f"step {step + 1}", str(step + 1).encode())
    if job.attempt <= request.failures:
        raise ValueError(f"attempt {job.attempt} fails")
    if job.attempt == 1:
        time.sleep(request.block.ToTimedelta().total_seconds())  # noqa: ASYNC251 - the mistake that is tried
    tick = "" if job.tick_time is None else f"-{job.tick_time:%Y%m%d%H%M%S%f}"
    async with job.transaction() as transaction:
        name = f"marks/{request.label}{tick}-{job.attempt}"
        mark = job.new("workshop.v1.Mark", name=name, label=request.label)
        await transaction.insert(job.resource("workshop.v1.Mark"), [mark])
        if job.attempt == 1:
            await asyncio.sleep(request.stay.ToTimedelta().total_seconds())
    return job.new("workshop.v1.RunTaskResponse", steps=request.steps - done, attempts=job.attempt)


@entresol.job(f"{SERVICE}.GatherTask")
async def gather_task(_request: Any, job: entresol.Job) -> Any:
    """Tell what the tasks before it told."""
    return job.new("workshop.v1.GatherTaskResponse", steps=[result.steps for result in job.results()])


async def _leave(request: Any, job: entresol.Job) -> Any:
    """Leave a mark, and end the process behind the commit; the next attempt finds the checkpoint."""
    if job.checkpoint is None:
        async with job.transaction(checkpoint=b"marked") as transaction:
            mark = job.new(
                "workshop.v1.Mark", name=f"marks/{request.label}-{job.attempt}", label=request.label
            )
            await transaction.insert(job.resource("workshop.v1.Mark"), [mark])
        os._exit(1)
    return job.new("workshop.v1.RunTaskResponse", attempts=job.attempt)


@entresol.job(f"{SERVICE}.HurryTask")
async def hurry_task(request: Any, job: entresol.Job) -> Any:
    """Take as long as it is told to."""
    await asyncio.sleep(request.pause.ToTimedelta().total_seconds())
    return job.new("workshop.v1.RunTaskResponse", attempts=job.attempt)


@entresol.job(f"{SERVICE}.CrowdTask")
@entresol.job(f"{SERVICE}.PaceTask")
async def timed_task(request: Any, job: entresol.Job) -> Any:
    """Take as long as it is told to, and note when it begins and ends."""
    _note("begins", job)
    await asyncio.sleep(request.pause.ToTimedelta().total_seconds())
    _note("ends", job)
    return job.new("workshop.v1.RunTaskResponse", attempts=job.attempt)


def _note(what: str, job: entresol.Job) -> None:
    line = f"{time.monotonic()} {what} {os.getpid()} {job.name}-{job.attempt}\n".encode()
    with open(os.environ["WORKSHOP_NOTES"], "ab", buffering=0) as notes:
        notes.write(line)


@entresol.method(f"{SERVICE}.ChainTasks")
@entresol.method(f"{SERVICE}.OrderTask")
async def order_task(_request: Any, _context: entresol.Context) -> Any:
    """Be what a server does."""
    raise AssertionError("a worker answers no calls")
