"""Fences: before a write of STRONG records commits, the cache forgets them and takes nothing older in (rule R9).

What a transaction wrote and did not name, as a foreign key or SQL of its own does, raises the floor of the table (R7).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from entresol.cache.connection import Connection
from entresol.cache.entry import Rank, hexed, stamp
from entresol.cache.failure import CacheError
from entresol.cache.keys import Layout
from entresol.cache.wire import Command
from entresol.clock import Clock
from entresol.errors import UnavailableError
from entresol.schema.model import Resource, UnfencedWrites

log = logging.getLogger(__name__)

FENCES_PER_CALL = 64
CALLS_PER_SEND = 16  # within one deadline


class Change(Protocol):
    """A record that a transaction has written, while its row is locked."""

    @property
    def resource(self) -> Resource:
        """Return its type."""

    @property
    def name(self) -> str:
        """Return its name; empty for all records of the table that were written and not named."""

    @property
    def version(self) -> int:
        """Return the version that the write gave it, or took away with it."""

    @property
    def row(self) -> object | None:
        """Return what it is now; None when it is gone."""

    @property
    def position(self) -> int:
        """Return a position before this write's commit and after that of every earlier write of the record."""


@dataclass(slots=True)
class Fences:
    """The fences of one transaction. They stand for `seconds`, by the clock of the Redis server."""

    connection: Connection
    layout: Layout
    seconds: float
    clock: Clock
    _commands: Sequence[Command] = ()
    _tables: Sequence[bytes] = ()
    _refusing: Resource | None = None
    _raised_s: float = field(default=0.0)

    async def before_commit(self, changes: Sequence[Change]) -> None:
        """Fence the STRONG records among `changes`; called with the last ones, before the commit is sent.

        Raises:
            UnavailableError: Redis did not take a fence, and a resource refuses to be written without.
        """
        last = {
            (change.resource.type, change.name): change for change in changes if change.resource.is_fenced
        }
        if not last:
            return
        resources = {type_: change.resource for (type_, _), change in last.items()}
        self._refusing = next(filter(_refuses, resources.values()), None)
        named = [change for change in last.values() if change.name]
        unnamed = [change for change in last.values() if not change.name]
        self._commands = self._calls(named)
        self._tables = [self.layout.floor(change.resource.table) for change in unnamed]
        try:
            await self._raise(max((change.position for change in unnamed), default=0))
        except CacheError as error:
            if self._refusing is not None:
                raise _not_fenced(self._refusing, "nothing was changed; try again") from error
            log.warning("a write goes on without its fences: %s", error)
            self._commands = self._tables = ()

    async def after_commit(self, lsn: int) -> bool:
        """Raise the floors of tables to `lsn`, which is behind the commit, and tell whether STRONG records may be put.

        When the commit took long, they are fenced again: whoever read before it must have given up when the fences
        expire. Then nothing is put: a newer write may have been here, acknowledged, and its fence gone.

        Raises:
            UnavailableError: Redis did not take them, so that an older value may still be shown.
        """
        if self.clock.monotonic_s() - self._raised_s <= self.seconds / 2:
            self._commands = ()
        is_late = bool(self._commands)
        if not is_late and not self._tables:
            return True
        try:
            await self._raise(lsn)
        except CacheError as error:
            if self._refusing is not None:
                text = "the change was made, but readers may not see it yet; read before you try again"
                raise _not_fenced(self._refusing, text) from error
        return not is_late

    async def _raise(self, floor: int) -> None:
        self._raised_s = self.clock.monotonic_s()
        commands = [*self._commands, *self._floors(floor)]
        for at in range(0, len(commands), CALLS_PER_SEND):
            await self.connection.execute(*commands[at : at + CALLS_PER_SEND])

    def _floors(self, position: int) -> list[Command]:
        if not self._tables:
            return []
        digest, layout = self.connection.scripts.floor.digest, self.layout
        return [
            ("EVALSHA", digest, 1, layout.meta(partition), hexed(position), *self._tables)
            for partition in range(layout.partitions)
        ]

    def _calls(self, changes: Sequence[Change]) -> list[Command]:
        parts: dict[int, list[tuple[bytes, ...]]] = {}
        for change in changes:
            place = self.layout.place(change.resource.table, change.name)
            new = stamp(change.version, Rank.VALUE if change.row is not None else Rank.ABSENT)
            fence = (place.entry, place.lease, new, hexed(change.position))
            parts.setdefault(place.partition, []).append(fence)
        return [
            self._call(self.layout.fences(partition), fences[at : at + FENCES_PER_CALL])
            for partition, fences in parts.items()
            for at in range(0, len(fences), FENCES_PER_CALL)
        ]

    def _call(self, key: bytes, fences: Sequence[tuple[bytes, ...]]) -> Command:
        keys = [part for fence in fences for part in fence[:2]]
        values = [part for fence in fences for part in fence[2:]]
        ttl_ms = max(1, round(self.seconds * 1000))
        return ("EVALSHA", self.connection.scripts.fence.digest, len(keys) + 1, key, *keys, ttl_ms, *values)


def _refuses(resource: Resource) -> bool:
    return resource.cache.unfenced_writes is UnfencedWrites.REFUSE


def _not_fenced(resource: Resource, outcome: str) -> UnavailableError:
    return UnavailableError(
        f"the cache did not take the fence of a {resource.type}, whose reads are STRONG: {outcome}. Redis must answer, "
        "or the resource must say `cache: {unfenced_writes: UNFENCED_WRITES_ALLOW}`",
        metadata={"resource": resource.type},
    )
