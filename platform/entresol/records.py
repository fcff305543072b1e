"""The only read and write path for resources: the cache in front of the store, coherent under rules R1 to R5."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from entresol.cache.early import is_due
from entresol.cache.entries import Entries
from entresol.cache.entry import Entry, Rank
from entresol.cache.fill import Fill
from entresol.cache.flights import Flights
from entresol.cache.generations import Mark
from entresol.cache.keys import Key
from entresol.cache.session import EMPTY, Session
from entresol.cache.tokens import SessionTokens
from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import ConfigurationError, EntresolError, NotFoundError
from entresol.schema.model import Consistency, Model, Resource
from entresol.storage.store import Change, ListQuery, Page, Row, Selection, Store
from entresol.storage.transaction import Transaction
from entresol.turns import Turn

log = logging.getLogger(__name__)

CACHE = "cache"
REFRESHES_MAX = 32  # of one process at once; what is not refreshed in time is read when it misses
NAMES_MAX = 1000  # in one query
PUTS_MAX = 512  # at once, so that one large transaction does not fill the way to the cache


@dataclass(frozen=True, slots=True)
class Demand:
    """What a caller demands of a read: what it has already seen, and a consistency other than the resource's."""

    session: Session = EMPTY
    consistency: Consistency | None = None

    def level(self, resource: Resource) -> Consistency:
        """Return what a read of `resource` must promise: the last commit, when a token cannot be read here."""
        return Consistency.STRONG if self.session.foreign else self.consistency or resource.consistency

    def remembers(self, resource: Resource) -> bool:
        """Tell whether what is read becomes part of the session: when a token was sent, or SESSION is promised."""
        level = self.level(resource)
        return level is Consistency.SESSION or not (level is Consistency.EVENTUAL or self.session.is_empty)

    def after_reading(self, resource: Resource, names: Sequence[str], found: Sequence[Found]) -> Session:
        """Return the session when it has been shown what was found under these names."""
        session = self.session
        if self.remembers(resource):
            for name, item in zip(names, found, strict=True):
                session = session.read(Key.of(resource.table, name), item.version, item.rank, item.seen)
        return session

    def after_listing(self, resource: Resource, page: Page) -> Session:
        """Return the session when it has been shown this page."""
        return self.session.after(page.seen) if self.remembers(resource) else self.session


ANYTHING = Demand()


@dataclass(frozen=True, slots=True)
class Found:
    """One record as it was found: `message` is None when there is none of that name.

    Whatever made it so committed at or before `seen`, a position in the log; 0 is not known.
    """

    message: bytes | None
    answered_by: str  # cache, primary or replica:<address>
    seen: int = 0
    version: int = 0

    @property
    def rank(self) -> Rank:
        """Return whether there is a record."""
        return Rank.ABSENT if self.message is None else Rank.VALUE

    def message_of(self, name: str) -> bytes:
        """Return the serialized record, which was looked for under `name`.

        Raises:
            NotFoundError: there is none.
        """
        if self.message is None:
            raise NotFoundError(name)
        return self.message


@dataclass(frozen=True, slots=True)
class Purged:
    """How far a deletion by filter is: `count` records so far, up to `last`, all committed before `commit_lsn`."""

    count: int
    last: str
    commit_lsn: int


