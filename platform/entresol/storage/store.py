"""Records in PostgreSQL: reads from the replicas or the primary, writes in transactions on the primary."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError, StoreUnavailableError, UnavailableError
from entresol.schema.model import Field, Model, Resource
from entresol.storage import sql
from entresol.storage.connections import Record
from entresol.storage.deadline import Deadline
from entresol.storage.ingest import Ingest, Ingested
from entresol.storage.new_jobs import NewJob
from entresol.storage.placement import coupling_of
from entresol.storage.pools import Pools, Source
from entresol.storage.requests import Answer, Claim
from entresol.storage.rows import Row, name_of_record
from entresol.storage.selection import Selection
from entresol.storage.sql import Statement
from entresol.storage.sql_page import ListQuery, last_values, select_page
from entresol.storage.sqlstate import DRIVER_ERRORS, is_recovery_conflict, is_server_gone, translated
from entresol.storage.statements import run
from entresol.storage.together import Committed, Together, Wanted
from entresol.storage.transaction import UNKNOWN_OUTCOME, BeforeCommit, Transaction
from entresol.storage.writer import Change, Schema, Writer
from entresol.turns import Turn

__all__ = [
    "Change",
    "Committed",
    "Ingested",
    "ListQuery",
    "Page",
    "Read",
    "Row",
    "Selection",
    "Source",
    "Store",
    "Transaction",
]


JOBS_MAX = 100  # of one statement
# While as many are on their way, what comes is the next: the busier, the more are put in at once.
JOBS_RUNNING_MAX = 2
JOBS_WAITING_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Read:
    """Rows by name; names without a row are missing. `position` is as in `Lease`: rule R2's S, or None.

    Nothing of what was read was committed after `seen`, a position in the log.
    """

    rows: dict[str, Row]
    source: Source
    position: int | None
    seen: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a List. `last` are the values of the order in its last row; `more` says that rows follow it.

    Nothing of what was read was committed after `seen`, a position in the log; 0 when nobody asked.
    """

    rows: tuple[Row, ...]
    more: bool
    last: tuple[object, ...]
    source: Source
    position: int | None = None  # as in `Read`
    seen: int = 0


