"""A bound on the reads of the database while the cache is away: a dead Redis never makes a dead PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from entresol.errors import ResourceExhaustedError

WAITING_PER_READ = 8


class Fallback:
    """Lets `concurrency` reads through at once while `is_away()`, and everything while it is not."""

    def __init__(self, concurrency: int, is_away: Callable[[], bool]) -> None:
        self._free = asyncio.Semaphore(concurrency)
        self._waiting = 0
        self._waiting_max = concurrency * WAITING_PER_READ
        self._is_away = is_away

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[None]:
        """Hold one of the places for the time of a database read.

        Raises:
            ResourceExhaustedError: as many reads are waiting already as the bound allows.
        """
        if not self._is_away():
            yield
            return
        if self._waiting >= self._waiting_max:
            raise ResourceExhaustedError(
                f"the cache is away and {self._waiting_max} reads wait for the database; try again shortly"
            )
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._free.release()
