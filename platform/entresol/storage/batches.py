"""Generations of batches on the primary: begun, published in one transaction with their records, or failed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from entresol.errors import AlreadyExistsError, NotFoundError, ReferenceMissingError
from entresol.schema.model import Resource
from entresol.storage.analytics import BatchTextError, Moment, SnapshotLostError
from entresol.storage.catalog import read_query
from entresol.storage.chains import states
from entresol.storage.connections import Record
from entresol.storage.pools import Pools
from entresol.storage.rows import RowCodec
from entresol.storage.sql import Statement
from entresol.storage.sql_batch import RESULT, ResultSql
from entresol.storage.sqlstate import translated
from entresol.storage.transaction import Transaction

UNDER_WAY = frozenset({"waiting", "ready", "running"})
Rows = AsyncIterable[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Generation:
    """One job's run of one key. `state` is running, published, superseded or failed."""

    batch: str
    run_key: str
    generation: int
    job: uuid.UUID
    attempt: int
    state: str
    engine: str
    server: str
    as_of_position: int | None
    as_of_time: datetime | None
    input_rows: int | None
    output_rows: int | None
    inserted_rows: int | None
    updated_rows: int | None
    deleted_rows: int | None
    create_time: datetime
    start_time: datetime
    end_time: datetime | None
    error: str


@dataclass(slots=True)
class Computed:
    """What an engine made, to be published. `input_rows` is asked once `rows` has been read."""

    engine: str
    moment: Moment
    rows: Rows
    input_rows: Callable[[], int]


async def begin(transaction: Transaction, batch: str, key: str, job: uuid.UUID, attempt: int) -> Generation:
    """Begin an attempt at the generation that is the job's own, and return it: maybe it is over already."""
    await transaction.system(_statement("lock", batch))
    await _abandon(transaction, batch, key, job)
    return _generation((await transaction.system(_statement("begin", batch, key, job, attempt)))[0])


async def _abandon(transaction: Transaction, batch: str, key: str, job: uuid.UUID) -> None:
    """End generations whose job is over though nobody could say so: it was cancelled, or died with its last worker."""
    others = [record["job"] for record in await transaction.system(_statement("others", batch, key, job))]
    if others:
        found = await states(transaction, others)
        over = [
            id_ for id_, one in zip(others, found, strict=True) if one is None or one.state not in UNDER_WAY
        ]
        await transaction.system(_statement("abandon", batch, key, over))


async def fail(transaction: Transaction, batch: str, key: str, job: uuid.UUID, error: str) -> None:
    """Note why an attempt failed."""
    await transaction.system(_statement("fail", batch, key, job, error))


async def publish(
    transaction: Transaction,
    resource: Resource,
    parent: str,
    generation: Generation,
    computed: Computed,
    timeout_s: float,
) -> Generation:
    """Make the records of a parent, or all, what was computed: whole, once the transaction commits, or as they were.

    Only what differs is written. A result of an earlier moment than the published one's changes nothing.

    Raises:
        BatchTextError: a name is not the resource's or not of the parent, or is there twice.
    """
    text = ResultSql(resource)
    await transaction.execute(f"SET LOCAL statement_timeout = {int(timeout_s * 1000)}")
    await transaction.execute(text.create)
    rows = _Checked(resource, parent, computed.rows)
    await transaction.copy(RESULT, text.columns, rows.records(), timeout_s)
    try:
        await transaction.execute(text.index)
    except AlreadyExistsError as error:
        raise BatchTextError(f"the result has a name twice: {error.message}") from error
    await transaction.execute(f"ANALYZE {RESULT}")
    # Not before the copy: who stands still in that keeps nobody from anything.
    await transaction.system(_statement("lock", generation.batch))
    moment = computed.moment
    facts = (computed.engine, moment.server, moment.position, moment.time)
    of = (generation.batch, generation.run_key, generation.generation, *facts)
    if superseded := await transaction.system(_statement("supersede", *of)):
        return _generation(superseded[0])
    deleted = _count(await transaction.execute(text.delete(parent)))
    updated = _count(await transaction.execute(text.update)) if text.update else 0
    try:
        inserted = _count(await transaction.execute(text.insert))
    except (NotFoundError, ReferenceMissingError) as error:
        raise SnapshotLostError(f"what was read is gone meanwhile: {error.message}") from error
    counts = (computed.input_rows(), rows.count, inserted, updated, deleted)
    return _generation((await transaction.system(_statement("publish", *of, *counts)))[0])


class Generations:
    """What became of batches, for who looks after them."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def list(self, batch: str = "", key: str = "", limit: int = 100) -> list[Generation]:
        """Return the newest generation of each key of a batch or all; of one key every generation that is kept."""
        statement = _statement("list", batch, key, limit)
        with translated({}):
            async with self._pools.write() as connection:
                return [
                    _generation(row) for row in await connection.fetch(statement.text, *statement.parameters)
                ]


@dataclass(slots=True)
class _Checked:
    """The rows of a result as they are copied, with their parents; counted, and each held to the scope."""

    resource: Resource
    parent: str
    rows: Rows
    count: int = 0

    async def records(self) -> AsyncIterator[tuple[object, ...]]:
        codec, has_parent = RowCodec(self.resource), self.resource.has_parent
        place = ResultSql(self.resource).columns.index("name")
        async for rows in self.rows:
            for row in rows:
                parent = self._parent(codec, row[place])
                self.count += 1
                yield (*row, parent) if has_parent else tuple(row)

    def _parent(self, codec: RowCodec, name: object) -> str:
        pattern = next(
            (one for one in self.resource.patterns if isinstance(name, str) and one.parse(name)), None
        )
        if pattern is None:
            raise BatchTextError(
                f"the result has the name {name!r}, which is not of the form {self.resource.patterns[0].text}"
            )
        parent = codec.parent(str(name))
        if self.parent and parent != self.parent:
            raise BatchTextError(f"the result has {name}, which is not one of {self.parent}")
        return parent


def _generation(record: Record) -> Generation:
    return Generation(**dict(record))


def _count(tag: str) -> int:
    return int(tag.rpartition(" ")[2])


def _statement(query: str, *parameters: object) -> Statement:
    return Statement(_text(query), parameters)


@cache
def _text(query: str) -> str:
    return read_query(f"batches/{query}")
