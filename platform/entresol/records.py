"""The only read and write path for resources: the cache in front of the store, coherent under rules R1 to R5."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial, reduce

from entresol.cache.entries import Entries
from entresol.cache.entry import Entry, Rank
from entresol.cache.fill import Fill
from entresol.cache.flights import Flights
from entresol.cache.generations import Mark
from entresol.cache.keys import Key
from entresol.cache.session import EMPTY, Session
from entresol.config import Settings
from entresol.errors import NotFoundError
from entresol.schema.model import Consistency, Model, Resource
from entresol.storage.store import Change, ListQuery, Page, Row, Store
from entresol.storage.transaction import Transaction
from entresol.turns import Turn

CACHE = "cache"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a caller demands of a read: what it has already seen, and a consistency other than the resource's."""

    session: Session = EMPTY
    consistency: Consistency | None = None

    @classmethod
    def of(cls, tokens: str, consistency: Consistency | None) -> Demand:
        """Return the demand of a call with these session tokens, separated by commas; a call may carry several.

        Raises:
            InvalidArgumentError: a token is not one of ours.
        """
        if not tokens:
            return cls(EMPTY, consistency)
        sessions = [Session.decode(token.strip()) for token in tokens.split(",")]
        return cls(reduce(Session.merge, sessions), consistency)


ANYTHING = Demand()


@dataclass(frozen=True, slots=True)
class Found:
    """One record as it was found: `message` is None when there is none of that name."""

    message: bytes | None
    answered_by: str  # cache, primary or replica:<address>
    version: int = 0


