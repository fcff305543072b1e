"""A feed read ahead, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from entresol.cache.feed import Event
from entresol.cache.pump import AHEAD_MAX, Pump


@dataclass
class Keepalive:
    wal_end: int


class List:
    """A feed of what it is given, which then fails or waits."""

    start_lsn = 0
    database = "database"

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self._count = count
        self._error = error
        self.yielded = 0

    async def __aiter__(self) -> AsyncIterator[Event]:
        for number in range(self._count):
            self.yielded += 1
            yield Keepalive(number)
        if self._error is not None:
            raise self._error
        await asyncio.Event().wait()

    def acknowledge(self, lsn: int) -> None:
        """Take no notice."""


async def test_what_is_ready_is_one_batch() -> None:
    async with Pump(List(3)) as pump:
        await asyncio.sleep(0)
        assert await pump.take(5.0, 0) == [Keepalive(0), Keepalive(1), Keepalive(2)]
        assert await pump.take(0.001, 0) == []


async def test_a_failure_comes_after_what_came_before_it() -> None:
    async with Pump(List(2, OSError("cut"))) as pump:
        await asyncio.sleep(0)
        assert await pump.take(5.0, 0) == [Keepalive(0), Keepalive(1)]
        with pytest.raises(OSError, match="cut"):
            await pump.take(5.0, 0)


async def test_it_reads_no_further_ahead_than_its_bound() -> None:
    feed = List(10 * AHEAD_MAX)
    async with Pump(feed) as pump:
        await asyncio.sleep(0)
        assert feed.yielded <= AHEAD_MAX + 1
        seen = 0
        while seen < 10 * AHEAD_MAX:
            seen += len(await pump.take(5.0, 0))
        assert seen == 10 * AHEAD_MAX
