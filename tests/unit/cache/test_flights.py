"""One load per name at a time, whoever is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from entresol.cache import Flights


class Load:
    """A load that ends when told, and counts how often it ran."""

    def __init__(self) -> None:
        self.runs = 0
        self.ended = asyncio.Event()
        self.was_cancelled = False

    async def __call__(self) -> int:
        self.runs += 1
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        return self.runs


async def test_who_asks_while_it_runs_gets_the_same_answer() -> None:
    flights: Flights[str, int] = Flights()
    load = Load()
    callers = [asyncio.create_task(flights.join("a", load)) for _ in range(10)]
    await asyncio.sleep(0)
    load.ended.set()
    assert await asyncio.gather(*callers) == [1] * 10
    assert len(flights) == 0
    assert await flights.join("a", load) == 2


async def test_names_do_not_wait_for_each_other() -> None:
    flights: Flights[str, int] = Flights()
    slow, quick = Load(), Load()
    quick.ended.set()
    waiting = asyncio.create_task(flights.join("a", slow))
    assert await flights.join("b", quick) == 1
    slow.ended.set()
    assert await waiting == 1


async def test_a_cancelled_caller_leaves_the_load_to_the_others() -> None:
    flights: Flights[str, int] = Flights()
    load = Load()
    first, second = (asyncio.create_task(flights.join("a", load)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    load.ended.set()
    assert await second == 1
    assert first.cancelled()


async def test_the_last_caller_takes_the_load_along() -> None:
    flights: Flights[str, int] = Flights()
    load = Load()
    callers = [asyncio.create_task(flights.join("a", load)) for _ in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for caller in callers:
        caller.cancel()
    await asyncio.wait(callers)
    await asyncio.sleep(0)
    assert load.was_cancelled
    assert len(flights) == 0
    load.ended.set()
    assert await flights.join("a", load) == 2


async def test_every_caller_sees_what_the_load_raised() -> None:
    flights: Flights[str, int] = Flights()

    async def fail() -> int:
        await asyncio.sleep(0)
        raise LookupError

    callers = [asyncio.create_task(flights.join("a", fail)) for _ in range(3)]
    for caller in callers:
        with pytest.raises(LookupError):
            await caller
    assert len(flights) == 0
