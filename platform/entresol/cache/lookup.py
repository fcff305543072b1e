"""Reads positions and values of many keys: what is asked in one event-loop turn is two commands for each partition."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from entresol.cache.connection import Connection
from entresol.cache.entry import Entry, parse
from entresol.cache.failure import CacheError
from entresol.cache.generations import Generations
from entresol.cache.keys import Layout, Place
from entresol.cache.wire import Command, Reply

log = logging.getLogger(__name__)

MGET_KEYS_MAX = 512


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked of one partition: the values of keys, and the floors of their tables."""

    keys: dict[bytes, None] = field(default_factory=dict)
    floors: dict[bytes, None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Positions:
    """Where a partition stands; `generation` is None when nobody knows. `floors` by the fields of `Place.floor`."""

    generation: bytes | None
    watermark: int
    floors: Mapping[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Found:
    """What was there: the positions of each partition, and the value of every key."""

    positions: Mapping[int, Positions]
    values: Mapping[bytes, bytes | None]

    def entries(self, places: Iterable[Place], revision: bytes) -> list[Entry | None]:
        """Return the entry at each place, or None where there is none that this process can read."""
        positions, values = self.positions, self.values
        found: list[Entry | None] = []
        for place in places:
            at = positions[place.partition]
            if at.generation is None:
                found.append(None)
                continue
            data, floor = values[place.entry], at.floors[place.floor]
            found.append(parse(data, at.generation, at.watermark, revision, floor))
        return found


# Hears what was found, or CacheError when the server does not answer.
Told = Callable[[Found | CacheError], None]


class Lookups:
    """Collects what is wanted in one event-loop turn. Belongs to one event loop.

    This is the path of every hit: callbacks instead of a task for each turn halve its cost.
    """

    def __init__(self, connection: Connection, layout: Layout, generations: Generations) -> None:
        self._connection = connection
        self._layout = layout
        self._generations = generations
        self._wanted: dict[int, _Wanted] = {}
        self._waiting: list[Told] = []

    async def find(self, places: Iterable[Place], *, leases: bool = False) -> Found:
        """Return what was found, as `ask` tells it.

        Raises:
            CacheError: the server does not answer.
        """
        future: asyncio.Future[Found] = asyncio.get_running_loop().create_future()
        self.ask(places, partial(_settle, future), leases=leases)
        return await future

    def ask(self, places: Iterable[Place], told: Told, *, leases: bool = False) -> None:
        """Have `told` called with what is at `places`, and at their leases if asked, among what others want."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._start)
        for place in places:
            wanted = self._wanted.get(place.partition)
            if wanted is None:
                wanted = self._wanted[place.partition] = _Wanted()
            wanted.keys[place.entry] = None
            wanted.floors[place.floor] = None
            if leases:
                wanted.keys[place.lease] = None
        self._waiting.append(told)

    def _start(self) -> None:
        """Send the commands of this turn.

        An entry that is read after its partition's watermark reflects at least that watermark; the other way round, the
        relay could drop the entry and move the watermark in between. So it is with the floors.
        """
        wanted, self._wanted = self._wanted, {}
        waiting, self._waiting = self._waiting, []
        commands: list[Command] = []
        for partition, asked in wanted.items():
            commands.append(("HMGET", self._layout.meta(partition), "W", "g", *asked.floors))
            commands += [("MGET", *chunk) for chunk in _chunks(asked.keys)]
        self._connection.send(commands).add_done_callback(partial(self._finish, wanted, waiting))

    def _finish(
        self,
        wanted: Mapping[int, _Wanted],
        waiting: list[Told],
        replies: asyncio.Future[list[Reply]],
    ) -> None:
        try:
            found: Found | CacheError = self._found(wanted, replies.result())
        except asyncio.CancelledError:
            found = CacheError("the connection was closed", "closed")
        except CacheError as error:
            found = error
        except Exception as error:  # somebody else has written there; whoever waits must be told
            found = CacheError(f"the replies make no sense: {error!r}", "senseless")
        for told in waiting:
            try:
                told(found)
            except Exception:  # the others of this turn are no worse for it
                log.exception("an answer of the cache could not be passed on")

    def _found(self, wanted: Mapping[int, _Wanted], replies: list[Reply]) -> Found:
        positions: dict[int, Positions] = {}
        values: dict[bytes, bytes | None] = {}
        left = iter(replies)
        for partition, asked in wanted.items():
            chunks, told = _chunks(asked.keys), next(left)
            parts = [next(left) for _ in chunks]
            if any(isinstance(part, CacheError) for part in (told, *parts)):  # its server fails, and no other
                positions[partition] = Positions(None, 0, {})
                continue
            watermark, generation, *floors = told
            self._generations.see(partition, generation)
            floors_by_field = dict(zip(asked.floors, floors, strict=True))
            positions[partition] = Positions(generation, int(watermark or b"0", 16), floors_by_field)
            for chunk, part in zip(chunks, parts, strict=True):
                values.update(zip(chunk, part, strict=True))
        return Found(positions, values)


def _settle(future: asyncio.Future[Found], found: Found | CacheError) -> None:
    if future.done():  # nobody waits any more: it was cancelled
        return
    if isinstance(found, CacheError):
        future.set_exception(found)
    else:
        future.set_result(found)


def _chunks(keys: Iterable[bytes]) -> list[list[bytes]]:
    listed = list(keys)
    return [listed[at : at + MGET_KEYS_MAX] for at in range(0, len(listed), MGET_KEYS_MAX)]
