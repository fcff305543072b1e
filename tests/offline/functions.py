"""The jobs by Entresol: the functions that `entresol work` runs."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from typing import Any

from tests.offline import work

import entresol
from entresol.config import Settings

SERVICE = "offline.v1.OfflineService"


@entresol.job(f"{SERVICE}.DoTask")
@entresol.job(f"{SERVICE}.DoPoison")
async def do_task(request: Any, job: entresol.Job) -> Any:
    """Do the task, unless an attempt that ended behind its commit has done it."""
    if job.checkpoint is None:
        pool = await asyncio.shield(_pool())
        transaction = partial(job.transaction, checkpoint=b"done")
        task = work.tick(job.tick_time.timestamp()) if job.tick_time else work.Task.read(request.task)
        await work.perform(task, job.attempt, pool, transaction)
    return job.new("offline.v1.DoTaskResponse")


@cache
def _pool() -> asyncio.Future[Any]:
    """Return a pool for the rows of that attempts began: those stay when an attempt does not count."""
    return asyncio.ensure_future(work.open_pool(Settings.load().database_write))
