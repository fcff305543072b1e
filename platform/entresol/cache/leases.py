"""Leases across processes: of all who miss a key at once, one reads it and the others wait for what it fills.

Coherence never depends on a lease: it only saves the database the same question asked by everybody.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Sequence

from entresol.cache.entry import Entry, padded
from entresol.cache.failure import CacheError
from entresol.cache.keys import Layout, Place
from entresol.cache.lookup import Lookups
from entresol.cache.wire import Command
from entresol.schema.model import Resource

KEYS_MAX = 32
_POLLS_S = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032)


class Leases:
    """Takes leases of `seconds`, and waits for those that others hold."""

    def __init__(self, lookups: Lookups, layout: Layout, seconds: float) -> None:
        self._lookups = lookups
        self._layout = layout
        self._seconds = seconds
        self._process = secrets.token_hex(6)
        self._count = itertools.count()

    def new_owner(self) -> bytes:
        """Return a name that no other read has."""
        return f"{self._process}:{next(self._count)}".encode()

    def command(self, place: Place, owner: bytes) -> Command:
        """Return the command that takes a lease; its reply is nil when another has it."""
        return ("SET", place.lease, owner, "NX", "PX", max(1, round(self._seconds * 1000)))

    async def wait(self, resource: Resource, names: Sequence[str]) -> list[Entry | None]:
        """Return the entries of `names` as they come; None for one that was given up or took too long."""
        answers: dict[str, Entry | None] = dict.fromkeys(names)
        left = list(answers)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._seconds
        for pause_s in itertools.chain(_POLLS_S, itertools.repeat(_POLLS_S[-1])):
            await asyncio.sleep(pause_s)
            try:
                left = await self._poll(resource, left, answers)
            except CacheError:
                break
            if not left or loop.time() >= end_s:
                break
        return [answers[name] for name in names]

    async def _poll(
        self, resource: Resource, names: list[str], answers: dict[str, Entry | None]
    ) -> list[str]:
        """Note the entries that have come, and return the names that are still leased without one."""
        places = [self._layout.place(resource.table, name) for name in names]
        found = await self._lookups.find(places, leases=True)
        revision = padded(resource.revision)
        for name, place in zip(names, places, strict=True):
            (answers[name],) = found.entries((place,), revision)
        return [
            name
            for name, place in zip(names, places, strict=True)
            if answers[name] is None and found.values[place.lease] is not None
        ]
