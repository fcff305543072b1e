"""What the cache holds at this moment, and how much each of it is used, without standing in anybody's way.

The keys are walked by SCAN in steps, never all at once, and no entry is touched: looking changes nothing of its use.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from entresol.cache.connection import Connection
from entresol.cache.failure import CacheError
from entresol.cache.keys import Key, Layout
from entresol.cache.wire import Command
from entresol.errors import UnavailableError

STEP_KEYS = 500  # looked at by the server at once, which others wait for


@dataclass(frozen=True, slots=True)
class Use:
    """A record that has an entry. The more `heat`, the more it is used; it compares only within one census."""

    key: Key
    heat: int


async def census(connection: Connection, layout: Layout) -> AsyncIterator[list[Use]]:
    """Yield the records that have entries, a step at a time; one may come twice, and one that just came not at all.

    Heat is how often an entry is used where the server's policy is LFU, else how short ago.

    Raises:
        UnavailableError: the cache does not answer.
    """
    try:
        for node in await connection.nodes():
            async for uses in _of_node(node, layout):
                yield uses
    except CacheError as error:
        raise UnavailableError(f"the cache does not answer: {error}") from error


async def _of_node(node: Connection, layout: Layout) -> AsyncIterator[list[Use]]:
    (memory,) = await node.execute(("INFO", "memory"))
    counts = re.search(rb"maxmemory_policy:\S*lfu", memory) is not None
    cursor = b""
    while cursor != b"0":
        step: Command = ("SCAN", cursor or b"0", "MATCH", layout.pattern, "COUNT", STEP_KEYS)
        ((cursor, entries),) = await node.execute(step)
        keys = [(entry, key) for entry in entries if (key := layout.key(entry)) is not None]
        asked = [("OBJECT", "FREQ" if counts else "IDLETIME", entry) for entry, _ in keys]
        heats = await node.execute(*asked)
        yield [
            Use(key, heat if counts else -heat)
            for (_, key), heat in zip(keys, heats, strict=True)
            if heat is not None
        ]
