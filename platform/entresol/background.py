"""Background tasks with an owner that sees them fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

log = logging.getLogger(__name__)


@asynccontextmanager
async def kept_running(work: Coroutine[object, object, None], name: str) -> AsyncIterator[None]:
    """Run `work`, which ends only by a mistake of its own, while the block lasts; such an end is logged as critical."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_ended)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def noticed(task: asyncio.Task[None]) -> None:
    """Log as critical that a task failed."""
    if not task.cancelled() and task.exception() is not None:
        log.critical("%s ended", task.get_name(), exc_info=task.exception())


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        log.critical("%s ended", task.get_name(), exc_info=task.exception() or RuntimeError("it returned"))
