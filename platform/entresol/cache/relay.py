"""The relay: applies every committed change to the cache, in commit order, and moves the watermark behind it.

One relay works per database, because the replication slot lets one read it; others stand by. What it has applied can be
lost with Redis, so the slot stays `retain_s` behind and the relay reads it again from there (rule R4).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from entresol import telemetry
from entresol.cache.batch import Advance, Batch, Change
from entresol.cache.breaker import Breaker
from entresol.cache.connection import Connection
from entresol.cache.entry import hexed
from entresol.cache.failure import CacheError
from entresol.cache.feed import Feed
from entresol.cache.gate import TakeSnapshot, wait_until_settled, wait_until_shown
from entresol.cache.keys import Layout
from entresol.cache.progress import Progress
from entresol.cache.pump import Pump
from entresol.cache.scripts import Scripts
from entresol.cache.wire import Command, Reply
from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import EntresolError, SlotBusyError

log = logging.getLogger(__name__)

TIMEOUT_S_MIN = 2.0  # a batch is more work for the server than a read
CALLS_PER_SEND = 16  # within one deadline
SETTLE_S = 5.0
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 1.0

OpenFeed = Callable[[], AbstractAsyncContextManager[Feed]]


class RewoundError(Exception):
    """Redis is an older copy of itself; the slot must be read again from its start."""


class Relay:
    """Carries every change that `open_feed` yields to the cache, until cancelled."""

    def __init__(
        self,
        connection: Connection,
        layout: Layout,
        open_feed: OpenFeed,
        take_snapshot: TakeSnapshot,
        *,
        tick_s: float,
        retain_s: float,
        clock: Clock | None = None,
    ) -> None:
        self.progress = Progress(clock or Clock(), retain_s)
        self._connection = connection
        self._layout = layout
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
    ) -> Relay:
        """Return the relay of the cache that the settings name. Nothing connects before `run`."""
        timeout_s = max(settings.cache_timeout_s, TIMEOUT_S_MIN)
        return cls(
            Connection(settings.cache_url, timeout_s=timeout_s, breaker=Breaker.never(), scripts=scripts),
            Layout(settings.cache_prefix, settings.cache_partitions, settings.cache_buckets),
            open_feed,
            take_snapshot,
            tick_s=settings.relay_tick_s,
            retain_s=settings.relay_retain_s,
        )

    def new_generation(self) -> bytes:
        """Return a name that no generation has had."""
        return secrets.token_hex(4).encode()

    async def ready(self) -> None:
        """Wait until this relay, or the one that works in its place, has the cache ready for entries."""
        await self.progress.ready()

    async def reached(self, lsn: int) -> None:
        """Wait until everything committed up to `lsn` has been applied by this relay."""
        await self.progress.reached(lsn)

    async def run(self) -> None:
        """Relay until cancelled. Every failure is logged, counted, and tried again."""
        pause_s = PAUSE_S_MIN
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
            await self._connection.close()

    async def _follow(self) -> None:
        """Apply what one feed yields, until it fails."""
        async with self._open_feed() as feed, Pump(feed) as pump:
            applied = feed.start_lsn
            self.progress.begin(applied)
            log.info("the relay reads from %X of database %s", applied, feed.database)
            await self._settle(feed)
            while True:
                batch = Batch.of(await pump.take(self._tick_s), applied, self._layout)
                lag_s = await self._pass_gate(batch)
                await self._apply(batch, applied, feed)
                applied = batch.newest
                telemetry.RELAY_CHANGES.add(len(batch.changes))
                await self.progress.move(applied, lag_s)
                await self._publish()
                if (safe := self.progress.retained()) is not None:
                    feed.acknowledge(safe)

    async def _settle(self, feed: Feed) -> None:
        """Before any partition starts anew at a slot that may be new: let what committed just before it be shown."""
        if await self._continues(feed) or await wait_until_settled(self._take_snapshot, SETTLE_S):
            return
        log.warning(
            "a transaction has been running for over %g s: the relay starts without waiting for it", SETTLE_S
        )

    async def _continues(self, feed: Feed) -> bool:
        """Tell whether every partition has what was committed before the feed's start."""
        metas = [self._layout.meta(partition) for partition in range(self._layout.partitions)]
        try:
            replies = await self._connection.execute(*(("HMGET", meta, "W", "database") for meta in metas))
        except CacheError:
            return False
        start, database = hexed(feed.start_lsn), feed.database.encode()
        return all(watermark and watermark >= start and known == database for watermark, known in replies)

    async def _pass_gate(self, batch: Batch) -> float:
        """Wait until the primary shows the batch, and return how long ago its last transaction committed."""
        if batch.commit_time_s is None:
            return 0.0
        snapshot = await wait_until_shown(batch.xids, self._take_snapshot)
        return max(0.0, snapshot.now_s - batch.commit_time_s)

    async def _apply(self, batch: Batch, expected: int, feed: Feed) -> None:
        """Apply the batch to every partition, again and again while Redis is away: twice is as good as once."""
        parts: dict[int, list[Change]] = {partition: [] for partition in range(self._layout.partitions)}
        for change in () if batch.resets else batch.changes:
            parts[change.place.partition].append(change)
        advance = Advance(
            self._connection.scripts.advance,
            expected,
            batch.newest,
            self.new_generation(),
            feed.database,
            batch.resets,
        )
        pause_s = PAUSE_S_MIN
        while True:
            try:
                rewound = await self._advance(parts, advance)
                self._refuse_rewinds(rewound, feed)
                await self._advance(dict.fromkeys(rewound, ()), replace(advance, reset=True))
                return
            except CacheError as error:
                log.warning("the cache does not take changes: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _advance(self, parts: Mapping[int, Sequence[Change]], advance: Advance) -> dict[int, int]:
        """Apply changes to partitions, and return the watermark of each that is behind what was expected."""
        commands: list[Command] = []
        owners: list[int] = []
        for partition, changes in parts.items():
            calls = advance.commands(self._layout.meta(partition), changes)
            commands += calls
            owners += [partition] * len(calls)
        replies: list[Reply] = []
        for at in range(0, len(commands), CALLS_PER_SEND):
            replies += await self._connection.execute(*commands[at : at + CALLS_PER_SEND])
        rewound: dict[int, int] = {}
        for partition, (answer, watermark) in zip(owners, replies, strict=True):
            if answer == b"rewind":
                rewound[partition] = int(watermark, 16)
            elif answer == b"torn":
                raise CacheError(
                    f"partition {partition} lost the first part of a batch, which is applied again"
                )
            elif answer == b"created":
                log.info("partition %d of the cache starts a new generation", partition)
        return rewound

    async def _publish(self) -> None:
        """Tell every process how far behind the cache is."""
        progress = self.progress
        with contextlib.suppress(CacheError):
            await self._connection.execute(
                (
                    "HSET",
                    self._layout.relay,
                    "applied",
                    hexed(progress.applied),
                    "lag_s",
                    f"{progress.lag_s:.3f}",
                )
            )

    def _refuse_rewinds(self, rewound: Mapping[int, int], feed: Feed) -> None:
        """Raise when a partition went back to where the slot still reaches; otherwise it gets a new generation."""
        for partition, watermark in rewound.items():
            if watermark >= feed.start_lsn:
                raise RewoundError(
                    f"partition {partition} of the cache went back to {watermark:X}: "
                    f"reading again from {feed.start_lsn:X}"
                )
