"""The gate: a change is applied only once the primary shows it to every new reader.

PostgreSQL decodes a commit as soon as it is in the log, which is before the primary's own readers see it, and long
before when the commit waits for a synchronous standby. A relay that applied it then would let a reader fill the old
row behind the change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

PAUSE_S_MIN = 0.001
PAUSE_S_MAX = 0.020


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The primary's `pg_current_snapshot()`, in 64-bit transaction ids, and its clock when it was taken."""

    xmin: int
    xmax: int
    running: frozenset[int]
    now_s: float

    @classmethod
    def parse(cls, text: str, now_s: float) -> Snapshot:
        """Return the snapshot of its text, `xmin:xmax:xid,xid`."""
        xmin, xmax, running = text.split(":")
        return cls(int(xmin), int(xmax), frozenset(map(int, filter(None, running.split(",")))), now_s)

    def shows(self, xid: int) -> bool:
        """Tell whether the transaction, of which the log has the lower 32 bits, is over for new readers."""
        full = self._full(xid)
        return full < self.xmin or (full < self.xmax and full not in self.running)

    def _full(self, xid: int) -> int:
        """Return the 64-bit id that ends in `xid` and is nearest to this snapshot."""
        full = (self.xmax & ~0xFFFFFFFF) | (xid & 0xFFFFFFFF)
        if full > self.xmax + (1 << 31):
            return full - (1 << 32)
        if full < self.xmax - (1 << 31):
            return full + (1 << 32)
        return full


TakeSnapshot = Callable[[], Awaitable[Snapshot]]


async def wait_until_settled(take_snapshot: TakeSnapshot, wait_s: float) -> bool:
    """Wait until every transaction that is running now has ended; False when one has not within `wait_s`.

    A slot starts somewhere in the log, and a commit just before may not be shown yet: no event will ever tell the relay
    of it, so that nothing may be filled from the primary until it is shown.
    """
    loop = asyncio.get_running_loop()
    end_s = loop.time() + wait_s
    first = now = await take_snapshot()
    while now.xmin < first.xmax:
        if loop.time() >= end_s:
            return False
        await asyncio.sleep(PAUSE_S_MAX)
        now = await take_snapshot()
    return True


async def wait_until_shown(xids: Collection[int], take_snapshot: TakeSnapshot) -> Snapshot:
    """Return the first snapshot of the primary that shows all of `xids`."""
    pause_s = PAUSE_S_MIN
    while True:
        snapshot = await take_snapshot()
        if all(map(snapshot.shows, xids)):
            return snapshot
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, PAUSE_S_MAX)
