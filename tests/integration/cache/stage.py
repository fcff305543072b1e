"""A table of items, the cache in front of it, and a relay that runs when a race wants it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace

import asyncpg

from entresol.cache import Entries, Entry, Rank, Relay, Snapshot
from entresol.cache.feed import Feed
from entresol.cache.gate import TakeSnapshot
from entresol.cache.scripts import Script, Scripts
from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.schema.model import CachePolicy, Resource
from entresol.schema.names import Pattern
from entresol.storage.replication import open_stream
from entresol.storage.snapshots import Snapshots
from entresol.testing.servers import Database

SCHEMA = """
    CREATE SEQUENCE versions;
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.row_version := nextval('versions'); RETURN NEW; END $$;
    CREATE TABLE items (name text PRIMARY KEY, body text NOT NULL, row_version bigint NOT NULL);
    CREATE UNIQUE INDEX items_version ON items (name, row_version);
    ALTER TABLE items REPLICA IDENTITY USING INDEX items_version;
    CREATE TRIGGER stamp BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION stamp();
"""
LSN = "(pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"
COPY = """
    local copy = {}
    for index, key in ipairs(redis.call('KEYS', '*')) do
      copy[index] = {key, redis.call('PTTL', key), redis.call('DUMP', key)}
    end
    return copy