@dataclass(frozen=True, slots=True)
class _Load:
    """A record wanted from the store: at least this new, before this moment of the monotonic clock.

    `patient`: when another process is reading the record, its answer will do.
    """

    name: str
    at_least: int
    deadline_s: float
    patient: bool = True


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
    tokens: SessionTokens = field(init=False)
    _loads: dict[tuple[str, bool], Turn[_Load, Found | None]] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    _refreshing: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)
    _flights: Flights[tuple[str, str, int], Found] = field(default_factory=Flights)

    def __post_init__(self) -> None:
        """Raise ConfigurationError when session tokens cannot be made."""
        try:
            self.tokens = SessionTokens([key.encode() for key in self.settings.token_keys])
        except ValueError as error:
            raise ConfigurationError(f"setting token_keys: {error}") from error

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
        consistency = demand.level(resource)
        # Whose token cannot be read here may depend on what no entry can be compared with.
        unfenced = consistency is Consistency.STRONG and (
            not resource.is_fenced or bool(demand.session.foreign)
        )
        if self.entries is None or not resource.cache.enabled or unfenced:
            return await self._load(resource, names, demand, consistency, timeout_s)
        found: list[Found | None] = []
        listed = await self.entries.get(resource, names)
        now_ms = self.clock.now_s() * 1000
        for name, entry in zip(names, listed, strict=True):
            if entry is None or not self._is_fresh(
                entry, Key.of(resource.table, name), demand.session, consistency
            ):
                found.append(None)
            else:
                found.append(_hit(entry))
                if is_due(entry, now_ms):
                    self._refresh(self.entries, resource, name)
        missing = [name for name, item in zip(names, found, strict=True) if item is None]
        if missing:
            loaded = iter(await self._load(resource, missing, demand, consistency, timeout_s))
            return [item if item is not None else next(loaded) for item in found]
        return [item for item in found if item is not None]

    async def get_one(
        self, resource: Resource, name: str, demand: Demand = ANYTHING, *, timeout_s: float | None = None
    ) -> Found:
        """Return what is found under `name`, as `get` does."""
        (found,) = await self.get(resource, (name,), demand, timeout_s=timeout_s)
        return found

    async def list(
        self,
        resource: Resource,
        query: ListQuery,
        demand: Demand = ANYTHING,
        *,
        timeout_s: float | None = None,
    ) -> Page:
        """Return one page, from a replica that has replayed what `demand` has seen, else from the primary."""
        consistency = demand.level(resource)
        return await self.store.list(
            resource,
            query,
            at_least=_at_least(demand, consistency),
            primary=consistency is Consistency.STRONG,
            seen=demand.remembers(resource),
            timeout_s=timeout_s,
        )

    @asynccontextmanager
    async def transaction(
        self, *, timeout_s: float | None = None, autocommit: bool = False
    ) -> AsyncIterator[Transaction]:
        """Open a transaction on the primary; what it has written is in the cache before this returns (rule R1).

        Nothing is put when the outcome of the commit is unknown: the relay repairs that. STRONG records are fenced
        before the commit (rule R9).

        Raises:
            UnavailableError: as `Fences` says, beside what `Store.transaction` raises.
        """
        mark = await self.entries.mark() if self.entries else ()
        fences = self.entries.fences() if self.entries else None
        async with self.store.transaction(
            timeout_s=timeout_s,
            autocommit=autocommit,
            before_commit=fences.before_commit if fences else None,
        ) as transaction:
            yield transaction
        if transaction.committed:
            if fences is not None:
                await fences.after_commit()
            await self._publish(transaction, mark)

    async def delete_where(
        self,
        resource: Resource,
        filter_: str,
        *,
        parent: str = "",
        batch: int = 500,
        limit: int | None = None,
        force: bool = False,
        expired: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Purged]:
        """Delete the records that an AIP-160 filter matches, and yield after each batch that is committed.

        They go in the order of their names, `batch` in one transaction of at most `timeout_s`, and none is in the cache
        when the batch is yielded. What no longer matches when its turn comes stays; what is written behind the present
        place, too. Whatever ends it, the batches before stay deleted, and the same call goes on. Children are as for
        Delete; soft deletion marks, and `expired` removes what was marked and is past its retention.

        Raises:
            InvalidArgumentError: of `filter`, `parent` or `expired`; nothing is deleted.
            ChildrenExistError: a record has children and `force` is false, or others refer to it.
        """
        selection = Selection.of(resource, filter_, parent, expired=expired)
        last, count = "", 0
        while size := batch if limit is None else min(batch, limit - count):
            async with self.transaction(timeout_s=timeout_s) as transaction:
                names = await transaction.delete_where(
                    resource, selection, after=last, limit=size, force=force
                )
            if names:
                last, count = names[-1], count + len(names)
                yield Purged(count, last, transaction.commit_lsn)
            if len(names) < size:
                return

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
        return consistency is Consistency.EVENTUAL or session.is_empty or session.satisfied_by(entry, key)

    async def close(self) -> None:
        """Wait for the loads that are under way."""
        for turn in self._loads.values():
            await turn.close()
        await asyncio.gather(*self._refreshing.values())

    def _refresh(self, entries: Entries, resource: Resource, name: str) -> None:
        """Read a record again that is about to leave the cache, while everybody is still shown what is there."""
        key = (resource.type, name)
        if key not in self._refreshing and len(self._refreshing) < REFRESHES_MAX:
            task = asyncio.create_task(self._read_again(entries, resource, name), name="entresol refresh")
            self._refreshing[key] = task
            task.add_done_callback(lambda _: self._refreshing.pop(key))

    async def _read_again(self, entries: Entries, resource: Resource, name: str) -> None:
        try:
            fill = await entries.begin(resource, [name])
            if name in fill.spots and name not in fill.lost:
                timeout_s = self.settings.database_statement_timeout_s
                await self._read(resource, [name], _Wanted(0, resource.is_fenced, timeout_s), entries, fill)
        except EntresolError as error:
            log.info("%s was not read again before it leaves the cache: %s", name, error)

    async def _load(
        self,
        resource: Resource,
        names: Sequence[str],
        demand: Demand,
        consistency: Consistency,
        timeout_s: float | None,
    ) -> Sequence[Found]:
        primary = consistency is Consistency.STRONG
        turn = self._loads.get((resource.type, primary)) or self._new_turn(resource, primary)
        # A load may be shared by callers who are more patient than the first, so it has the time of a statement.
        allowed_s = self.settings.database_statement_timeout_s
        deadline_s = time.monotonic() + (timeout_s or allowed_s if primary else allowed_s)
        loads = [_Load(name, _at_least(demand, consistency), deadline_s) for name in names]
        if primary:  # who asks for the last commit must not be given what was read before
            return await asyncio.gather(*(self._loaded(resource, turn, load) for load in loads))
        return await asyncio.gather(*(self._joined(resource, turn, load) for load in loads))

    def _new_turn(self, resource: Resource, primary: bool) -> Turn[_Load, Found | None]:
        """Make what bounds the queries of a resource, whether they are many because the cache is empty or away."""
        running_max = self.settings.database_loads_max
        work = partial(self._load_turn, resource, primary)
        turn = self._loads[resource.type, primary] = Turn(
            work, NAMES_MAX, running_max=running_max, waiting_max=running_max * NAMES_MAX
        )
        return turn

    async def _joined(self, resource: Resource, turn: Turn[_Load, Found | None], load: _Load) -> Found:
        """Return what a load of this record that is under way returns, or start one: one query for all who wait."""
        key = (resource.type, load.name, load.at_least)
        return await self._flights.join(key, partial(self._loaded, resource, turn, load))

    async def _loaded(self, resource: Resource, turn: Turn[_Load, Found | None], load: _Load) -> Found:
        found = await turn.submit(load)
        if found is None:  # another process is reading it; who waits for that keeps nobody from the database
            assert self.entries is not None, "only the cache knows of other processes"
            (entry,) = await self.entries.wait(resource, (load.name,))
            fresh = entry is not None and _reflects(entry, load.at_least)
            found = _hit(entry) if entry and fresh else await turn.submit(replace(load, patient=False))
        assert found is not None, "an impatient load reads the record itself"
        return found

    async def _load_turn(
        self, resource: Resource, primary: bool, loads: Sequence[_Load]
    ) -> Sequence[Found | None]:
        """Read the names of one turn with one query; None for those that another process is reading."""
        names = list(dict.fromkeys(load.name for load in loads))
        wanted = _Wanted(
            at_least=max(load.at_least for load in loads),
            primary=primary,
            timeout_s=max(load.deadline_s for load in loads) - time.monotonic(),
        )
        if self.entries is None or not resource.cache.enabled:
            found = await self._read(resource, names, wanted)
        else:
            impatient = {load.name for load in loads if not load.patient}
            found = await self._fill(self.entries, resource, names, wanted, impatient)
        return [found.get(load.name) for load in loads]

    async def _fill(
        self,
        entries: Entries,
        resource: Resource,
        names: Sequence[str],
        wanted: _Wanted,
        impatient: Collection[str],
    ) -> dict[str, Found]:
        """Read what misses and offer it to the cache (rule R2): positions first, then the database, then the fill."""
        # Who has seen a write, or wants the last, must not be given what another began to read before it; but of a
        # fenced resource no entry is older than what was acknowledged.
        lease = resource.is_fenced or not (wanted.at_least or wanted.primary)
        fill = await entries.begin(resource, names, lease=lease)
        found = {name: _hit(entry) for name, entry in fill.found.items() if _reflects(entry, wanted.at_least)}
        if found:
            await entries.release(fill, found)
        missing = [
            name for name in names if name not in found and (name not in fill.lost or name in impatient)
        ]
        if missing:
            try:
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
            await entries.fill(fill, rows, read.position, seen=read.seen)
        return {name: _found(read.rows.get(name), str(read.source), read.seen) for name in names}

    async def _publish(self, transaction: Transaction, mark: Mark) -> None:
        if self.entries is None:
            return
        last = {
            (change.resource.type, change.name): change
            for change in transaction.changes
            if change.resource.cache.enabled
        }
        changed = list(last.values())
        for at in range(0, len(changed), PUTS_MAX):
            puts = [
                self._put(self.entries, change, mark, transaction.commit_lsn)
                for change in changed[at : at + PUTS_MAX]
            ]
            await asyncio.gather(*puts)

    async def _put(self, entries: Entries, change: Change, mark: Mark, seen: int) -> None:
        message, rank = change.row.message if change.row else b"", _rank(change)
        await entries.put(
            change.resource,
            change.name,
            change.version,
            rank,
            change.position,
            message,
            mark=mark,
            seen=seen,
        )


def _rank(change: Change) -> Rank:
    return Rank.VALUE if change.row else Rank.ABSENT


def _reflects(entry: Entry, at_least: int) -> bool:
    return max(entry.asof, entry.watermark) >= at_least


def _at_least(demand: Demand, consistency: Consistency) -> int:
    return 0 if consistency is Consistency.EVENTUAL else demand.session.lsn


def _hit(entry: Entry) -> Found:
    return Found(entry.message if entry.rank is Rank.VALUE else None, CACHE, entry.seen, entry.version)


def _found(row: Row | None, source: str, seen: int) -> Found:
    return Found(row.message, source, seen, row.version) if row else Found(None, source, seen)
