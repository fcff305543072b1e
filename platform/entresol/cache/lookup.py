"""Reads positions and values of many keys: what is asked in one event-loop turn is two commands for each partition."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from entresol.cache.connection import Connection
from entresol.cache.entry import Entry, parse
from entresol.cache.generations import Generations
from entresol.cache.keys import Layout, Place
from entresol.cache.wire import Command, Reply

MGET_KEYS_MAX = 512
_Wanted = dict[int, dict[bytes, None]]


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


class Lookups:
    """Collects what is wanted in one event-loop turn. Belongs to one event loop.

    This is the path of every hit: callbacks instead of a task for each turn halve its cost.
    """

    def __init__(self, connection: Connection, layout: Layout, generations: Generations) -> None:
        self._connection = connection
        self._layout = layout
        self._generations = generations
        self._wanted: _Wanted = {}
        self._waiting: list[asyncio.Future[Found]] = []

    def submit(self, places: Iterable[Place], *, leases: bool = False) -> asyncio.Future[Found]:
        """Return what will be found at `places`, and at their leases if asked, among what others wanted.

        The future raises CacheError when the server does not answer. Whoever cancels it disturbs nobody.
        """
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._start)
        for place in places:
            keys = self._wanted.setdefault(place.partition, {})
            keys[place.entry] = None
            if leases:
                keys[place.lease] = None
        future: asyncio.Future[Found] = loop.create_future()
        self._waiting.append(future)
        return future

    def _start(self) -> None:
        """Send the commands of this turn.

        An entry that is read after its partition's watermark reflects at least that watermark; the other way round, the
        relay could drop the entry and move the watermark in between.
        """
        wanted, self._wanted = self._wanted, {}
        waiting, self._waiting = self._waiting, []
        commands: list[Command] = []
        for partition, keys in wanted.items():
            commands.append(("HMGET", self._layout.meta(partition), "W", "g"))
            commands += [("MGET", *chunk) for chunk in _chunks(keys)]
        self._connection.send(commands).add_done_callback(partial(self._finish, wanted, waiting))

    def _finish(
        self,
        wanted: _Wanted,
        waiting: list[asyncio.Future[Found]],
        replies: asyncio.Future[list[Reply]],
    ) -> None:
        error = replies.exception()
        found = self._found(wanted, replies.result()) if error is None else None
        for future in waiting:
            if future.done():
                continue
            if found is not None:
                future.set_result(found)
            elif error is not None:
                future.set_exception(error)

    def _found(self, wanted: _Wanted, replies: list[Reply]) -> Found:
        positions: dict[int, tuple[bytes | None, int]] = {}
        values: dict[bytes, bytes | None] = {}
        left = iter(replies)
        for partition, keys in wanted.items():
            watermark, generation = next(left)
            self._generations.see(partition, generation)
            positions[partition] = generation, int(watermark or b"0", 16)
            for chunk in _chunks(keys):
                values.update(zip(chunk, next(left), strict=True))
        return Found(positions, values)


def _chunks(keys: Iterable[bytes]) -> list[list[bytes]]:
    listed = list(keys)
    return [listed[at : at + MGET_KEYS_MAX] for at in range(0, len(listed), MGET_KEYS_MAX)]
