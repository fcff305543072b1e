"""How far the relay is: what it has applied, how far behind that was, and what it may let the slot forget."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from entresol.clock import Clock

SAMPLES = 64


@dataclass(slots=True)
class Progress:
    """`applied` moves when a batch is in the cache; `lag_s` is how long before that its last transaction committed."""

    clock: Clock
    retain_s: float
    applied: int = 0
    lag_s: float = 0.0
    is_active: bool = False
    _heard_s: float = 0.0
    _moved: asyncio.Condition = field(default_factory=asyncio.Condition)
    _samples: deque[tuple[float, int]] = field(default_factory=deque)
    _ready: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, start: int) -> None:
        """Note that a feed begins at `start`, which may be before what was applied."""
        self.applied = start
        self._heard_s = self.clock.monotonic_s()
        self._samples.clear()

    def hear(self, events: Sequence[object]) -> None:
        """Note what the feed brought; one that is silent is as old as its last word."""
        if events:
            self._heard_s = self.clock.monotonic_s()

    async def move(self, applied: int, lag_s: float) -> None:
        """Note a batch, and wake who waits for it."""
        now_s = self.clock.monotonic_s()
        self.applied, self.lag_s, self.is_active = applied, max(lag_s, now_s - self._heard_s), True
        self._ready.set()
        if not self._samples or now_s - self._samples[-1][0] >= self.retain_s / SAMPLES:
            self._samples.append((now_s, applied))
        async with self._moved:
            self._moved.notify_all()

    def stand_by(self) -> None:
        """Note that another relay works."""
        self.is_active = False
        self._ready.set()

    async def ready(self) -> None:
        """Wait for the first batch, or for the news that another relay works."""
        await self._ready.wait()

    async def reached(self, lsn: int) -> None:
        """Wait until everything committed up to `lsn` has been applied."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.applied >= lsn)

    def retained(self) -> int | None:
        """Return the newest position that is `retain_s` old, once: the slot may begin there. None: nothing new."""
        end_s = self.clock.monotonic_s() - self.retain_s
        position: int | None = None
        while self._samples and self._samples[0][0] <= end_s:
            position = self._samples.popleft()[1]
        return position
