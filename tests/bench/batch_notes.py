"""Functions of a worker whose batches are measured: it notes when each part of a run began, and what had used CPU.

One line of JSON for each part in the file of `BENCH_NOTES`; `BENCH_PROCESSES` tells whose CPU is read, by its role.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from tests.bench.processes import cpu_s

from entresol.service.batches import BatchJob
from entresol.service.jobs import Job

BEGUN, DONE = "begun", "done"
NOTES, PROCESSES = "BENCH_NOTES", "BENCH_PROCESSES"

_run, _report = BatchJob.run, Job.report


def note(step: str) -> None:
    """Write down that a part begins."""
    pids = {**json.loads(os.environ[PROCESSES]), "worker": os.getpid()}
    used = {role: cpu_s([pid]) for role, pid in pids.items()}
    with Path(os.environ[NOTES]).open("a") as file:
        file.write(json.dumps({"step": step, "at_s": time.monotonic(), "cpu_s": used}) + "\n")


async def run(self: BatchJob, request: Any, job: Job) -> Any:
    """Run a batch between two notes."""
    note(BEGUN)
    told = await _run(self, request, job)
    note(DONE)
    return told


def report(self: Job, percent: int | None = None, step: str | None = None, *more: Any) -> None:
    """Note what a run tells of its steps, but for each part that is read."""
    _report(self, percent, step, *more)
    if step is not None and not step.startswith("read "):
        note(step)


BatchJob.run = run  # type: ignore[method-assign]
Job.report = report  # type: ignore[method-assign]
