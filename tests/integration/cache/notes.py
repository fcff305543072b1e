"""Notes on boards, listed through the cache, with a relay that runs when a test wants it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import asyncpg
from tests.integration.cache.stage import running

from entresol.cache import Entries, Relay, Snapshot
from entresol.cache.feed import Feed
from entresol.cache.scopes import Scopes
from entresol.cache.scripts import Scripts
from entresol.cache.session import Session
from entresol.codegen.protos import compile_protos
from entresol.config import Settings
from entresol.records import Demand, Listings, Records
from entresol.schema import options
from entresol.schema.filters import parse
from entresol.schema.model import Consistency, Model, Resource
from entresol.schema.orders import parse_order
from entresol.schema.resources import by_type, link, read_resource
from entresol.schema.source import Source
from entresol.storage.pools import Pools
from entresol.storage.replication import open_stream
from entresol.storage.snapshots import Snapshots
from entresol.storage.store import ListQuery, Store
from entresol.testing.servers import Database

PROTOS = Path(__file__).parent / "protos"
TABLES = ["public.notes", "public.words"]
LSN = "SELECT (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint"


@cache
def notes_model() -> Model:
    """Return the model of the notes: there are no services, and so the rules on them are not asked."""
    source = Source(compile_protos(PROTOS))
    annotated = [message for message in source.messages() if source.option(message, options.RESOURCE)]
    return Model(by_type(link(read_resource(source, message) for message in annotated)), {}, source.pool)


NOTE = notes_model().resources["notes.example.com/Note"]
WORD = notes_model().resources["notes.example.com/Word"]


@dataclass(frozen=True)
class Answer:
    """A page: the last segment of each name with its version, and who answered."""

    rows: tuple[str, ...]
    messages: tuple[bytes, ...]
    answered_by: str
    last: tuple[object, ...]

    @property
    def cached(self) -> bool:
        return self.answered_by == "cache"


class Board:
    """One process that lists, a person with psql, and a relay."""

    def __init__(
        self, settings: Settings, pools: Pools, person: asyncpg.Connection, scripts: Scripts | None
    ) -> None:
        self.settings = settings
        self.pools = pools
        self.person = person
        self.scripts = scripts
        self.model = notes_model()
        self.store = Store(pools, self.model)
        self.entries = Entries.open(settings, scripts=scripts)
        self.records = Records(self.model, self.store, self.entries, settings)
        self.listings = Listings(self.records)
        self.relay: Relay | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls, database: Database, cache_url: str, scripts: Scripts | None = None, *, replicas: bool = False
    ) -> AsyncIterator[Board]:
        """Give a board whose cache takes entries; without `replicas` everything is read from the primary."""
        settings = replace(
            Settings(),
            database_write=database.write_url,
            database_read=database.read_urls if replicas else (),
            cache_url=cache_url,
            cache_timeout_s=5.0,
            replica_poll_s=0.02,
            relay_slot=database.name,
            relay_publication=database.name,
            relay_tick_s=0.02,
        )
        pools = await Pools.open(settings)
        person = await asyncpg.connect(database.write_url)
        board = cls(settings, pools, person, scripts)
        try:
            async with board.relaying():
                pass
            yield board
        finally:
            await board.records.close()
            await board.entries.close()
            await pools.close()
            person.terminate()

    @asynccontextmanager
    async def relaying(self, scopes: Scopes | None = None) -> AsyncIterator[Relay]:
        """Run a relay, ready when the block begins and gone when it ends."""
        snapshots = Snapshots(self.settings.database_write)

        async def take() -> Snapshot:
            return Snapshot.parse(*await snapshots.take())

        @asynccontextmanager
        async def open_feed() -> AsyncIterator[Feed]:
            settings = self.settings
            names = (settings.relay_slot, settings.relay_publication, TABLES)
            async with open_stream(settings.database_write, *names, status_s=settings.relay_tick_s) as feed:
                yield feed

        scopes = scopes or Scopes.of(self.model.resources.values())
        relay = Relay.open(self.settings, open_feed, take, scripts=self.scripts, scopes=scopes)
        self.relay = relay
        try:
            async with running(relay, snapshots):
                yield relay
        finally:
            self.relay = None

    @asynccontextmanager
    async def replay_paused(self) -> AsyncIterator[None]:
        """Let the replica replay nothing while the block lasts."""
        replica = await asyncpg.connect(self.settings.database_read[0])
        await replica.execute("SELECT pg_wal_replay_pause()")
        try:
            yield
        finally:
            await replica.execute("SELECT pg_wal_replay_resume()")
            await replica.close()

    async def psql(self, sql: str) -> int:
        """Run SQL as people do, and return a position at or behind its commit."""
        await self.person.execute(sql)
        return int(await self.person.fetchval(LSN))

    async def note(self, name: str, owner: str = "ann", *, pinned: bool = False, rank: int = 0) -> int:
        """Write a note, `board/id`, whether it is there or not."""
        board, _, number = name.partition("/")
        return await self.psql(
            "INSERT INTO notes (name, parent, owner, pinned, rank) VALUES "
            f"('boards/{board}/notes/{number}', 'boards/{board}', '{owner}', {pinned}, {rank}) "
            "ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, pinned = excluded.pinned, rank = excluded.rank"
        )

    async def applied(self) -> None:
        """Wait until the relay has applied everything that is committed now."""
        assert self.relay is not None
        # Whatever is flushed is sent; an idle server sends nothing beyond it.
        await self.relay.reached(await self.psql("SELECT pg_logical_emit_message(true, 'test', '')"))

    def query(
        self,
        filter_: str = "",
        *,
        resource: Resource = NOTE,
        parent: str | None = None,
        order: str = "",
        limit: int = 50,
        after: tuple[object, ...] | None = None,
    ) -> ListQuery:
        """Return the query of a List request."""
        return ListQuery(
            parent=parent and f"boards/{parent}",
            filter=parse(filter_, resource),
            order=parse_order(order, resource),
            after=after,
            limit=limit,
        )

    async def list(
        self,
        query: ListQuery,
        *,
        resource: Resource = NOTE,
        seen: int = 0,
        consistency: Consistency | None = None,
    ) -> Answer:
        """List as a server does, for a caller who has seen this position."""
        demand = Demand(Session(seen), consistency)
        listing = await self.listings.get(resource, query, demand)
        return _answer(resource, listing.messages, listing.answered_by, listing.last)

    async def truth(self, query: ListQuery, *, resource: Resource = NOTE) -> Answer:
        """Return what the primary has."""
        page = await self.store.list(resource, query, primary=True)
        messages = [row.message for row in page.rows]
        return _answer(resource, messages, str(page.source), page.last if page.more else ())

    async def is_right(self, query: ListQuery, *, resource: Resource = NOTE) -> bool:
        """Tell whether the list that is shown is the one of the database."""
        shown, true = await self.list(query, resource=resource), await self.truth(query, resource=resource)
        return (shown.messages, shown.last) == (true.messages, true.last)

    async def cached(self, query: ListQuery, *, resource: Resource = NOTE) -> Answer:
        """List until list and rows come from the cache, and return that answer."""
        for _ in range(3):
            answer = await self.list(query, resource=resource)
        assert answer.cached
        return answer


def _answer(resource: Resource, messages: object, answered_by: str, last: tuple[object, ...]) -> Answer:
    assert isinstance(messages, list | tuple)
    names = [resource.message_class.FromString(message).name for message in messages]
    return Answer(tuple(name.rpartition("/")[2] for name in names), tuple(messages), answered_by, last)
