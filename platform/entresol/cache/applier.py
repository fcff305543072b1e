"""Applies batches to the partitions of the cache, each whole and in order, however often Redis goes away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import cast

from entresol.cache.batch import KEYS_BEFORE, Advance, Batch, Change
from entresol.cache.connection import Connection
from entresol.cache.entry import hexed
from entresol.cache.failure import CacheError
from entresol.cache.feed import Feed
from entresol.cache.keys import Layout
from entresol.cache.progress import Progress
from entresol.cache.scopes import NO_SCOPES, Scopes
from entresol.cache.wire import Command, Reply

log = logging.getLogger(__name__)

CALLS_PER_SEND = 16  # within one deadline
SWEEP_S = 1.0
SWEEP_FENCES = 256  # looked at in one go
PAUSE_S_MIN = 0.05
PAUSE_S_MAX = 1.0


class RewoundError(Exception):
    """Redis is an older copy of itself; the slot must be read again from its start."""


class Applier:
    """Calls ADVANCE on every partition. One relay uses it, one batch at a time."""

    def __init__(
        self, connection: Connection, layout: Layout, scopes: Scopes = NO_SCOPES, *, fences: bool = True
    ) -> None:
        self._fences = fences  # whether any resource has them
        self.connection = connection
        self._layout = layout
        self._scopes = scopes
        self._name = secrets.token_hex(4)
        self._beats = 0
        self._cursors: list[bytes] = [b"0"] * layout.partitions
        self._swept_s = 0.0
        self._left_out: dict[int, float] = {}  # partitions of a server that is away, and since when

    async def close(self) -> None:
        """Close the connection."""
        await self.connection.close()

    def new_generation(self) -> bytes:
        """Return a name that no generation has had."""
        return secrets.token_hex(4).encode()

    async def continues(self, feed: Feed) -> bool:
        """Tell whether every partition has what was committed before the feed's start."""
        metas = [self._layout.meta(partition) for partition in range(self._layout.partitions)]
        try:
            replies = await self.connection.execute(*(("HMGET", meta, "W", "database") for meta in metas))
        except CacheError:
            return False
        start, database = hexed(feed.start_lsn), feed.database.encode()
        return all(watermark and watermark >= start and known == database for watermark, known in replies)

    async def apply(
        self, batch: Batch, expected: int, feed: Feed, ask_primary: Callable[[], Awaitable[object]]
    ) -> list[bytes]:
        """Apply the batch to every partition, again and again while Redis is away: twice is as good as once.

        Meanwhile nobody reads the feed, and so nobody would hear that the primary shuts down, which waits for who
        reads it. So before each further attempt it is asked.

        Of a cluster some servers of which are away, it goes on with the others. When one is there again its partitions
        lack what was applied before: that is a rewind, or else a new generation.

        Returns the keys of entries that it dropped; of several attempts, only those of the last.

        Raises:
            RewoundError: a partition lacks what was applied before, and the slot still has it.
            Whatever `ask_primary` raises.
        """
        parts: dict[int, Sequence[Change]] = self._parts(batch)
        script, generation = self.connection.scripts.advance, self.new_generation()
        advance = Advance(
            script, expected, batch.newest, generation, feed.database, scopes=self._scopes.digest
        )
        pause_s = PAUSE_S_MIN
        while True:
            try:
                done = await self._advance(parts, advance, batch.floors)
                if done.away:  # or no more than a connection is
                    again = {partition: parts[partition] for partition in done.away}
                    done = done.then(await self._advance(again, advance, batch.floors))
                self._leave_out(done.away)
                _refuse_rewinds(done.rewound, feed)
                await self._advance(dict.fromkeys(done.rewound, ()), replace(advance, reset=True), {})
                return done.dropped
            except CacheError as error:
                log.warning("the cache does not take changes: %s", error)
                await asyncio.sleep(pause_s)
                await ask_primary()
                pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def publish(self, progress: Progress) -> None:
        """Tell every process how far behind the cache is."""
        self._beats += 1
        beat = f"{self._name}:{self._beats}"
        # A partition that was left out shows what is as old when it comes back, until its rewind.
        since_s = min(self._left_out.values(), default=None)
        lag_s = progress.lag_s + (time.monotonic() - since_s if since_s is not None else 0.0)
        fields = ("applied", hexed(progress.applied), "lag_s", f"{lag_s:.3f}", "beat", beat)
        with contextlib.suppress(CacheError):
            await self.connection.execute(("HSET", self._layout.relay, *fields))

    async def sweep(self) -> None:
        """Remove some fences that have expired from every partition; once a second is enough."""
        if not self._fences or time.monotonic() - self._swept_s < SWEEP_S:
            return
        self._swept_s = time.monotonic()
        digest, layout = self.connection.scripts.sweep.digest, self._layout
        commands: list[Command] = [
            ("EVALSHA", digest, 1, layout.fences(partition), cursor, SWEEP_FENCES)
            for partition, cursor in enumerate(self._cursors)
        ]
        with contextlib.suppress(CacheError):
            self._cursors = await self.connection.execute(*commands)

    def _parts(self, batch: Batch) -> dict[int, Sequence[Change]]:
        """Return the changes of each partition."""
        parts: dict[int, list[Change]] = {partition: [] for partition in range(self._layout.partitions)}
        for change in (*batch.changes, *batch.stamps()):
            parts[change.place.partition].append(change)
        return dict(parts)

    async def _advance(
        self, parts: Mapping[int, Sequence[Change]], advance: Advance, floors: Mapping[bytes, int]
    ) -> _Done:
        """Apply changes to partitions.

        Raises:
            CacheError: no server took any, or a partition lost the start of a batch.
        """
        commands: list[Command] = []
        owners: list[int] = []
        for partition, changes in parts.items():
            layout = self._layout
            keys = layout.meta(partition), layout.fences(partition), layout.stream(partition)
            calls = advance.commands(keys, changes, floors)
            commands += calls
            owners += [partition] * len(calls)
        replies: list[Reply | CacheError] = []
        for at in range(0, len(commands), CALLS_PER_SEND):
            replies += await self.connection.send(commands[at : at + CALLS_PER_SEND])
        failures = {
            owner: reply
            for owner, reply in zip(owners, replies, strict=True)
            if isinstance(reply, CacheError)
        }
        if len(failures) == self._layout.partitions:
            raise next(iter(failures.values()))
        done = _Done(away=failures.keys())
        for partition, command, reply in zip(owners, commands, replies, strict=True):
            if isinstance(reply, CacheError) or partition in failures:
                continue
            answer, watermark, *indexes = reply
            done.dropped += cast("list[bytes]", [command[KEYS_BEFORE + index] for index in indexes])
            if answer == b"rewind":
                done.rewound[partition] = int(watermark, 16)
            elif answer == b"torn":
                raise CacheError(
                    f"partition {partition} lost the start of a batch: it is applied again", "torn"
                )
            elif answer == b"created":
                log.info("partition %d of the cache starts a new generation", partition)
        return done

    def _leave_out(self, away: Set[int]) -> None:
        """Note which partitions others go on without."""
        if away and not self._left_out:
            log.warning("partitions %s of the cache are away, and others go on", sorted(away))
        now_s = time.monotonic()
        self._left_out = {partition: self._left_out.get(partition, now_s) for partition in away}


@dataclass(slots=True)
class _Done:
    """What became of a batch: watermarks of partitions that are behind, keys dropped, partitions of servers away."""

    away: Set[int]
    rewound: dict[int, int] = field(default_factory=dict)
    dropped: list[bytes] = field(default_factory=list)

    def then(self, again: _Done) -> _Done:
        """Return both, of which the second was about what was away in the first."""
        return _Done(again.away, self.rewound | again.rewound, self.dropped + again.dropped)


def _refuse_rewinds(rewound: Mapping[int, int], feed: Feed) -> None:
    """Raise when a partition went back to where the slot still reaches; otherwise it gets a new generation."""
    for partition, watermark in rewound.items():
        if watermark >= feed.start_lsn:
            raise RewoundError(
                f"partition {partition} of the cache went back to {watermark:X}: "
                f"reading again from {feed.start_lsn:X}"
            )
