"""Batching by event-loop turn: what is asked for in one turn is worked on as one list, with no added delay."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from entresol.errors import ResourceExhaustedError

Item = TypeVar("Item")
Result = TypeVar("Result")


class Turn(Generic[Item, Result]):
    """Collects the items of one event-loop turn and hands them to `work`, at most `size_max` at a time.

    While `running_max` of these are worked on, what comes waits, and is one batch when one of them ends: the longer it
    takes, the more is done at once. An item that has a `weight` counts as so many, and one that is heavier than
    `size_max` goes alone. Items of one `key` are never in two batches at the same time: they share one, or
    wait. Beyond `waiting_max` waiting items, a submitted one fails at once with ResourceExhaustedError.

    `work` returns one result for each item, in order; what it raises, every caller of that batch sees. A caller
    that is cancelled leaves the others undisturbed; when all are gone, the work is cancelled too. One instance
    belongs to one event loop.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], Awaitable[Sequence[Result]]],
        size_max: int = 1000,
        running_max: int = sys.maxsize,
        waiting_max: int = sys.maxsize,
        key: Callable[[Item], Hashable] | None = None,
        weight: Callable[[Item], int] | None = None,
    ) -> None:
        self._work = work
        self._size_max = size_max
        self._running_max = running_max
        self._waiting_max = waiting_max
        self._key = key
        self._weight = weight or _one
        self._waiting_weight = 0
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._running: dict[asyncio.Task[None], frozenset[Hashable]] = {}  # with the keys of their items
        self._is_due = False

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Return the future result of `item`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        if self._waiting_weight >= self._waiting_max:
            future.set_exception(
                ResourceExhaustedError(f"{self._waiting_max} wait already; try again shortly")
            )
            return future
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._start)
        self._waiting.append((item, future))
        self._waiting_weight += self._weight(item)
        return future

    def _start(self) -> None:
        self._is_due = False
        while len(self._running) < self._running_max and (batch := self._take()):
            keys = frozenset(self._key(item) for item, _ in batch) if self._key else frozenset()
            task = asyncio.ensure_future(self._run(batch))
            self._running[task] = keys
            task.add_done_callback(self._ended)
            _cancel_when_abandoned(task, [future for _, future in batch])

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Remove the next batch from what waits, and whatever before it nobody waits for any more."""
        busy = frozenset[Hashable]().union(*self._running.values())
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        blocked: list[tuple[Item, asyncio.Future[Result]]] = []
        end = size = 0
        for item, future in self._waiting:
            weight = self._weight(item)
            if batch and size + weight > self._size_max:
                break
            end += 1
            is_busy = busy and self._key is not None and self._key(item) in busy
            if is_busy and not future.done():
                blocked.append((item, future))
                continue
            self._waiting_weight -= weight
            if not future.done():
                batch.append((item, future))
                size += weight
        self._waiting[:end] = blocked
        return batch

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._start()

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)

    async def close(self) -> None:
        """Wait for what is running, and for what waits for it."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)


def _one(_: object) -> int:
    return 1


def _cancel_when_abandoned(task: asyncio.Task[None], futures: list[asyncio.Future[Result]]) -> None:
    """Cancel `task` once every one of its callers was cancelled."""
    left = len(futures)

    def on_done(future: asyncio.Future[Result]) -> None:
        nonlocal left
        if future.cancelled():
            left -= 1
            if left == 0:
                task.cancel()

    for future in futures:
        future.add_done_callback(on_done)
