"""Cached lists: the names and versions of a page, never its rows, valid while their scope is as it was (rule R6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from entresol import telemetry
from entresol.cache.connection import Connection
from entresol.cache.entry import hexed, padded
from entresol.cache.failure import CacheError
from entresol.cache.keys import Layout
from entresol.cache.scopes import Scopes
from entresol.schema.list_scopes import Pins
from entresol.schema.model import Resource
from entresol.schema.pages import pack, unpack

# An entry is generation(8) asof(16) revision(8) seen(16) size(8) in hex digits, so much of `last`, names and versions.
_HEADER_BYTES = 56
_FAILED = {telemetry.OPERATION: "list", telemetry.REASON: "failed"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A page: name and version of each row, and the order's values in its last row, none where no row follows.

    Whatever made it so committed at or before `seen`.
    """

    rows: tuple[tuple[str, int], ...]
    last: tuple[object, ...]
    seen: int


@dataclass(frozen=True, slots=True)
class Look:
    """What there was when a list was looked for. Without a `key` the list cannot be cached now.

    Everything up to `watermark` has been applied, `stamp` is the newest change of the list's scope, and `floor` that of
    its table that was not named (rule R7). `listed` reflects every change up to `asof`.
    """

    key: bytes = b""
    generation: bytes = b""
    watermark: int = 0
    stamp: int = 0
    floor: int = 0
    asof: int = 0
    listed: Listed | None = None

    @property
    def newest(self) -> int:
        """Return what a list must reflect to be valid."""
        return max(self.stamp, self.floor)

    def reaches(self, position: int) -> bool:
        """Tell whether the list may be shown to who has seen this position."""
        return max(self.asof, self.watermark) >= position


class Lists:
    """One process's way to the lists. No method raises because of Redis: a failure is a miss, counted."""

    def __init__(self, connection: Connection, layout: Layout, scopes: Scopes) -> None:
        self._connection = connection
        self._layout = layout
        self.scopes = scopes

    async def get(self, resource: Resource, pins: Pins, digest: bytes) -> Look:
        """Return what there is of the list with this digest, in the scope of these pins.

        A `listed` is valid: it reflects every change of its scope up to the watermark.
        """
        scope = self._layout.scope(resource.table, pins)
        key = self._layout.list_key(scope, digest)
        # Watermark and stamp at one moment, or a change could be covered by the one and missing in the other.
        fields = ("W", "g", "base", "lists", "scopes", scope.floor, scope.bucket)
        try:
            positions, data = await self._connection.execute(
                ("HMGET", self._layout.meta(scope.partition), *fields), ("GET", key)
            )
        except CacheError:
            count(resource, "failure")
            return Look()
        watermark, generation, base, lists, stamped, floor, moved = positions
        if generation is None or stamped != self.scopes.digest:
            count(resource, "unready")
            return Look()
        stamp = max(moved or base, lists or base)
        look = Look(key, generation, int(watermark, 16), int(stamp, 16), int(floor or b"0", 16))
        if data is None:
            count(resource, "miss")
            return look
        asof, revision = int(data[8:24], 16), data[24:32]
        if not data.startswith(generation) or revision != padded(resource.revision) or look.newest > asof:
            count(resource, "stale")
            return look
        return replace(look, asof=asof, listed=_listed(data))

    async def fill(
        self, look: Look, resource: Resource, ttl_s: float, listed: Listed, position: int | None
    ) -> None:
        """Keep a page that was read after `look`; `position` as in `Entries.fill`.

        Nothing is compared: whether the list is valid is asked when it is read.
        """
        if not look.key:
            return
        asof = max(look.stamp, look.watermark) if position is None else position
        header = look.generation + hexed(asof) + padded(resource.revision)
        value = header + _content(listed)
        try:
            await self._connection.execute(("SET", look.key, value, "PX", max(1, round(ttl_s * 1000))))
        except CacheError:
            telemetry.CACHE_WRITES.add(1, _FAILED)


def count(resource: Resource, reason: str) -> None:
    """Count a list that was looked up: `hit`, or why it was none."""
    telemetry.CACHE_LISTS.add(1, _attributes(resource.type, reason))


@lru_cache(maxsize=4096)
def _attributes(type_: str, reason: str) -> Mapping[str, str]:
    return {telemetry.RESOURCE: type_, telemetry.REASON: reason}


def _content(listed: Listed) -> bytes:
    last = pack(listed.last)
    return (
        b"%016x%08x" % (listed.seen, len(last))
        + last
        + json.dumps(listed.rows, separators=(",", ":")).encode()
    )


def _listed(data: bytes) -> Listed:
    end = _HEADER_BYTES + int(data[48:_HEADER_BYTES], 16)
    rows: list[tuple[str, int]] = json.loads(data[end:])
    return Listed(
        tuple([(name, version) for name, version in rows]),
        unpack(data[_HEADER_BYTES:end]),
        int(data[32:48], 16),
    )
