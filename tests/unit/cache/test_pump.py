"""A feed that is read while somebody takes, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

import pytest

from entresol.cache.feed import Event
from entresol.cache.pump import AHEAD_MAX, Pump


@dataclass
class Keepalive:
    wal_end: int


@dataclass
class Transaction:
    end_lsn: int
    changes: tuple[int, ...] = (0,)


class Live:
    """A feed of what comes while it is read."""

    start_lsn = 0
    database = "database"

    def __init__(self) -> None:
        self._coming: asyncio.Queue[Event] = asyncio.Queue()
        self.yielded = 0

    def come(self, *positions: int) -> None:
        for position in positions:
            self._coming.put_nowait(cast("Event", Transaction(position)))

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            event = await self._coming.get()
            self.yielded += 1
            yield event

    def acknowledge(self, lsn: int) -> None:
        """Take no notice."""


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


async def turns_of_the_loop() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_nothing_is_read_while_nobody_takes() -> None:
    feed = Live()
    async with Pump(feed) as pump:
        feed.come(1, 2)
        await turns_of_the_loop()
        assert feed.yielded == 0
        assert await pump.take(5.0, 0) == [Transaction(1), Transaction(2)]
        for position in range(3, 30):
            feed.come(position)
            await turns_of_the_loop()
        assert feed.yielded == 3  # the one that it waited for already
        assert await pump.take(5.0, 0) == [Transaction(position) for position in range(3, 30)]


async def test_what_comes_while_changes_gather_is_read_at_once_when_they_have() -> None:
    feed = Live()
    async with Pump(feed) as pump:
        taking = asyncio.create_task(pump.take(5.0, 0.5))
        await turns_of_the_loop()
        for position in range(1, 30):
            feed.come(position)
            await turns_of_the_loop()
        assert feed.yielded == 2
        assert await taking == [Transaction(position) for position in range(1, 30)]
