"""Reads a feed for the relay, which takes what has gathered as one batch: nothing is read while nothing is taken."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from entresol.cache.feed import Event, Feed

AHEAD_MAX = 128  # transactions
CHANGES_MAX = 1024  # in one batch, unless one transaction has more


class Pump:
    """Use it as an async context manager; leaving stops the reading.

    What comes while the relay works, or lets changes gather, stays in the connection's buffers: it is read in one go
    instead of as it comes, and a database that is ahead of the relay has to wait.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._ahead: asyncio.Queue[Event | Exception] = asyncio.Queue(AHEAD_MAX)
        self._wanted = asyncio.Event()
        self._ended: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._read(), name="entresol relay pump")
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        error: Exception = ConnectionError("the feed ended")
        try:
            await self._wanted.wait()
            async for event in self._feed:
                await self._ahead.put(event)
                await self._wanted.wait()
        except Exception as failure:
            error = failure
        await self._ahead.put(error)

    async def take(self, wait_s: float, linger_s: float) -> list[Event]:
        """Return what is ready, in order, `linger_s` after the first change; nothing if none comes within `wait_s`.

        A moment's patience makes one batch, one look at the primary and one script call of what commits together.
        Raises what ended the feed.
        """
        if self._ended is not None:
            raise self._ended
        self._wanted.set()
        try:
            async with asyncio.timeout(wait_s):
                first = await self._ahead.get()
            if getattr(first, "changes", ()):
                self._wanted.clear()
                await asyncio.sleep(linger_s)
                self._wanted.set()
            await asyncio.sleep(0)  # in which all is read that has gathered
        except TimeoutError:
            return []
        finally:
            self._wanted.clear()
        return self._ready(first)

    def _ready(self, first: Event | Exception) -> list[Event]:
        events: list[Event] = []
        changes, item = 0, first
        while not isinstance(item, Exception):
            events.append(item)
            changes += len(getattr(item, "changes", ()))
            if self._ahead.empty() or changes >= CHANGES_MAX:
                return events
            item = self._ahead.get_nowait()
        self._ended = item
        if not events:
            raise item
        return events