class Store:
    """The records of one model in the database of `pools`."""

    def __init__(self, pools: Pools, model: Model) -> None:
        self._pools = pools
        self._schema = Schema(model)
        self._together = Together(pools)
        self._ingest = Ingest(pools, self._schema.by_table)
        self.coupling = coupling_of(pools)
        self._jobs = Turn(self._put, JOBS_MAX, JOBS_RUNNING_MAX, JOBS_WAITING_MAX)

    async def get(
        self,
        resource: Resource,
        names: Sequence[str],
        *,
        at_least: int = 0,
        hint: int = 0,
        primary: bool = False,
        timeout_s: float | None = None,
    ) -> Read:
        """Return the rows of these names from a replica that has replayed `at_least`, or else from the primary.

        While the primary is there, the replica has replayed `hint`, too.

        Raises:
            StoreUnavailableError: no server can answer.
            ResourceExhaustedError: no connection became free in time.
            DeadlineExceededError: the answer did not come in time.
        """
        table = self._schema.table(resource)
        answer = await self._read(
            resource, table.read_by_names(names), "get", _Position(at_least, hint), primary, timeout_s
        )
        rows = [table.codec.row(record) for record in answer.records if record["name"] is not None]
        return Read({row.name: row for row in rows}, answer.source, answer.position, answer.records[0][-1])

    async def list(
        self,
        resource: Resource,
        query: ListQuery,
        *,
        at_least: int = 0,
        hint: int = 0,
        primary: bool = False,
        seen: bool = False,
        timeout_s: float | None = None,
    ) -> Page:
        """Return one page; where from, and what is raised, is as for `get`. Only with `seen` the page tells that."""
        table = self._schema.table(resource)
        page = select_page(table, query)
        answer = await self._read(
            resource, page, "list", _Position(at_least, hint), primary, timeout_s, seen=seen
        )
        records = answer.records[: query.limit]
        return Page(
            rows=tuple([table.codec.row(record) for record in records]),
            more=len(answer.records) > query.limit,
            last=last_values(table, query, records[-1]) if records else (),
            source=answer.source,
            position=answer.position,
            seen=answer.seen,
        )

    def digest(self, resource: Resource, query: ListQuery) -> bytes:
        """Return what tells this query from any other: a hash of its statement, so that nothing can be left out."""
        statement = select_page(self._schema.table(resource), query)
        return hashlib.blake2b(repr(statement).encode(), digest_size=16).hexdigest().encode()

    async def count(
        self,
        resource: Resource,
        selection: Selection,
        *,
        at_least: int = 0,
        timeout_s: float | None = None,
    ) -> int:
        """Return how many records `selection` has; where from, and what is raised, is as for `get`."""
        statement = selection.count(self._schema.table(resource))
        answer = await self._read(
            resource, statement, "count", _Position(at_least), primary=False, timeout_s=timeout_s
        )
        return int(answer.records[0][0])

    async def sample(
        self,
        resource: Resource,
        selection: Selection,
        limit: int,
        *,
        at_least: int = 0,
        timeout_s: float | None = None,
    ) -> Sequence[str]:
        """Return the first names that `selection` has; where from, and what is raised, is as for `get`."""
        statement = selection.first(self._schema.table(resource), limit)
        answer = await self._read(
            resource, statement, "sample", _Position(at_least), primary=False, timeout_s=timeout_s
        )
        return [record[0] for record in answer.records]

    async def update(
        self, resource: Resource, message: Message, fields: Sequence[Field], *, version: int | None
    ) -> Committed | None:
        """Give `fields` of the live record that `message` names their values in it, together with other updates.

        Returns None when nothing was done, for whatever reason: a transaction finds out. What is raised is as for
        `Together.update`; the fields must not be `entangled`.
        """
        table = self._schema.table(resource)
        fields = table.codec.update_fields(fields)
        name, values = name_of_record(message), table.codec.values(message, fields)
        statement = table.update(name, version, fields, values, live=True, waits=False)
        with translated(self._schema.by_table):
            return await self._together.update(Wanted(table, name, statement))

    async def ingest(
        self, resource: Resource, messages: Sequence[Message], claim: Claim | None = None, ttl_s: float = 0.0
    ) -> Ingested | None:
        """Insert events, whose messages carry their names, together with those of others; they return in order.

        A `claim` is of a request for one event, whose reply is kept for `ttl_s`; None when it was here before. What is
        raised is as for `Ingest.insert`; a parent of several types must be held by a transaction.
        """
        table = self._schema.table(resource)
        records = [table.parameters(message) for message in messages]
        rows = [table.written(record) for record in records]
        answer = None if claim is None else Answer(claim, rows[0].message, ttl_s)
        position = await self._ingest.insert(table, records, answer)
        return None if position is None else Ingested(rows, position)

    async def enqueue(self, job: NewJob) -> Transaction:
        """Put a job in, which nothing else is written with, and return the transaction, in which there may be others.

        Raises:
            QueueFullError: as for `new_jobs.enqueue`.
            UnavailableError: the outcome of the commit is unknown.
            ResourceExhaustedError: too many wait, or no connection became free in time.
            InvalidArgumentError: a column cannot hold a value.
        """
        self.coupling.lengths.admit([job])
        done = await self._jobs.submit(job)
        if isinstance(done, Exception):
            raise done
        return done

    async def _put(self, jobs: Sequence[NewJob]) -> Sequence[Transaction | Exception]:
        try:
            async with self.transaction(autocommit=True) as transaction:
                await self.coupling.put(transaction, jobs)
        except InvalidArgumentError as error:  # of one of them, for which the others must not suffer
            if len(jobs) == 1:
                return [error]
            return [done for job in jobs for done in await self._put([job])]
        return [transaction] * len(jobs)

    @asynccontextmanager
    async def transaction(
        self,
        *,
        timeout_s: float | None = None,
        autocommit: bool = False,
        before_commit: BeforeCommit | None = None,
    ) -> AsyncIterator[Transaction]:
        """Open a transaction; it is committed when the block ends, and undone when the block raises.

        With `autocommit` the block writes with one statement, which commits itself: two round trips less. Otherwise
        `before_commit` is given the changes while their rows are locked, and one without a name for each STRONG
        resource of which some may be missing there; what it raises undoes them.

        Raises:
            StoreUnavailableError: no server that accepts writes can be reached.
            UnavailableError: the outcome of the commit is unknown.
            ConflictError: another transaction won.
        """
        deadline = self._pools.deadline(timeout_s)
        for attempt in range(2):
            lent = begun = False
            try:
                async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                    lent = True
                    if not autocommit:
                        with translated(self._schema.by_table):
                            await connection.execute(sql.BEGIN, timeout=deadline.left_s())
                    begun = True
                    writer = Writer(connection, self._schema, deadline)
                    try:
                        transaction = Transaction(writer, self.coupling, autocommit=autocommit)
                        yield transaction
                        await transaction.finish(before_commit)
                        if transaction.committed and transaction.has_jobs:
                            self.coupling.committed(transaction)
                        return
                    finally:
                        writer.lent = None
            except StoreUnavailableError as error:
                # An idle connection to a server that went away looks well until it is used; another may serve.
                if autocommit and begun:
                    raise UnavailableError(UNKNOWN_OUTCOME) from error
                if attempt or begun or not lent:
                    raise

    async def _read(
        self,
        resource: Resource,
        statement: Statement,
        operation: str,
        position: _Position,
        primary: bool,
        timeout_s: float | None,
        *,
        seen: bool = False,
    ) -> _Answer:
        deadline = self._pools.deadline(timeout_s)
        with translated(self._schema.by_table):
            try:
                return await self._ask(resource, statement, operation, position, primary, deadline, seen)
            except DRIVER_ERRORS as error:
                # A read may be repeated: elsewhere when the server is gone, on the primary when replay was in the way.
                conflict = is_recovery_conflict(error)
                if not conflict and not is_server_gone(error):
                    raise
                primary = primary or conflict
                return await self._ask(resource, statement, operation, position, primary, deadline, seen)

    async def _ask(
        self,
        resource: Resource,
        statement: Statement,
        operation: str,
        position: _Position,
        primary: bool,
        deadline: Deadline,
        seen: bool,
    ) -> _Answer:
        async with self._pools.read(
            position.at_least, hint=position.hint, primary=primary, timeout_s=deadline.left_s()
        ) as lease:
            connection = lease.connection
            records = await run(connection, statement, deadline, resource.type, operation)
            seen_lsn = await connection.fetchval(sql.SEEN, timeout=deadline.left_s()) if seen else 0
            return _Answer(records, lease.source, lease.position, seen_lsn)


class _Position(NamedTuple):
    """What a replica must have replayed to answer, and what it had better."""

    at_least: int
    hint: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    records: list[Record]
    source: Source
    position: int | None
    seen: int
