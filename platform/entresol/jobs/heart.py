"""A worker's heart: a thread that keeps the lease of its jobs, whatever the event loop is doing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from entresol.storage.heartbeat import beat

log = logging.getLogger(__name__)


class Heart:
    """Beats from `start` to `stop`, unless the event loop has stood still beyond the time of a job that it runs.

    `lost` is called, in the event loop that started it, when the lease is over though nobody stopped the heart.
    """

    def __init__(self, url: str, lease_s: float, lost: Callable[[], None]) -> None:
        self._url = url
        self._lease_s = lease_s
        self._lost = lost
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._end: Callable[[], object] | None = None  # what beats, which may be between two beats
        self._until_s = float("inf")  # monotonic

    def start(self, worker: uuid.UUID) -> None:
        """Beat for this worker."""
        self._stopped, self._until_s = False, float("inf")
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run, args=(worker, loop), name="entresol heart", daemon=True
        )
        self._thread.start()

    def allow(self, for_s: float | None) -> None:
        """Let the event loop be silent for so long, then its jobs are others'; None: for as long as it likes."""
        self._until_s = float("inf") if for_s is None else time.monotonic() + for_s

    async def stop(self) -> None:
        """Beat no more."""
        self._stopped = True
        if self._end is not None:
            with suppress(RuntimeError):  # its loop has ended by itself
                self._end()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, self._lease_s)

    def _run(self, worker: uuid.UUID, loop: asyncio.AbstractEventLoop) -> None:
        try:
            asyncio.run(self._beat(worker))
        except asyncio.CancelledError:
            pass  # it was stopped
        except Exception:
            log.exception("the heart of worker %s failed", worker)
        if not self._stopped and not loop.is_closed():
            loop.call_soon_threadsafe(self._lost)

    async def _beat(self, worker: uuid.UUID) -> None:
        loop, beating = asyncio.get_running_loop(), asyncio.current_task()
        assert beating is not None
        self._end = partial(loop.call_soon_threadsafe, beating.cancel)
        await beat(self._url, worker, self._lease_s, self._may_beat)

    def _may_beat(self) -> bool:
        return not self._stopped and time.monotonic() < self._until_s
