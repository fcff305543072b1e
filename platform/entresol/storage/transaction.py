"""One transaction on the primary: what it wrote, and whether it is known to be committed (rule R1)."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from google.protobuf.message import Message

from entresol.errors import NotFoundError, UnavailableError
from entresol.schema.model import Field, Resource
from entresol.storage import deletion, sql
from entresol.storage.catalog import read_query
from entresol.storage.connections import Record
from entresol.storage.rows import Row, name_of_record
from entresol.storage.selection import Selection
from entresol.storage.sql import Statement, TableSql
from entresol.storage.sqlstate import DRIVER_ERRORS, is_refusal, translated
from entresol.storage.statements import run, run_many
from entresol.storage.writer import Change, Writer

if TYPE_CHECKING:
    from entresol.storage.coupling import Coupling

# A commit that has been sent is worth waiting for: without its answer nobody knows what happened.
_COMMIT_S_MIN = 1.0
UNKNOWN_OUTCOME = (
    "the database did not answer the commit, so it is not known whether the change was made; "
    "read before you try again"
)

_TABLES_WRITTEN = Statement(read_query("tables_written"))
BeforeCommit = Callable[[Sequence[Change]], Awaitable[None]]


class Transaction:
    """READ COMMITTED, retried by nobody. `Store.transaction` opens it, and commits it unless the block raises.

    After the block: `committed` says that the commit is known to have succeeded, and `commit_lsn` is then a WAL
    position behind it, which a reader must have reached to see it.
    """

    def __init__(self, writer: Writer, coupling: Coupling, *, autocommit: bool = False) -> None:
        self._writer = writer
        self.coupling = coupling
        self._autocommit = autocommit
        self._rollback_only = False
        self.committed = False
        self.commit_lsn = 0
        self.has_jobs = False  # whether there is to be seen to jobs when it is committed
        self.jobs: list[uuid.UUID] = []  # those that the coupling is to know by name then

    @property
    def changes(self) -> list[Change]:
        """Return what was written by these methods, in order; of very many changes only the first (see `writer`)."""
        return self._writer.changes

    @property
    def complete(self) -> bool:
        """Whether `changes` is all: no SQL of a custom method, no foreign key, and no bound has left something out."""
        return self._writer.complete

    async def get(
        self, resource: Resource, name: str, *, lock: bool = False, hidden: bool = False
    ) -> Row | None:
        """Return the row as this transaction sees it; `lock` keeps others from changing it until the end.

        `hidden` is as for `RowCodec.row`.
        """
        table = self._table(resource)
        statement = table.lock(name) if lock else table.select_by_names([name])
        records = await self._writer.fetch(table, statement, "get")
        return table.codec.row(records[0], hidden=hidden) if records else None

    async def insert(self, resource: Resource, messages: Sequence[Message]) -> list[Row]:
        """Insert records, whose messages carry their names, in one round trip; returns them in order.

        Raises:
            AlreadyExistsError: a name, or a unique combination of fields, is taken.
            NotFoundError: a parent does not exist.
            ReferenceMissingError: a field refers to a record that does not exist.
            InvalidArgumentError: a column cannot hold a value.
        """
        if not messages:
            return []
        table, writer = self._table(resource), self._writer
        parameters = await self._parameters(table, messages)
        with translated(writer.schema.by_table):
            records = await run_many(
                writer.connection, table.insert, parameters, writer.deadline, resource.type, "insert"
            )
        return [writer.wrote(table, record) for record in records]

    async def load(self, resource: Resource, messages: Sequence[Message]) -> None:
        """Insert records as `insert` does and return nothing, which is quicker for many.

        They are not in `changes`: what the cache knows of their names, the relay removes.
        """
        table, writer = self._table(resource), self._writer
        parameters = await self._parameters(table, messages)
        writer.complete = False
        with translated(writer.schema.by_table):
            await writer.connection.executemany(table.load, parameters, timeout=writer.deadline.left_s())

    async def update(
        self,
        resource: Resource,
        message: Message,
        fields: Sequence[Field],
        *,
        version: int | None,
        live: bool = False,
    ) -> Row:
        """Give `fields` of the record that `message` names their values in it; all else stays.

        Raises:
            NotFoundError: there is no such record.
            StaleEtagError: it no longer has this version.
            DeletedError: it is marked as deleted, and `live` asks that it is not.
            AlreadyExistsError, ReferenceMissingError, InvalidArgumentError: as for `insert`.
        """
        table = self._table(resource)
        fields = table.codec.update_fields(fields)
        name = name_of_record(message)
        statement = table.update(name, version, fields, table.codec.values(message, fields), live=live)
        row = await self._writer.write(table, statement, "update")
        if row is None:
            raise await self._writer.why_unchanged(table, name, version)
        return row

    async def delete(self, resource: Resource, name: str, *, version: int | None, force: bool) -> Row:
        """Delete a record and return what it was; where deletion is soft, mark it and return what it is now.

        Raises:
            NotFoundError: there is no such record, or it is marked already.
            StaleEtagError: it no longer has this version.
            ChildrenExistError: it has children and `force` is false, or others refer to it.
        """
        return await deletion.delete(self._writer, self._table(resource), name, version, force=force)

    async def delete_where(
        self, resource: Resource, selection: Selection, *, after: str, limit: int, force: bool
    ) -> list[str]:
        """Delete up to `limit` records of `selection` and return their names, in order, all behind the name `after`.

        Where deletion is soft they are marked; those of an `expired` selection are removed. Fewer than `limit`: there
        are no more.

        Raises:
            ChildrenExistError: one has children and `force` is false, or others refer to it; none is deleted.
        """
        table = self._table(resource)
        records = await self._writer.fetch(table, selection.take(table, after, limit), "lock")
        names = [record[0] for record in records]
        if names:
            await deletion.delete_named(self._writer, table, names, force=force, purge=selection.expired)
        return names

    async def undelete(self, resource: Resource, name: str, *, version: int | None) -> Row:
        """Unmark a record and return it.

        Raises:
            NotFoundError: there is no such record.
            StaleEtagError: it no longer has this version.
            AlreadyExistsError: it is not deleted.
        """
        return await deletion.undelete(self._writer, self._table(resource), name, version)

    async def fetch(self, text: str, *parameters: object) -> list[Record]:
        """Run one SQL statement of a custom method and return its records.

        What it writes is not in `changes`: the relay removes it from the cache, a moment after the commit.
        """
        writer = self._own_sql()
        with translated(writer.schema.by_table):
            return await writer.connection.fetch(text, *parameters, timeout=writer.deadline.left_s())

    async def execute(self, text: str, *parameters: object) -> str:
        """Run one SQL statement of a custom method and return PostgreSQL's tag, such as `UPDATE 3`; see `fetch`."""
        writer = self._own_sql()
        with translated(writer.schema.by_table):
            return await writer.connection.execute(text, *parameters, timeout=writer.deadline.left_s())

    async def copy(
        self,
        table: str,
        columns: Sequence[str],
        records: AsyncIterable[Sequence[object]],
        timeout_s: float | None = None,
    ) -> None:
        """Copy records into a table, such as a temporary one of this transaction; see `fetch`."""
        writer = self._own_sql()
        longest_s = writer.deadline.left_s() if timeout_s is None else timeout_s
        with translated(writer.schema.by_table):
            await writer.connection.copy_records_to_table(
                table, columns=columns, records=records, timeout=longest_s
            )

    async def system(self, statement: Statement) -> list[Record]:
        """Run a statement over the platform's own tables and return its records."""
        writer = self._writer
        with translated(writer.schema.by_table):
            return await run(writer.connection, statement, writer.deadline, "entresol", "system")

    def rollback_only(self) -> None:
        """Undo everything at the end, when all of it would have succeeded (AIP-163)."""
        assert not self._autocommit, "what has committed itself cannot be undone"
        self._rollback_only = True

    async def finish(self, before_commit: BeforeCommit | None = None) -> None:
        """Commit, or check and undo; called by `Store.transaction` when the block has ended.

        Raises:
            UnavailableError: the connection broke during the commit, so that its outcome is unknown.
        """
        connection, deadline = self._writer.connection, self._writer.deadline
        if self._rollback_only:
            with translated(self._writer.schema.by_table):
                await connection.execute(sql.CHECK_AND_ROLLBACK, timeout=deadline.left_s())
            return
        if before_commit is not None and not self._autocommit:
            await before_commit([*self.changes, *await self._unnamed()])
        timeout_s = max(deadline.left_s(), _COMMIT_S_MIN)
        with translated(self._writer.schema.by_table):
            try:
                text = sql.AFTER_COMMIT if self._autocommit else sql.COMMIT
                await connection.execute(text, timeout=timeout_s)
            except DRIVER_ERRORS as error:
                if is_refusal(error):
                    raise
                raise UnavailableError(UNKNOWN_OUTCOME) from error
        self.commit_lsn = sql.parse_position(connection.get_settings().application_name)
        self.committed = True

    async def _unnamed(self) -> list[Change]:
        """Return a change without a name for each fenced resource of which `changes` may lack some."""
        writer = self._writer
        if writer.complete or not any(resource.is_fenced for resource in writer.schema.by_table.values()):
            return []
        written = {record[0]: record[1] for record in await self.system(_TABLES_WRITTEN)}
        return [
            Change(resource, "", 0, None, written[table])
            for table, resource in writer.schema.by_table.items()
            if resource.is_fenced and table in written
        ]

    def _own_sql(self) -> Writer:
        """Return the writer for text that this package did not write, which may change anything."""
        self._writer.connection.raw = True
        self._writer.complete = False
        return self._writer

    async def _parameters(self, table: TableSql, messages: Sequence[Message]) -> list[tuple[object, ...]]:
        """Return what the insert of each message is given; parents that no foreign key holds are held."""
        if len(table.resource.parents) > 1:
            parents = [table.codec.parent(name_of_record(message)) for message in messages]
            await self._hold_parents(table.resource, parents)
        return [table.parameters(message) for message in messages]

    def _table(self, resource: Resource) -> TableSql:
        return self._writer.schema.table(resource)

    async def _hold_parents(self, resource: Resource, names: Sequence[str]) -> None:
        """Do what a foreign key does where none can be: parents of several types are in several tables."""
        for parent in self._writer.schema.parents(resource):
            patterns = parent.resource.patterns
            for name in sorted({name for name in names if any(pattern.parse(name) for pattern in patterns)}):
                if not await self._writer.fetch(parent, parent.hold_key(name), "lock"):
                    raise NotFoundError(name)
