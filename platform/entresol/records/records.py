"""The only read and write path for resources: the cache in front of the store, coherent under its rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from google.protobuf.message import Message

from entresol.cache.entries import Entries
from entresol.cache.entry import Rank
from entresol.cache.generations import Mark
from entresol.cache.keys import Key
from entresol.cache.near import Near
from entresol.cache.session import Session
from entresol.cache.tokens import SessionTokens
from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.records.demand import ANYTHING, Demand, Found
from entresol.records.hits import Hits
from entresol.records.loads import Loads
from entresol.schema.model import Consistency, Field, Model, Resource
from entresol.storage.new_jobs import NewJob
from entresol.storage.requests import Claim
from entresol.storage.store import Change, Committed, Ingested, ListQuery, Page, Selection, Store
from entresol.storage.transaction import Transaction

PUTS_MAX = 512  # at once, so that one large transaction does not fill the way to the cache


@dataclass(frozen=True, slots=True)
class Purged:
    """How far a deletion by filter is: `count` records so far, up to `last`, all committed before `commit_lsn`."""

    count: int
    last: str
    commit_lsn: int


@dataclass(slots=True)
class Records:
    """Reads and writes of records. `entries` is None when the platform runs without a cache, `near` without copies."""

    model: Model
    store: Store
    entries: Entries | None
    settings: Settings
    near: Near | None = None
    tokens: SessionTokens = field(init=False)
    clock: Clock = field(default_factory=Clock)
    _loads: Loads = field(init=False)
    hits: Hits | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Raise ConfigurationError when session tokens cannot be made."""
        try:
            self.tokens = SessionTokens([key.encode() for key in self.settings.token_keys])
        except ValueError as error:
            raise ConfigurationError(f"setting token_keys: {error}") from error
        self._loads = Loads(self.store, self.entries, self.near, self.settings)
        if self.entries is not None:
            self.hits = Hits(self.entries, self.near, self._loads, self.clock)

    def near_one(self, resource: Resource, name: str, demand: Demand = ANYTHING) -> Found | None:
        """Return what this process itself may answer, at once; None when `get` must ask further."""
        if self.hits is None or not resource.cache.enabled:
            return None
        return self.hits.near_one(resource, name, demand)

    async def get(
        self,
        resource: Resource,
        names: Sequence[str],
        demand: Demand = ANYTHING,
        *,
        timeout_s: float | None = None,
    ) -> Sequence[Found]:
        """Return what is found under each name, in order, fresh enough for `demand`.

        Hits come from this process or from the cache, unparsed. Misses of one event-loop turn become one query, on a
        replica that has replayed what `demand` has seen, else on the primary, and fill the cache.
        """
        if self.hits is None or not resource.cache.enabled:
            return await self._loads.get(resource, names, demand, timeout_s=timeout_s)
        strong = demand.level(resource) is Consistency.STRONG
        # Whose token cannot be read here may depend on what no entry can be compared with.
        is_unreadable = strong and bool(demand.session.foreign)
        if is_unreadable or self.hits.are_refused(resource, demand):
            return await self._loads.get(resource, names, demand, timeout_s=timeout_s, distrust=True)
        if strong and not resource.is_fenced:
            return await self._loads.get(resource, names, demand, timeout_s=timeout_s)
        found = self.hits.near_many(resource, names, demand)
        if missing := [name for name in names if name not in found]:
            found |= await self.hits.cached(resource, missing, demand)
        if missing := [name for name in missing if name not in found]:
            found |= self.hits.outdated(resource, missing, demand)
        if missing := [name for name in missing if name not in found]:
            loaded = await self._loads.get(resource, missing, demand, timeout_s=timeout_s)
            found.update(zip(missing, loaded, strict=True))
        return [found[name] for name in names]

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
            at_least=demand.at_least(resource),
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
            changes = transaction.changes
            if fences is not None and not await fences.after_commit(transaction.commit_lsn):
                changes = [change for change in changes if not change.resource.is_fenced]
            await self._publish(changes, mark, transaction.commit_lsn)

    async def update(
        self, resource: Resource, message: Message, fields: Sequence[Field], *, version: int | None
    ) -> Committed | None:
        """Update one record as `Store.update` does; what was written is in the cache before this returns (rule R1)."""
        mark = await self.entries.mark() if self.entries else ()
        done = await self.store.update(resource, message, fields, version=version)
        if done is not None:
            await self._publish(done.changes, mark, done.commit_lsn)
        return done

    async def ingest(
        self, resource: Resource, messages: Sequence[Message], claim: Claim | None = None
    ) -> Ingested | None:
        """Insert events as `Store.ingest` does; no cache holds them."""
        return await self.store.ingest(resource, messages, claim, self.settings.request_id_ttl_s)

    async def enqueue(self, job: NewJob) -> Transaction:
        """Put a job in as `Store.enqueue` does; no cache holds jobs."""
        return await self.store.enqueue(job)

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

    def session_after(self, demand: Demand, transaction: Transaction | Committed | Ingested) -> Session:
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

    async def close(self) -> None:
        """Wait for the loads that are under way."""
        await self._loads.close()

    async def _publish(self, changes: Sequence[Change], mark: Mark, seen: int) -> None:
        if self.entries is None:
            return
        last = {
            (change.resource.type, change.name): change for change in changes if change.resource.cache.enabled
        }
        changed = list(last.values())
        for at in range(0, len(changed), PUTS_MAX):
            puts = [self._put(self.entries, change, mark, seen) for change in changed[at : at + PUTS_MAX]]
            await (puts[0] if len(puts) == 1 else asyncio.gather(*puts))

    async def _put(self, entries: Entries, change: Change, mark: Mark, seen: int) -> None:
        message, rank = change.row.message if change.row else b"", _rank(change)
        try:
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
        finally:
            if self.near is not None:
                self.near.drop(change.resource.table, (change.name,))


def _rank(change: Change) -> Rank:
    return Rank.VALUE if change.row else Rank.ABSENT
