"""How far the cache was behind the primary at any moment of a scenario: what BOUNDED hits are measured by."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

SAMPLE_S = 0.05
AGAIN_S = 0.2
TIMEOUT_S = 2.0
NEARBY_S = 0.3  # samples so near a moment count for it, the one that was furthest behind
FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"

Sample = tuple[float, int]  # a moment of the monotonic clock, and a position in the log


class Lag:
    """Samples of what was committed and of what the cache had applied. `watch` takes them, until it is cancelled."""

    def __init__(self, committed: Sequence[Sample] = (), applied: Sequence[Sample] = ()) -> None:
        self.committed = list(committed)
        self.applied = list(applied)

    async def watch(self, primary: Callable[[], str], watermark: Callable[[], Awaitable[int]]) -> None:
        """Take samples; `primary` returns its URL, `watermark` what the cache has applied, 0 for no answer."""
        await asyncio.gather(self._watch_primary(primary), self._watch_cache(watermark))

    async def _watch_primary(self, primary: Callable[[], str]) -> None:
        while True:
            try:
                connection = await asyncpg.connect(primary(), timeout=TIMEOUT_S)
                try:
                    while True:
                        at_s = time.monotonic()  # what was acknowledged before is at or before the position
                        self.committed.append((at_s, await connection.fetchval(FLUSHED, timeout=TIMEOUT_S)))
                        await asyncio.sleep(SAMPLE_S)
                finally:
                    connection.terminate()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await asyncio.sleep(AGAIN_S)

    async def _watch_cache(self, watermark: Callable[[], Awaitable[int]]) -> None:
        while True:
            at_s, applied = time.monotonic(), await watermark()
            if applied:
                self.applied.append((at_s, applied))
            await asyncio.sleep(SAMPLE_S)

    def seconds(self, at_s: float, first_s: float, last_s: float) -> float | None:
        """Return how long before `at_s` all was committed that the cache had applied from `first_s` to `last_s`.

        Of that time the moment counts when it had applied least: a fail-over takes the cache back to where its copy
        was, from one sample to the next. None: not known.
        """
        first = bisect_left(self.applied, first_s - NEARBY_S, key=lambda sample: sample[0])
        last = bisect_right(self.applied, last_s + NEARBY_S, key=lambda sample: sample[0])
        near = [position for _, position in self.applied[first:last]]
        known = bisect_right(self.committed, at_s, key=lambda sample: sample[0])
        if not near or not known:
            return None
        applied = min(near)
        # Positions of one primary never go back.
        reached = bisect_right(self.committed[:known], applied, key=lambda sample: sample[1])
        return at_s - self.committed[reached - 1][0] if reached else None
