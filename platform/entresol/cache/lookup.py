"""Reads positions and values of many keys with one command each per partition, positions first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from entresol.cache.connection import Connection
from entresol.cache.entry import Entry, parse
from entresol.cache.keys import Layout, Place
from entresol.cache.wire import Command, Reply

MGET_KEYS_MAX = 512


@dataclass(frozen=True, slots=True)
class Found:
    """What was there: per partition its generation and watermark, and the value of every key."""

    positions: Mapping[int, tuple[bytes | None, int]]
    values: Mapping[bytes, bytes | None]

    def entry(self, place: Place, revision: bytes) -> Entry | None:
        """Return the entry at this place, or None when there is none that this process can read."""
        generation, watermark = self.positions[place.partition]
        if generation is None:
            return None
        return parse(self.values[place.entry], generation, watermark, revision)


async def look_up(
    connection: Connection, layout: Layout, places: Iterable[Place], *, leases: bool = False
) -> Found:
    """Return what is at `places`, and at their leases if asked.

    An entry that is read after its partition's watermark reflects at least that watermark; the other way
    round, the relay could drop the entry and move the watermark in between.

    Raises:
        CacheError: the server did not answer.
    """
    wanted: dict[int, dict[bytes, None]] = {}
    for place in places:
        keys = wanted.setdefault(place.partition, {})
        keys[place.entry] = None
        if leases:
            keys[place.lease] = None
    commands: list[Command] = []
    for partition, keys in wanted.items():
        commands.append(("HMGET", layout.meta(partition), "W", "g"))
        commands.extend(("MGET", *chunk) for chunk in _chunks(list(keys)))
    return _found(wanted, await connection.execute(*commands))


def _chunks(keys: list[bytes]) -> list[list[bytes]]:
    return [keys[at : at + MGET_KEYS_MAX] for at in range(0, len(keys), MGET_KEYS_MAX)]


def _found(wanted: Mapping[int, Mapping[bytes, None]], replies: list[Reply]) -> Found:
    positions: dict[int, tuple[bytes | None, int]] = {}
    values: dict[bytes, bytes | None] = {}
    left = iter(replies)
    for partition, keys in wanted.items():
        watermark, generation = next(left)
        positions[partition] = generation, int(watermark or b"0", 16)
        for chunk in _chunks(list(keys)):
            values.update(zip(chunk, next(left), strict=True))
    return Found(positions, values)
