"""A server process on a stage: its records, with copies of hot entries that a tail keeps true."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from tests.integration.cache.stage import ITEM, LSN, Stage

import entresol.cache.near
from entresol.background import kept_running
from entresol.cache import Entries, Entry
from entresol.cache.batch import Advance, Change
from entresol.cache.near import Near
from entresol.cache.tail import Tail
from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.records import ANYTHING, Demand, Found, Records
from entresol.schema.model import Resource
from entresol.storage.pools import Source
from entresol.storage.rows import Row
from entresol.storage.store import Change as Written
from entresol.storage.store import Read, Store
from entresol.testing import ManualClock

FOREVER_S = 3600.0


def near_without(rule: str | None) -> type[Near]:
    """Return the near cache with the lines of one rule taken out, or as shipped."""
    if rule is None:
        return Near
    path = Path(str(entresol.cache.near.__file__))
    text, count = re.subn(
        rf"^( *).*# rule: {rule}$", r"\1pass", path.read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert count, f"near.py has no rule {rule!r}"
    module = ModuleType(f"near_without_{rule.replace(' ', '_')}")
    sys.modules[module.__name__] = module  # where dataclasses look their annotations up
    exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102 - our own text, less a rule
    return cast("type[Near]", module.__dict__["Near"])


@dataclass
class Items:
    """The stage's table, as far as `Records` wants a store."""

    stage: Stage

    async def get(self, resource: Resource, names: Sequence[str], **_: Any) -> Read:
        """Read from the primary."""
        rows = {}
        for name in names:
            row = (await self.stage.read(name))[name]
            if row is not None:
                rows[name] = Row(name, *row)
        seen = await self.stage.primary.fetchval(f"SELECT {LSN}")
        return Read(rows, Source("primary", ""), None, seen)

    @asynccontextmanager
    async def transaction(self, **_: Any) -> AsyncIterator[Transaction]:
        """Give a transaction, committed when the block ends."""
        transaction = Transaction(self.stage)
        yield transaction
        transaction.committed = True


@dataclass
class Transaction:
    """Commits each write at once."""

    stage: Stage
    committed: bool = False
    commit_lsn: int = 0
    changes: list[Written] = field(default_factory=list)

    async def write(self, name: str, body: str) -> None:
        """Write a record."""
        written = await self.stage.write(name, body)
        self.commit_lsn = written.lsn
        row = Row(name, written.version, written.body)
        self.changes.append(Written(ITEM, name, written.version, row, written.position))


class Process:
    """One server process. Its time moves only when told, so that nothing is too old or too silent by itself."""

    def __init__(self, stage: Stage, settings: Settings, kind: type[Near]) -> None:
        self.stage = stage
        self.clock = ManualClock()
        self.entries = Entries.open(settings, scripts=stage.scripts)
        self.near = kind.open(settings, self.entries.layout, clock=self.clock)
        self.tail = Tail.open(settings, self.near)
        self.records = Records(
            cast("Any", None), cast("Store", Items(stage)), self.entries, settings, self.near
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, stage: Stage, *, rule: str | None = None, **overrides: object
    ) -> AsyncIterator[Process]:
        """Give a process that hears of changes; `rule` is left out of its near cache."""
        settings = stage.with_settings(**{"near_age_max_s": FOREVER_S, **overrides})
        process = cls(stage, settings, near_without(rule))
        async with kept_running(process.tail.run(), "tail"):
            await process.hears()
            try:
                yield process
            finally:
                await process.records.close()
                await process.entries.close()

    async def get(self, name: str, demand: Demand = ANYTHING) -> Found:
        """Read one record."""
        (found,) = await self.records.get(ITEM, [name], demand)
        return found

    async def body(self, name: str, demand: Demand = ANYTHING) -> bytes | None:
        """Return the record as a caller is given it."""
        return (await self.get(name, demand)).message

    async def copy(self, name: str) -> None:
        """Read until there is a copy of the record."""
        await self.get(name)
        await self.get(name)
        assert self.near.get("items", name) is not None

    async def hears(self) -> None:
        """Tick, or let the relay tick, until this process hears it."""

        async def has_heard() -> bool:
            if self.stage.relay is None:
                await advance(self.stage)
            return self._has_heard_all()

        assert await until(has_heard, 10.0)

    async def heard(self) -> None:
        """Wait until this process has heard all that was told so far."""
        told = [
            int(
                cast(
                    "bytes", await self.stage.redis("HGET", self.stage.entries.layout.meta(partition), "told")
                )
            )
            for partition in range(self.stage.settings.cache_partitions)
        ]

        async def has_heard() -> bool:
            return all(
                view is not None and view.number >= number
                for view, number in zip(self._views, told, strict=True)
            )

        assert await until(has_heard, 10.0)

    def _has_heard_all(self) -> bool:
        return None not in self._views

    @property
    def _views(self) -> list[Any]:
        return cast("list[Any]", self.near._views)

    async def cut(self) -> None:
        """Cut the tail's connection, and wait until the tail has noticed; it does not connect again soon."""
        self.tail._pause_s = FOREVER_S
        listed = cast("bytes", await self.stage.redis("CLIENT", "LIST")).decode().splitlines()
        (line,) = [line for line in listed if " cmd=xread" in line]
        await self.stage.redis("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))

        async def has_noticed() -> bool:
            return self.tail._is_silent

        assert await until(has_noticed, 10.0)

    @asynccontextmanager
    async def held_reply(self, name: str) -> AsyncIterator[None]:
        """Have a read of the record under way, whose reply from Redis comes in when the block ends."""
        real, read, go_on = self.entries.get, asyncio.Event(), asyncio.Event()

        async def get(resource: Resource, names: Sequence[str]) -> list[Entry | None]:
            found = await real(resource, names)
            read.set()
            await go_on.wait()
            return found

        self.entries.get = get
        reading = asyncio.create_task(self.get(name))
        await read.wait()
        self.entries.get = real
        yield
        go_on.set()
        await reading


async def advance(
    stage: Stage,
    *names: str,
    reset: bool = False,
    floors: dict[bytes, int] | None = None,
    then: Sequence[Any] = (),
) -> None:
    """Do what the relay does with the last change of each record, and then other commands, all at one moment."""
    layout = stage.entries.layout
    meta = layout.meta(0)
    watermark, database = cast("list[bytes]", await stage.redis("HMGET", meta, "W", "database"))
    position = await stage.primary.fetchval("SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint")
    script = stage.entries.connection.scripts.advance
    newest = max(position, int(watermark, 16))
    call = Advance(script, int(watermark, 16), newest, b"renewed!", database.decode(), reset)
    changes = [Change(layout.place("items", name), newest, b"") for name in names]
    commands = call.commands((meta, layout.fences(0), layout.stream(0)), changes, floors or {})
    await stage.entries.connection.execute(("MULTI",), *commands, *then, ("EXEC",))


async def is_true(process: Process, name: str, demand: Demand = ANYTHING) -> bool:
    """Tell whether the process answers with the row."""
    (row,) = (await process.stage.read(name)).values()
    return await process.body(name, demand) == (row[1] if row else None)
