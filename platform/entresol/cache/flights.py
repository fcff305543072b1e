"""One load per key at a time in this process: who asks while it runs gets the same answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

Name = TypeVar("Name", bound=Hashable)
Value = TypeVar("Value")


@dataclass(slots=True)
class _Flight(Generic[Value]):
    task: asyncio.Task[Value]
    waiting: int = 0


class Flights(Generic[Name, Value]):
    """Joins concurrent loads. A cancelled caller leaves the load to the others; the last takes it along."""

    def __init__(self) -> None:
        self._flights: dict[Name, _Flight[Value]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def __contains__(self, name: Name) -> bool:
        return name in self._flights

    async def join(self, name: Name, load: Callable[[], Awaitable[Value]]) -> Value:
        """Return what `load` returns, or what an earlier load of the same name that is still running does.

        `load` runs in the context of the caller that started it, so it must bring its own deadline; what it
        raises, every caller sees.
        """
        flight = self._flights.get(name)
        if flight is None:
            flight = self._flights[name] = _Flight(asyncio.ensure_future(_run(load)))
            flight.task.add_done_callback(lambda task: self._landed(name, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._landed(name, flight.task)
                flight.task.cancel()

    def _landed(self, name: Name, task: asyncio.Task[Value]) -> None:
        flight = self._flights.get(name)
        if flight is not None and flight.task is task:
            del self._flights[name]
        if task.done() and not task.cancelled():
            task.exception()  # every caller may be gone; the last of them has seen to that


async def _run(load: Callable[[], Awaitable[Value]]) -> Value:
    return await load()
