"""The tasks of the workshop that block: as plain functions, and in processes of their own."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import entresol

SERVICE = "workshop.v1.WorkshopService"


_kept: list[bytes] = []


def _mark(job: entresol.Job, label: str) -> Any:
    return job.new("workshop.v1.Mark", name=f"marks/{label}-{job.attempt}", label=label)


async def _leave_mark(job: entresol.Job, label: str) -> None:
    async with job.transaction(checkpoint=b"marked") as transaction:
        await transaction.insert(job.resource("workshop.v1.Mark"), [_mark(job, label)])


@entresol.job(f"{SERVICE}.BlockTask")
def block_task(request: Any, job: entresol.Job) -> Any:
    """Block a thread as long as it is told to, and leave a mark."""
    pause_s = request.pause.ToTimedelta().total_seconds()
    if request.how == "later" and job.attempt == 1:
        raise entresol.UnavailableError("come again later", retry_after_s=pause_s)
    if request.how == "report":  # which is how a plain function hears that it is to end
        try:
            while True:
                job.report(step="on")
                time.sleep(0.05)
        except asyncio.CancelledError:
            Path(request.label).write_text("told")
            raise
    if request.how == "exit":
        raise SystemExit(3)
    time.sleep(pause_s)
    job.report(50, "half")
    job.run(_leave_mark(job, request.label))
    assert job.checkpoint == b"marked"
    return job.new("workshop.v1.RunTaskResponse", attempts=job.attempt)


async def _be_told(request: Any) -> None:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        Path(request.label).write_text("told")  # noqa: ASYNC240 - a word, in a process that ends
        raise


@entresol.job(f"{SERVICE}.CrunchTask", isolated=True)
def crunch_task(request: Any, job: entresol.Job) -> Any:
    """Tell its process by its step, and do what it is told to."""
    job.report(10, str(os.getpid()))
    pause_s = request.pause.ToTimedelta().total_seconds()
    if request.how == "spin":
        time.sleep(0.5)  # so that its step was told
        while True:
            pass
    if request.how == "hold":  # the interpreter, in C, so that no other thread of the process goes on
        time.sleep(0.5)  # so that its step was told
        ctypes.PyDLL(None).sleep(60)
    if request.how == "abort":
        os.abort()
    if request.how == "grow":
        _kept.append(b"x" * (300 << 20))
    if request.how in ("grow", "pid"):
        return job.new("workshop.v1.RunTaskResponse", steps=os.getpid(), attempts=job.attempt)
    if request.how == "eat":
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does to who takes all memory
    if request.how == "exit":
        os._exit(3)
    if request.how == "wrong":
        raise entresol.FailedPreconditionError(f"{request.label} cannot be done")
    if request.how == "later" and job.attempt == 1:
        raise entresol.UnavailableError("come again later", retry_after_s=pause_s)
    if request.how == "start":  # what does not end by itself
        started = subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 60"])
        job.report(20, str(started.pid))
        started.wait()
    if request.how.startswith("/"):  # a file to wait for; another tells that the attempt went on behind it
        while not Path(request.how).exists():
            time.sleep(0.05)
        try:
            job.run(_leave_mark(job, request.label))
        finally:
            Path(f"{request.how}-{job.attempt}").touch()
        return job.new("workshop.v1.RunTaskResponse", attempts=job.attempt)
    if request.how == "await":
        return _be_told(request)
    time.sleep(pause_s)
    job.run(_leave_mark(job, request.label))
    job.report(90, checkpoint=b"marked")
    return job.new("workshop.v1.RunTaskResponse", steps=os.getpid(), attempts=job.attempt)
