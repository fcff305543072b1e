"""The relay: applies every committed change to the cache, in commit order, and moves the watermark behind it.

One relay works per database, because the replication slot lets one read it; others stand by. What it has applied can be
lost with Redis, so the slot stays `retain_s` behind and the relay reads it again from there (rule R4).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from entresol import telemetry
from entresol.cache.applier import Applier, RewoundError
from entresol.cache.batch import Batch
from entresol.cache.connections import open_connection
from entresol.cache.feed import Feed
from entresol.cache.gate import TakeSnapshot, wait_until_settled, wait_until_shown
from entresol.cache.keys import Layout
from entresol.cache.progress import Progress
from entresol.cache.pump import Pump
from entresol.cache.refill import OpenReader, Refill
from entresol.cache.scopes import NO_SCOPES, Scopes
from entresol.cache.scripts import Scripts
from entresol.cache.server import check_server
from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import ConfigurationError, EntresolError, SlotBusyError
from entresol.life import Facts
from entresol.positions import lsn_text

log = logging.getLogger(__name__)

TIMEOUT_S_MIN = 2.0  # a batch is more work for the server than a read
SETTLE_S = 5.0
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 1.0
# What a batch costs is mostly the same for one change as for a hundred. So the relay lets changes gather for as long as
# the batch before took, and twice: quick while little is written, and never more than a third of its time at work.
LINGER_S_MIN = 0.002
LINGER_S_MAX = 0.010
LINGER_FACTOR = 2.0

OpenFeed = Callable[[], AbstractAsyncContextManager[Feed]]


class Relay:
    """Carries every change that `open_feed` yields to the cache, until cancelled."""

    def __init__(
        self,
        applier: Applier,
        layout: Layout,
        open_feed: OpenFeed,
        take_snapshot: TakeSnapshot,
        *,
        tick_s: float,
        retain_s: float,
        clock: Clock | None = None,
        open_reader: OpenReader | None = None,
        scopes: Scopes = NO_SCOPES,
    ) -> None:
        self.applier = applier
        self.refill = Refill(layout, open_reader) if open_reader else None
        self.progress = Progress(clock or Clock(), retain_s)
        self._layout = layout
        self._scopes = scopes
        self._open_feed = open_feed
        self._take_snapshot = take_snapshot
        self._tick_s = tick_s

    @classmethod
    def open(
        cls,
        settings: Settings,
        open_feed: OpenFeed,
        take_snapshot: TakeSnapshot,
        *,
        scripts: Scripts | None = None,
        open_reader: OpenReader | None = None,
        scopes: Scopes = NO_SCOPES,
        fences: bool = True,
    ) -> Relay:
        """Return the relay of the cache that the settings name. Nothing connects before `run`.

        `open_feed` is called for every start; what it raises is logged and tried again, SlotBusyError quietly.
        With `open_reader`, what the relay drops is read again.
        """
        timeout_s = max(settings.cache_timeout_s, TIMEOUT_S_MIN)
        layout = Layout(settings.cache_prefix, settings.cache_partitions, settings.cache_buckets)
        connection = open_connection(settings.cache_url, timeout_s=timeout_s, scripts=scripts)
        return cls(
            Applier(connection, layout, scopes, fences=fences),
            layout,
            open_feed,
            take_snapshot,
            tick_s=settings.relay_tick_s,
            retain_s=settings.relay_retain_s,
            open_reader=open_reader,
            scopes=scopes,
        )

    async def look(self) -> list[str]:
        """Return warnings about the cache's server, each with its remedy.

        Raises:
            ConfigurationError: the server answers and cannot work.
        """
        try:
            return await check_server(self.applier.connection, self._layout.partitions)
        except ConfigurationError:
            await self.applier.close()
            raise

    async def ready(self) -> None:
        """Wait until this relay, or the one that works in its place, has the cache ready for entries."""
        await self.progress.ready()

    async def reached(self, lsn: int) -> None:
        """Wait until everything committed up to `lsn` has been applied by this relay."""
        await self.progress.reached(lsn)

    async def run(self) -> None:
        """Relay until cancelled. Every failure is logged, counted, and tried again."""
        telemetry.meter.create_observable_gauge(
            telemetry.RELAY_LAG, [self._observe_lag], unit="s", description="Age of what was applied last"
        )
        pause_s = PAUSE_S_MIN
        refilling = asyncio.create_task(self.refill.run(), name="entresol refill") if self.refill else None
        try:
            while True:
                self.progress.is_active = False
                try:
                    await self._follow()
                except SlotBusyError:
                    self.progress.stand_by()  # not a failure: the other relay works
                except RewoundError as rewind:
                    telemetry.RELAY_REWINDS.add(1)
                    log.warning("%s", rewind)
                except Exception as error:
                    telemetry.CACHE_FAILURES.add(1, {telemetry.REASON: "relay"})
                    known = isinstance(error, OSError | EntresolError)
                    log.warning("the relay stopped and starts again: %s", error, exc_info=not known)
                pause_s = PAUSE_S_MIN if self.progress.is_active else min(2 * pause_s, PAUSE_S_MAX)
                await asyncio.sleep(pause_s)
        finally:
            if refilling is not None:
                refilling.cancel()
                await asyncio.wait([refilling])
            await self.applier.close()

    def facts(self) -> Facts:
        """Return how far it is; one that stands by for another tells no more than that."""
        progress = self.progress
        if not progress.is_active:
            return {"active": False}
        return {"active": True, "applied": lsn_text(progress.applied), "lag_s": round(progress.lag_s, 3)}

    def _observe_lag(self, _: telemetry.CallbackOptions) -> list[telemetry.Observation]:
        return [telemetry.Observation(self.progress.lag_s)] if self.progress.is_active else []

    async def _follow(self) -> None:
        """Apply what one feed yields, until it fails."""
        async with self._open_feed() as feed, Pump(feed) as pump:
            applied = feed.start_lsn
            self.progress.begin(applied)
            log.info("the relay reads from %X of database %s", applied, feed.database)
            await self._settle(feed)
            linger_s = LINGER_S_MIN
            while True:
                events = await pump.take(self._tick_s, linger_s)
                begun_s = time.monotonic()
                self.progress.hear(events)
                batch = Batch.of(events, applied, self._layout, self._scopes)
                lag_s = await self._pass_gate(batch)
                dropped = await self.applier.apply(batch, applied, feed, self._take_snapshot)
                if self.refill is not None:
                    self.refill.note(dropped)
                applied = batch.newest
                telemetry.RELAY_CHANGES.add(len(batch.changes))
                await self.progress.move(applied, lag_s)
                await self.applier.publish(self.progress)
                await self.applier.sweep()
                if (safe := self.progress.retained()) is not None:
                    feed.acknowledge(safe)
                worked_s = time.monotonic() - begun_s
                linger_s = min(max(LINGER_S_MIN, LINGER_FACTOR * worked_s), LINGER_S_MAX)

    async def _settle(self, feed: Feed) -> None:
        """Before a partition starts at a slot that may be new, let what committed just before it be shown."""
        if await self.applier.continues(feed) or await wait_until_settled(self._take_snapshot, SETTLE_S):
            return
        log.warning("a transaction runs for over %g s: the relay starts without waiting for it", SETTLE_S)

    async def _pass_gate(self, batch: Batch) -> float:
        """Wait until the primary shows the batch, and return how long ago its last transaction committed."""
        if batch.commit_time_s is None:
            return 0.0
        snapshot = await wait_until_shown(batch.xids, self._take_snapshot)
        return max(0.0, snapshot.now_s - batch.commit_time_s)
