"""A random concurrent history: writers, readers, and what goes wrong, against real servers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
from tests.integration.cache.stage import ITEM, LSN, Stage, Written

from entresol.cache import Entries, Entry, Key, Rank, Session
from entresol.cache.generations import Mark

RECORDS = [f"n{number}" for number in range(16)]
CRASH, SLEEP, DELETE, SHARE = 0.1, 0.1, 0.15, 0.15
PAUSE_S_MAX = 0.02


@dataclass
class History:
    """What happened: `counts` by kind, and `wrongs`, each a sentence."""

    stage: Stage
    dice: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    wrongs: list[str] = field(default_factory=list)
    late: list[Written] = field(default_factory=list)
    ends_s: float = 0.0

    def is_over(self) -> bool:
        """Tell whether its time has passed."""
        return asyncio.get_running_loop().time() >= self.ends_s

    async def repeat(self, act: Callable[[], Awaitable[None]], pause_s_max: float = PAUSE_S_MAX) -> None:
        """Act, with pauses of random length, until the history is over."""
        while not self.is_over():
            await act()
            await asyncio.sleep(self.dice.random() * pause_s_max)

    def pick(self) -> str:
        """Return a record; the first are the busiest."""
        return RECORDS[min(int(self.dice.expovariate(0.3)), len(RECORDS) - 1)]


class Writer:
    """One client: writes some records, reads back its own, and must never be shown less than it wrote."""

    def __init__(self, history: History, entries: Entries, connection: asyncpg.Connection, own: str) -> None:
        self._history = history
        self._entries = entries
        self._connection = connection
        self._own = own
        self._session = Session()
        self._last = (0, Rank.ABSENT)

    async def act(self) -> None:
        """Write a record that others write, too, then the own one, and read that."""
        history = self._history
        await self._write(history.pick())
        written = await self._write(self._own)
        if written is not None:
            self._last = (written.version, written.rank)
        (entry,) = await self._entries.get(ITEM, [self._own])
        key = Key("items", self._own)
        if entry is not None and self._session.satisfied_by(entry, key):
            history.counts["own write seen"] += 1
            self._check(entry)

    def _check(self, entry: Entry) -> None:
        version, rank = self._last
        gone = rank is Rank.ABSENT and entry.rank is Rank.ABSENT
        if not gone and (entry.version, entry.rank) < self._last:
            self._history.wrongs.append(f"{self._own}: wrote {version} {rank.name}, was shown {entry}")

    async def _write(self, name: str) -> Written | None:
        history = self._history
        mark = await self._entries.mark()
        try:
            writes = await history.stage.write_together(
                name, *self._bodies(name), connection=self._connection
            )
        except LookupError:
            return None  # there was nothing to delete
        written, *others = history.dice.sample(writes, len(writes))  # the others are of other clients
        history.counts["shared commit"] += len(others)
        key = Key("items", name)
        self._session = self._session.wrote(key, written.version, written.rank, written.position, written.lsn)
        for one in (written, *others):
            await self._put(one, mark)
        return written

    def _bodies(self, name: str) -> list[str | None]:
        """Return what one commit makes of a record: nothing, a body, or one after the other."""
        dice = self._history.dice
        if dice.random() < DELETE:
            return [None]
        return [f"{name} {dice.random()}" for _ in range(2 if dice.random() < SHARE else 1)]

    async def _put(self, written: Written, mark: Mark) -> None:
        history = self._history
        fate = history.dice.random()
        if fate < CRASH:
            history.counts["crash"] += 1
        elif fate < CRASH + SLEEP:
            history.late.append(written)
        else:
            answer = await self._entries.put(
                ITEM, written.name, written.version, written.rank, written.position, written.body, mark=mark
            )
            history.counts[f"put {answer}"] += 1


class Reader:
    """One reader: fills what it misses, from the primary or a replica, sometimes late."""

    def __init__(
        self, history: History, entries: Entries, primary: asyncpg.Connection, replica: asyncpg.Connection
    ) -> None:
        self._history = history
        self._entries = entries
        self._primary = primary
        self._replica = replica

    async def act(self) -> None:
        """Read one record."""
        history, name = self._history, self._history.pick()
        (entry,) = await self._entries.get(ITEM, [name])
        if entry is not None:
            history.counts["hit"] += 1
            return
        fill = await self._entries.begin(ITEM, [name], lease=False)
        position = None
        connection = self._primary
        if history.dice.random() < 0.5:
            connection = self._replica
            position = await connection.fetchval(
                f"SELECT {LSN.replace('current_wal_insert', 'last_wal_replay')}"
            )
        rows = await history.stage.read(name, connection)
        if history.dice.random() < SLEEP:
            await asyncio.sleep(4 * PAUSE_S_MAX * history.dice.random())
        await self._entries.fill(fill, rows, position)
        history.counts["fill"] += 1


class Trouble:
    """Does what `kinds` name: `evict`, `put_late` (what writers held back), `copy_redis`, `fail_over`, `forget`."""

    def __init__(self, history: History, kinds: Sequence[str]) -> None:
        self._history = history
        self._kinds = kinds
        self._copy: dict[bytes, tuple[int, bytes]] | None = None

    async def act(self) -> None:
        """Do one of these."""
        history = self._history
        kind = history.dice.choice(self._kinds)
        history.counts[kind.replace("_", " ")] += 1
        await getattr(self, f"_{kind}")()

    async def _evict(self) -> None:
        await self._history.stage.evict(self._history.pick())

    async def _put_late(self) -> None:
        late = self._history.late
        if late:
            await self._history.stage.put(late.pop(self._history.dice.randrange(len(late))))

    async def _copy_redis(self) -> None:
        self._copy = await self._history.stage.copy()

    async def _fail_over(self) -> None:
        if self._copy is not None:
            await self._history.stage.fail_over(self._copy)

    async def _forget(self) -> None:
        stage = self._history.stage
        if self._history.dice.random() < 0.5:
            await stage.redis("FLUSHDB")
        else:
            await stage.redis("DEL", stage.entries.layout.meta(0))
