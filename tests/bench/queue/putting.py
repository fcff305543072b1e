"""The process that puts jobs in, alike for every system; it runs in the peers' environment too.

It reads one request a line, `{"do": NAME, ...}`, and answers with one line of JSON. Times are of the machine's
monotonic clock, which the workers share.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Protocol

import uvloop

LOAD_BATCH = 1000
ORDERS = "CREATE TABLE orders (number bigint NOT NULL)"
ORDER = "INSERT INTO orders VALUES ({})"


class Opened(Protocol):
    """A transaction. It commits where its block ends."""

    async def order(self, number: int) -> object:
        """Write a row of the caller's own."""

    async def put(self, numbers: Sequence[int]) -> object:
        """Put in jobs of these numbers."""


class FrontEnd(Protocol):
    """Who puts jobs in: it has one connection, or what its system takes for one."""

    def transaction(self) -> AbstractAsyncContextManager[Opened]:
        """Open a transaction."""

    async def put(self, numbers: Sequence[int]) -> object:
        """Put in jobs of these numbers, with nothing else, as the system does it."""


Open = Callable[[Any, int], AbstractAsyncContextManager[Sequence[FrontEnd]]]


def one_each(open_one: Callable[[Any], AbstractAsyncContextManager[FrontEnd]]) -> Open:
    """Return what opens front ends that share nothing."""

    @asynccontextmanager
    async def opened(given: Any, count: int) -> AsyncIterator[Sequence[FrontEnd]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(open_one(given)) for _ in range(count)]

    return opened


def batches(first: int, count: int, size: int) -> Iterator[range]:
    """Give numbers from the first on, so many at a time."""
    for begin in range(first, first + count, size):
        yield range(begin, min(begin + size, first + count))


class Putting:
    """What can be asked for, by the name of the method."""

    def __init__(self, given: Any, open_front_ends: Open) -> None:
        self._given = given
        self._open = open_front_ends
        self._front_ends: Sequence[FrontEnd] = ()
        self._opened = AsyncExitStack()
        self._loaded = AsyncExitStack()

    async def open(self, count: int) -> dict[str, Any]:
        """Be so many front ends."""
        await self._opened.aclose()
        self._front_ends = await self._opened.enter_async_context(self._open(self._given, count))
        return {}

    async def load(self, first: int, count: int) -> dict[str, Any]:
        """Put jobs in, within a transaction that `commit` ends."""
        transaction = await self._loaded.enter_async_context(self._front_ends[0].transaction())
        for numbers in batches(first, count, LOAD_BATCH):
            await transaction.put(numbers)
        return {}

    async def commit(self) -> dict[str, Any]:
        """Let the workers have what is loaded; return when that began."""
        began_s = time.monotonic()
        await self._loaded.aclose()
        return {"began_s": began_s}

    async def put(self, first: int, count: int, batch: int) -> dict[str, Any]:
        """Put jobs in by one front end, one batch after the other."""
        began_s = time.monotonic()
        for numbers in batches(first, count, batch):
            await self._front_ends[0].put(numbers)
        return {"elapsed_s": time.monotonic() - began_s}

    async def pace(self, first: int, count: int, batch: int, per_s: float) -> dict[str, Any]:
        """Put so many jobs in a second, in batches; return when each commit began, and the time that all took."""
        began_s, sent_s = time.monotonic(), []
        for index, numbers in enumerate(batches(first, count, batch)):
            await asyncio.sleep(max(0.0, began_s + index * batch / per_s - time.monotonic()))
            async with self._front_ends[0].transaction() as transaction:
                await transaction.put(numbers)
                sent_s.append(time.monotonic())
        return {"sent_s": sent_s, "elapsed_s": time.monotonic() - began_s}

    async def orders(self, first: int, seconds: float) -> dict[str, Any]:
        """Let every front end write orders with a job each, a transaction for each, for so long."""
        numbers, began_s = itertools.count(first), time.monotonic()

        async def ask(front_end: FrontEnd) -> int:
            count = 0
            while time.monotonic() < began_s + seconds:
                number = next(numbers)
                async with front_end.transaction() as transaction:
                    await transaction.order(number)
                    await transaction.put((number,))
                count += 1
            return count

        counts = await asyncio.gather(*map(ask, self._front_ends))
        return {"count": sum(counts), "elapsed_s": time.monotonic() - began_s}

    async def serve(self) -> None:
        """Answer until the input ends."""
        loop = asyncio.get_running_loop()
        async with self._opened:
            print(json.dumps({}), flush=True)
            while line := await loop.run_in_executor(None, sys.stdin.readline):
                asked = json.loads(line)
                answer = await getattr(self, asked.pop("do"))(**asked)
                print(json.dumps(answer), flush=True)


def arguments() -> argparse.Namespace:
    """Return what the program of a system is told to do."""
    parser = argparse.ArgumentParser(description="make the tables of a queue, work, or put jobs in")
    parser.add_argument("do", choices=["prepare", "work", "put"])
    parser.add_argument("url")
    parser.add_argument("--batch", type=int, default=100, help="jobs of a worker at once")
    parser.add_argument("--how", default="", help="in which way, where there are several")
    return parser.parse_args()


def main(
    prepare: Callable[[Any], Coroutine[Any, Any, None]],
    work: Callable[[Any], Coroutine[Any, Any, None]] | None,
    open_front_ends: Open,
) -> None:
    """Do what the command line says."""
    told = arguments()
    if told.do == "put":
        uvloop.run(Putting(told, open_front_ends).serve())
        return
    does = prepare if told.do == "prepare" else work
    assert does is not None, "it has a worker of its own"
    uvloop.run(does(told))