@dataclass(frozen=True, slots=True)
class _Load:
    """A record wanted from the store: at least this new, before this moment of the monotonic clock."""

    name: str
    at_least: int
    deadline_s: float


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one query must satisfy: all of its callers at once."""

    at_least: int
    primary: bool
    timeout_s: float


@dataclass(slots=True)
class Records:
    """Reads and writes of records. `entries` is None when the platform runs without a cache."""

    model: Model
    store: Store
    entries: Entries | None
    settings: Settings
    _loads: dict[tuple[str, bool], Turn[_Load, Found]] = field(default_factory=dict)
    _flights: Flights[tuple[str, str, int], Found] = field(default_factory=Flights)

    async def get(
        self,
        resource: Resource,
        names: Sequence[str],
        demand: Demand = ANYTHING,
        *,
        timeout_s: float | None = None,
    ) -> Sequence[Found]:
        """Return what is found under each name, in order, fresh enough for `demand`.

        Hits come from the cache unparsed. Misses of one event-loop turn become one query, on a replica that has
        replayed what `demand` has seen, else on the primary, and fill the cache.
        """
        consistency = demand.consistency or resource.consistency
        if self.entries is None or not resource.cache.enabled or consistency is Consistency.STRONG:
            return await self._load(resource, names, demand, consistency, timeout_s)
        found: list[Found | None] = []
        for name, entry in zip(names, await self.entries.get(resource, names), strict=True):
            if entry is None or not self._is_fresh(
                entry, Key.of(resource.table, name), demand.session, consistency
            ):
                found.append(None)
            else:
                found.append(_hit(entry))
        missing = [name for name, item in zip(names, found, strict=True) if item is None]
        if missing:
            loaded = iter(await self._load(resource, missing, demand, consistency, timeout_s))
            return [item if item is not None else next(loaded) for item in found]
        return [item for item in found if item is not None]

    async def get_one(
        self, resource: Resource, name: str, demand: Demand = ANYTHING, *, timeout_s: float | None = None
    ) -> tuple[bytes, str]:
        """Return the serialized record and who answered.

        Raises:
            NotFoundError: there is no record of this name.
        """
        (found,) = await self.get(resource, (name,), demand, timeout_s=timeout_s)
        if found.message is None:
            raise NotFoundError(name)
        return found.message, found.answered_by

    async def list(
        self,
        resource: Resource,
        query: ListQuery,
        demand: Demand = ANYTHING,
        *,
        timeout_s: float | None = None,
    ) -> Page:
        """Return one page, from a replica that has replayed what `demand` has seen, else from the primary."""
        consistency = demand.consistency or resource.consistency
        return await self.store.list(
            resource,
            query,
            at_least=at_least(demand, consistency),
            primary=consistency is Consistency.STRONG,
            timeout_s=timeout_s,
        )

    @asynccontextmanager
    async def transaction(
        self, *, timeout_s: float | None = None, autocommit: bool = False
    ) -> AsyncIterator[Transaction]:
        """Open a transaction on the primary; what it has written is in the cache before this returns (rule R1).

        Nothing is put when the outcome of the commit is unknown: the relay repairs that.
        """
        mark = await self.entries.mark() if self.entries else ()
        async with self.store.transaction(timeout_s=timeout_s, autocommit=autocommit) as transaction:
            yield transaction
        if transaction.committed:
            await self._publish(transaction.changes, mark)

    def session_after(self, demand: Demand, transaction: Transaction) -> Session:
        """Return what the caller has seen once its transaction is committed.

        What the transaction wrote beside its `changes`, or found done by an earlier one, counts too: until the relay
        has passed it, no entry of the cache is new enough.
        """
        session = demand.session
        if not transaction.changes or not transaction.complete:
            return session.after(transaction.commit_lsn)
        for change in transaction.changes:
            key, rank = Key.of(change.resource.table, change.name), _rank(change)
            session = session.wrote(key, change.version, rank, change.position, transaction.commit_lsn)
        return session

    def _is_fresh(self, entry: Entry, key: Key, session: Session, consistency: Consistency) -> bool:
        """Tell whether a hit may answer (rule R5). An empty session has seen nothing, so any hit does."""
        return consistency is Consistency.EVENTUAL or not session.lsn or session.satisfied_by(entry, key)

    async def close(self) -> None:
        """Wait for the loads that are under way."""
        for turn in self._loads.values():
            await turn.close()

    async def _load(
        self,
        resource: Resource,
        names: Sequence[str],
        demand: Demand,
        consistency: Consistency,
        timeout_s: float | None,
    ) -> Sequence[Found]:
        primary = consistency is Consistency.STRONG
        turn = self._loads.get((resource.type, primary))
        if turn is None:
            turn = self._loads[resource.type, primary] = Turn(partial(self._load_turn, resource, primary))
        # A load may be shared by callers who are more patient than the first, so it has the time of a statement.
        allowed_s = self.settings.database_statement_timeout_s
        deadline_s = time.monotonic() + (timeout_s or allowed_s if primary else allowed_s)
        loads = [_Load(name, at_least(demand, consistency), deadline_s) for name in names]
        if primary:  # who asks for the last commit must not be given what was read before
            return await asyncio.gather(*map(turn.submit, loads))
        return await asyncio.gather(*(self._joined(resource, turn, load) for load in loads))

    async def _joined(self, resource: Resource, turn: Turn[_Load, Found], load: _Load) -> Found:
        """Return what a load of this record that is under way returns, or start one: one query for all who wait."""

        async def submit() -> Found:
            return await turn.submit(load)

        return await self._flights.join((resource.type, load.name, load.at_least), submit)

    async def _load_turn(self, resource: Resource, primary: bool, loads: Sequence[_Load]) -> Sequence[Found]:
        """Read the names of one turn with one query; names that another process is reading are waited for."""
        names = list(dict.fromkeys(load.name for load in loads))
        wanted = _Wanted(
            at_least=max(load.at_least for load in loads),
            primary=primary,
            timeout_s=max(load.deadline_s for load in loads) - time.monotonic(),
        )
        if self.entries is None or not resource.cache.enabled:
            found = await self._read(resource, names, wanted)
        else:
            found = await self._fill(self.entries, resource, names, wanted)
        return [found[load.name] for load in loads]

    async def _fill(
        self, entries: Entries, resource: Resource, names: Sequence[str], wanted: _Wanted
    ) -> dict[str, Found]:
        """Read what misses and offer it to the cache (rule R2): positions first, then the database, then the fill."""
        # Who has seen a write must not be given what another began to read before it.
        fill = await entries.begin(resource, names, lease=not wanted.at_least)
        found = {name: _hit(entry) for name, entry in fill.found.items()}
        if found:
            await entries.release(fill, fill.found)
        if fill.lost:
            for name, entry in zip(fill.lost, await entries.wait(resource, fill.lost), strict=True):
                if entry is not None:
                    found[name] = _hit(entry)
        missing = [name for name in names if name not in found]
        if missing:
            try:
                async with entries.fallback():
                    found |= await self._read(resource, missing, wanted, entries, fill)
            except BaseException:
                await entries.release(fill)
                raise
        return found

    async def _read(
        self,
        resource: Resource,
        names: Sequence[str],
        wanted: _Wanted,
        entries: Entries | None = None,
        fill: Fill | None = None,
    ) -> dict[str, Found]:
        read = await self.store.get(
            resource,
            names,
            at_least=max(wanted.at_least, fill.hint if fill else 0),
            primary=wanted.primary,
            timeout_s=wanted.timeout_s,
        )
        if entries is not None and fill is not None:
            rows = {
                name: (row.version, row.message) if (row := read.rows.get(name)) else None for name in names
            }
            await entries.fill(fill, rows, read.position)
        return {name: _found(read.rows.get(name), str(read.source)) for name in names}

    async def _publish(self, changes: Sequence[Change], mark: Mark) -> None:
        if self.entries is None:
            return
        last = {
            (change.resource.type, change.name): change for change in changes if change.resource.cache.enabled
        }
        await asyncio.gather(*(self._put(self.entries, change, mark) for change in last.values()))

    async def _put(self, entries: Entries, change: Change, mark: Mark) -> None:
        message = change.row.message if change.row else b""
        await entries.put(
            change.resource, change.name, change.version, _rank(change), change.position, message, mark=mark
        )


def _rank(change: Change) -> Rank:
    return Rank.VALUE if change.row else Rank.ABSENT


def at_least(demand: Demand, consistency: Consistency) -> int:
    """Return the position that a read for `demand` must reflect."""
    return 0 if consistency is Consistency.EVENTUAL else demand.session.lsn


def _hit(entry: Entry) -> Found:
    return Found(entry.message if entry.rank is Rank.VALUE else None, CACHE, entry.version)


def _found(row: Row | None, source: str) -> Found:
    return Found(row.message, source, row.version) if row else Found(None, source)
