"""How old a hit may be, as one process knows it: what the relay said last, and how long ago that was."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field

from entresol.cache.connection import Connection
from entresol.cache.failure import CacheError
from entresol.cache.keys import Layout
from entresol.clock import Clock

POLL_S = 0.1


@dataclass(slots=True)
class RelayLag:
    """Follows what the relay publishes, which is measured on the primary's clock: no two clocks are compared."""

    connection: Connection
    layout: Layout
    clock: Clock = field(default_factory=Clock)
    _beat: bytes | None = None
    _said_s: float = math.inf
    _heard_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Return how old a hit may be now; infinite until the relay has been heard of."""
        return self._said_s + self.clock.monotonic_s() - self._heard_s

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            await self.poll()
            await asyncio.sleep(POLL_S)

    async def poll(self) -> None:
        """Ask once. A relay that has nothing to tell beats all the same; one that does not beat says nothing."""
        asked_s = self.clock.monotonic_s()
        try:
            (reply,) = await self.connection.execute(("HMGET", self.layout.relay, "beat", "lag_s"))
        except CacheError:
            return
        beat, lag_s = reply
        if beat is None or beat == self._beat:
            return
        # What stood there before this process came may be hours old: the first beat only begins the count.
        if self._beat is not None:
            self._said_s, self._heard_s = float(lag_s), asked_s
        self._beat = beat
