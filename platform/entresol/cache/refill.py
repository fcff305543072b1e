"""Refills what the relay dropped, so that a record stays cached when a change went past the cache.

A change by psql, or by a process that died before its put, costs a hot record its entry, and all its readers a miss.
Here it is read again, the way any reader who misses does: the rules of the fill hold, and nothing depends on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager

from entresol import telemetry
from entresol.cache.keys import Key, Layout

log = logging.getLogger(__name__)

WAITING_MAX = 1000  # records; what is dropped beyond is left to its readers
NAMES_MAX = 50  # read at once, so that the relay beside is never held up for long
PER_S_MAX = 1000
# The relay is often quicker than the writer, whose own put is then on its way.
AFTER_S = 0.1
PAUSE_S = 1.0

Read = Callable[[str, Sequence[str]], Awaitable[object]]  # of a table these names, into the cache
OpenReader = Callable[[], AbstractAsyncContextManager[Read]]


class Refill:
    """Notes what was dropped, and reads it through the cache a moment later. `run` belongs to the relay's own loop.

    `open_reader` is called when there is first something to read, and again after a failure.
    """

    def __init__(self, layout: Layout, open_reader: OpenReader) -> None:
        self._layout = layout
        self._open_reader = open_reader
        self._waiting: dict[Key, None] = {}
        self._noted = asyncio.Event()

    def note(self, entries: Iterable[bytes]) -> None:
        """Note the keys of dropped entries. Never waits: what is too much is counted and left out."""
        skipped = 0
        for entry in entries:
            key = self._layout.key(entry)
            if key is None or key in self._waiting:
                continue
            if len(self._waiting) < WAITING_MAX:
                self._waiting[key] = None
            else:
                skipped += 1
        if self._waiting:
            self._noted.set()
        _count(skipped, "skipped")

    async def run(self) -> None:
        """Refill until cancelled. Every failure is logged, counted, and never the relay's."""
        while True:
            await self._noted.wait()
            try:
                async with self._open_reader() as read:
                    while True:
                        await self._noted.wait()
                        await asyncio.sleep(AFTER_S)
                        await self._read(read)
            except Exception as error:
                log.warning("what the relay drops is not refilled at the moment: %s", error)
                _count(1, "failed")
                await asyncio.sleep(PAUSE_S)

    async def _read(self, read: Read) -> None:
        """Read what has been noted, table by table and a few at a time."""
        waiting, self._waiting = self._waiting, {}
        self._noted.clear()
        tables: dict[str, list[str]] = {}
        for key in waiting:
            tables.setdefault(key.table, []).append(key.name)
        for table, names in tables.items():
            for at in range(0, len(names), NAMES_MAX):
                some = names[at : at + NAMES_MAX]
                await asyncio.gather(read(table, some), asyncio.sleep(len(some) / PER_S_MAX))
                _count(len(some), "read")


def _count(count: int, reason: str) -> None:
    if count:
        telemetry.RELAY_REFILLS.add(count, {telemetry.REASON: reason})