"""
ITEM = Resource(
    type="test/Item",
    message="test.Item",
    singular="item",
    plural="items",
    patterns=(Pattern("items/{item}"),),
    table="items",
    fields=(),
    cache=CachePolicy(),
    revision="00000001",
)
Row = tuple[int, bytes] | None
Copy = dict[bytes, tuple[int, bytes]]  # of all that Redis holds: milliseconds to live and content, by key


@dataclass(frozen=True)
class Written:
    """A committed write, as `Store` reports it."""

    name: str
    version: int
    rank: Rank
    position: int
    lsn: int
    body: bytes


def without(rule: str) -> Scripts:
    """Return the scripts with the lines of one rule taken out."""
    shipped = Scripts.load()
    line = re.compile(rf"^.*-- rule: {rule}$\n", re.MULTILINE)
    texts = {item.name: getattr(shipped, item.name).text.decode() for item in fields(shipped)}
    reduced = {name: line.sub("", text) for name, text in texts.items()}
    assert reduced != texts, f"no script has a rule {rule!r}"
    return Scripts(**{name: Script.of(text) for name, text in reduced.items()})


async def copy_of(entries: Entries) -> Copy:
    """Return all that Redis holds at this moment: what an asynchronous replica may have when it is promoted."""
    (copied,) = await entries.connection.execute(("EVAL", COPY, 0))
    assert isinstance(copied, list)
    return {key: (max(ttl, 0), data) for key, ttl, data in copied}


async def fail_over(entries: Entries, copy: Copy) -> None:
    """Make Redis what it was."""
    restores = (("RESTORE", key, ttl, data) for key, (ttl, data) in copy.items())
    await entries.connection.execute(("MULTI",), ("FLUSHDB",), *restores, ("EXEC",))


@asynccontextmanager
async def running(relay: Relay, snapshots: Snapshots) -> AsyncIterator[None]:
    """Run a relay, ready when the block begins; it and what it took snapshots with are gone when the block ends."""
    task = asyncio.create_task(relay.run())
    try:
        await relay.ready()
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await snapshots.close()


class Stage:
    """What a race is played on. `entries` is one process; `another` opens more."""

    def __init__(self, database: Database, settings: Settings, scripts: Scripts | None) -> None:
        self.database = database
        self.settings = settings
        self.scripts = scripts
        self.entries = Entries.open(settings, scripts=scripts)
        self.relay: Relay | None = None
        self._connections: list[asyncpg.Connection] = []
        self.last_lsn = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, database: Database, cache_url: str, scripts: Scripts | None = None
    ) -> AsyncIterator[Stage]:
        """Give a stage on which a relay has made the cache ready, and is gone again."""
        settings = replace(
            Settings(),
            database_write=database.write_url,
            cache_url=cache_url,
            cache_timeout_s=5.0,
            relay_slot=database.name,
            relay_publication=database.name,
            relay_tick_s=0.02,
        )
        stage = cls(database, settings, scripts)
        try:
            stage.primary = await stage.connect()
            stage.observer = await stage.connect()
            async with stage.relaying():
                pass
            yield stage
        finally:
            await stage.entries.close()
            for connection in stage._connections:
                connection.terminate()

    async def connect(self, url: str | None = None) -> asyncpg.Connection:
        """Return another connection to the database, closed with the stage."""
        connection = await asyncpg.connect(url or self.database.write_url)
        self._connections.append(connection)
        return connection

    def another(self, **overrides: object) -> Entries:
        """Return the entries of another process."""
        return Entries.open(self.with_settings(**overrides), scripts=self.scripts)

    @asynccontextmanager
    async def relaying(
        self,
        *,
        take_snapshot: TakeSnapshot | None = None,
        new_generation: Callable[[], bytes] | None = None,
        database: str = "",
    ) -> AsyncIterator[Relay]:
        """Run a relay, ready when the block begins and gone when it ends."""
        snapshots = Snapshots(self.database.write_url)

        async def take() -> Snapshot:
            return Snapshot.parse(*await snapshots.take())

        @asynccontextmanager
        async def open_feed() -> AsyncIterator[Feed]:
            settings = self.settings
            names = (settings.relay_slot, settings.relay_publication, ["public.items"])
            async with open_stream(settings.database_write, *names, status_s=settings.relay_tick_s) as feed:
                yield Renamed(feed, database) if database else feed

        relay = Relay.open(self.settings, open_feed, take_snapshot or take, scripts=self.scripts)
        if new_generation is not None:
            relay.applier.new_generation = new_generation
        self.relay = relay
        try:
            async with running(relay, snapshots):
                yield relay
        finally:
            self.relay = None

    async def write(
        self, name: str, body: str | None, connection: asyncpg.Connection | None = None
    ) -> Written:
        """Commit a new body, or with None the deletion; LookupError when there is nothing to delete."""
        (written,) = await self.write_together(name, body, connection=connection)
        return written

    async def write_together(
        self, name: str, *bodies: str | None, connection: asyncpg.Connection | None = None
    ) -> list[Written]:
        """Commit several writes of a record, each for a caller of its own, in one transaction."""
        connection = connection or self.primary
        async with connection.transaction():
            rows = [await self._write(name, body, connection) for body in bodies]
        lsn = await connection.fetchval(f"SELECT {LSN.replace('insert', 'flush')}")
        self.last_lsn = max(self.last_lsn, lsn)
        return [
            Written(
                name,
                version,
                Rank.VALUE if body is not None else Rank.ABSENT,
                position,
                lsn,
                (body or "").encode(),
            )
            for body, (version, position) in zip(bodies, rows, strict=True)
        ]

    async def _write(self, name: str, body: str | None, connection: asyncpg.Connection) -> asyncpg.Record:
        if body is None:
            sql = f"DELETE FROM items WHERE name = $1 RETURNING row_version, {LSN}"
            row = await connection.fetchrow(sql, name)
            if row is None:
                raise LookupError(name)
            return row
        sql = (
            "INSERT INTO items (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = $2 "
            f"RETURNING row_version, {LSN}"
        )
        return await connection.fetchrow(sql, name, body)

    async def read(self, name: str, connection: asyncpg.Connection | None = None) -> dict[str, Row]:
        """Return what the database has, as `fill` takes it."""
        sql = "SELECT row_version, body FROM items WHERE name = $1"
        row = await (connection or self.primary).fetchrow(sql, name)
        return {name: (row["row_version"], row["body"].encode()) if row else None}

    async def put(self, written: Written, entries: Entries | None = None, resource: Resource = ITEM) -> str:
        """Put what was written."""
        entries = entries or self.entries
        mark = await entries.mark()
        return await entries.put(
            resource, written.name, written.version, written.rank, written.position, written.body, mark=mark
        )

    async def cache(self, name: str) -> Entry:
        """Read the record from the primary into the cache."""
        fill = await self.entries.begin(ITEM, [name])
        await self.entries.fill(fill, await self.read(name), None)
        entry = await self.look(name)
        assert entry is not None
        return entry

    async def look(self, name: str, resource: Resource = ITEM) -> Entry | None:
        """Return the entry."""
        return (await self.entries.get(resource, [name]))[0]

    async def applied(self) -> None:
        """Wait until the relay has applied everything written, a new write of another record with it."""
        assert self.relay is not None
        await self.write("marker", "")
        await self.relay.reached(self.last_lsn)

    async def is_coherent(self, name: str) -> bool:
        """Tell whether the entry, if there is one, is the row."""
        entry = await self.look(name)
        if entry is None:
            return True
        (row,) = (await self.read(name)).values()
        if row is None:
            return entry.rank is Rank.ABSENT
        return (entry.rank, entry.version, entry.message) == (Rank.VALUE, *row)

    async def evict(self, name: str) -> None:
        """Remove the entry as a full Redis does."""
        await self.redis("DEL", self.entries.layout.place("items", name).entry)

    async def redis(self, *command: bytes | str | int) -> object:
        """Run a command."""
        return (await self.entries.connection.execute(command))[0]

    def in_background(self, work: Coroutine[object, object, Written]) -> asyncio.Task[Written]:
        """Start work that is going to wait."""
        return asyncio.create_task(work)

    async def until_waiting(self) -> None:
        """Wait until a session of this database waits for a lock, or for a standby."""
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND wait_event IN ('transactionid', 'SyncRep')"

        async def is_waiting() -> bool:
            return bool(await self.observer.fetchval(sql, self.database.name))

        assert await until(is_waiting, 10.0)

    def with_settings(self, **overrides: object) -> Settings:
        """Return the stage's settings, but for some."""
        return replace(self.settings, **overrides)

    async def until_back(self) -> None:
        """Wait until the cache can be filled again."""

        async def can_fill() -> bool:
            return bool((await self.entries.begin(ITEM, ["a"], lease=False)).spots)

        assert await until(can_fill, 10.0)

    async def copy(self) -> Copy:
        """Return all that Redis holds at this moment."""
        return await copy_of(self.entries)

    async def fail_over(self, copy: Copy) -> None:
        """Make Redis what it was."""
        await fail_over(self.entries, copy)


class Renamed:
    """A feed that says it comes from another database."""

    def __init__(self, feed: Feed, database: str) -> None:
        self.start_lsn = feed.start_lsn
        self.database = database
        self.acknowledge = feed.acknowledge
        self._feed = feed

    def __aiter__(self) -> AsyncIterator[object]:
        return self._feed.__aiter__()
