"""Applies batches to the partitions of the cache, each whole and in order, however often Redis goes away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
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
        self._connection = connection
        self._layout = layout
        self._scopes = scopes
        self._name = secrets.token_hex(4)
        self._beats = 0
        self._cursors: list[bytes] = [b"0"] * layout.partitions
        self._swept_s = 0.0

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    def new_generation(self) -> bytes:
        """Return a name that no generation has had."""
        return secrets.token_hex(4).encode()

    async def continues(self, feed: Feed) -> bool:
        """Tell whether every partition has what was committed before the feed's start."""
        metas = [self._layout.meta(partition) for partition in range(self._layout.partitions)]
        try:
            replies = await self._connection.execute(*(("HMGET", meta, "W", "database") for meta in metas))
        except CacheError:
            return False
        start, database = hexed(feed.start_lsn), feed.database.encode()
        return all(watermark and watermark >= start and known == database for watermark, known in replies)

    async def apply(self, batch: Batch, expected: int, feed: Feed) -> list[bytes]:
        """Apply the batch to every partition, again and again while Redis is away: twice is as good as once.

        Returns the keys of entries that it dropped; of several attempts, only those of the last.

        Raises:
            RewoundError: a partition lacks what was applied before, and the slot still has it.
        """
        parts: dict[int, Sequence[Change]] = self._parts(batch)
        script, generation = self._connection.scripts.advance, self.new_generation()
        advance = Advance(
            script, expected, batch.newest, generation, feed.database, scopes=self._scopes.digest
        )
        pause_s = PAUSE_S_MIN
        while True:
            try:
                rewound, dropped = await self._advance(parts, advance, batch.floors)
                _refuse_rewinds(rewound, feed)
                await self._advance(dict.fromkeys(rewound, ()), replace(advance, reset=True), {})
                return dropped
            except CacheError as error:
                log.warning("the cache does not take changes: %s", error)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def publish(self, progress: Progress) -> None:
        """Tell every process how far behind the cache is."""
        self._beats += 1
        beat = f"{self._name}:{self._beats}"
        fields = ("applied", hexed(progress.applied), "lag_s", f"{progress.lag_s:.3f}", "beat", beat)
        with contextlib.suppress(CacheError):
            await self._connection.execute(("HSET", self._layout.relay, *fields))

    async def sweep(self) -> None:
        """Remove some fences that have expired from every partition; once a second is enough."""
        if not self._fences or time.monotonic() - self._swept_s < SWEEP_S:
            return
        self._swept_s = time.monotonic()
        digest, layout = self._connection.scripts.sweep.digest, self._layout
        commands: list[Command] = [
            ("EVALSHA", digest, 1, layout.fences(partition), cursor, SWEEP_FENCES)
            for partition, cursor in enumerate(self._cursors)
        ]
        with contextlib.suppress(CacheError):
            self._cursors = await self._connection.execute(*commands)

    def _parts(self, batch: Batch) -> dict[int, Sequence[Change]]:
        """Return the changes of each partition."""
        parts: dict[int, list[Change]] = {partition: [] for partition in range(self._layout.partitions)}
        for change in (*batch.changes, *batch.stamps()):
            parts[change.place.partition].append(change)
        return dict(parts)

    async def _advance(
        self, parts: Mapping[int, Sequence[Change]], advance: Advance, floors: Mapping[bytes, int]
    ) -> tuple[dict[int, int], list[bytes]]:
        """Apply changes to partitions, and return the watermark of each that is behind what was expected.

        Beside them, the keys of the entries that were dropped.
        """
        commands: list[Command] = []
        owners: list[int] = []
        for partition, changes in parts.items():
            layout = self._layout
            keys = layout.meta(partition), layout.fences(partition), layout.stream(partition)
            calls = advance.commands(keys, changes, floors)
            commands += calls
            owners += [partition] * len(calls)
        replies: list[Reply] = []
        for at in range(0, len(commands), CALLS_PER_SEND):
            replies += await self._connection.execute(*commands[at : at + CALLS_PER_SEND])
        rewound: dict[int, int] = {}
        dropped: list[bytes] = []
        for partition, command, reply in zip(owners, commands, replies, strict=True):
            answer, watermark, *indexes = reply
            dropped += cast("list[bytes]", [command[KEYS_BEFORE + index] for index in indexes])
            if answer == b"rewind":
                rewound[partition] = int(watermark, 16)
            elif answer == b"torn":
                raise CacheError(
                    f"partition {partition} lost the start of a batch: it is applied again", "torn"
                )
            elif answer == b"created":
                log.info("partition %d of the cache starts a new generation", partition)
        return rewound, dropped


def _refuse_rewinds(rewound: Mapping[int, int], feed: Feed) -> None:
    """Raise when a partition went back to where the slot still reaches; otherwise it gets a new generation."""
    for partition, watermark in rewound.items():
        if watermark >= feed.start_lsn:
            raise RewoundError(
                f"partition {partition} of the cache went back to {watermark:X}: "
                f"reading again from {feed.start_lsn:X}"
            )
