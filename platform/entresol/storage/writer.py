"""Runs the statements of one transaction and keeps the list of what they changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from entresol.errors import ConflictError, DeletedError, EntresolError, NotFoundError, StaleEtagError
from entresol.schema.model import Model, OnDelete, Resource, Role
from entresol.storage.connections import Record, ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.identifiers import full_name
from entresol.storage.rows import Row, RowCodec
from entresol.storage.sql import Statement, TableSql, name_of
from entresol.storage.sqlstate import Tables, translated
from entresol.storage.statements import run

# Changes beyond this many are left to the relay, which drops their entries from the cache: memory stays bounded.
CHANGES_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """One record that a transaction wrote: `row` is None when it is gone.

    `position` was read while the row was locked: all earlier changes of the record were committed before it (R1).
    """

    resource: Resource = field(repr=False)
    name: str
    version: int
    row: Row | None
    position: int


class Schema:
    """The statements of every resource of a model."""

    def __init__(self, model: Model) -> None:
        self._tables = {type_: TableSql(RowCodec(resource)) for type_, resource in model.resources.items()}
        self.by_table: Tables = {full_name(resource.table): resource for resource in model.resources.values()}
        self._dragging = {
            field.reference.type
            for resource in model.resources.values()
            for field in resource.fields
            if field.reference and field.reference.on_delete in (OnDelete.CASCADE, OnDelete.CLEAR)
        }

    def table(self, resource: Resource) -> TableSql:
        """Return the statements of `resource`."""
        return self._tables[resource.type]

    def children(self, resource: Resource) -> Sequence[TableSql]:
        """Return the statements of the resources whose parent is a `resource`."""
        return [self._tables[type_] for type_ in resource.children if type_ in self._tables]

    def drags(self, resource: Resource) -> bool:
        """Whether a deletion of a `resource` changes records that refer to it: their foreign keys do it, unseen."""
        return resource.type in self._dragging

    def parents(self, resource: Resource) -> Sequence[TableSql]:
        """Return the statements of the resources that can be parents of a `resource`."""
        return [self._tables[type_] for type_ in resource.parents if type_ in self._tables]


@dataclass(slots=True)
class Writer:
    """The connection lent to a transaction, and its deadline. Errors come out as the platform's.

    `complete` tells whether `changes` holds everything that was written.
    """

    lent: ServerConnection | None
    schema: Schema
    deadline: Deadline
    changes: list[Change] = field(default_factory=list)
    complete: bool = True

    @property
    def connection(self) -> ServerConnection:
        """Return the connection, which is another's once the transaction has ended."""
        if self.lent is None:
            raise RuntimeError("the transaction has ended; use it only inside its block")
        return self.lent

    async def fetch(self, table: TableSql, statement: Statement, operation: str) -> list[Record]:
        """Return the records of a statement."""
        with translated(self.schema.by_table):
            return await run(self.connection, statement, self.deadline, table.resource.type, operation)

    async def write(self, table: TableSql, statement: Statement, operation: str) -> Row | None:
        """Run a statement that changes at most one row and returns it; None when it changed none."""
        records = await self.fetch(table, statement, operation)
        return self.wrote(table, records[0]) if records else None

    def wrote(self, table: TableSql, record: Record, *, gone: bool = False) -> Row:
        """Note the change that `record` tells of: the columns of a read, the version, then the position."""
        row = table.codec.row(record)
        if gone and self.schema.drags(table.resource):
            self.complete = False
        self.note(Change(table.resource, row.name, row.version, None if gone else row, record[-1]))
        return row

    def note(self, change: Change) -> None:
        """Add to the changes, within their bound."""
        if len(self.changes) < CHANGES_MAX:
            self.changes.append(change)
        else:
            self.complete = False

    async def lock(self, table: TableSql, name: str, version: int | None) -> Record:
        """Return the record of a row, locked against changes, deletion, and new rows that refer to it.

        Raises:
            NotFoundError: there is no such row.
            StaleEtagError: it has another version.
        """
        records = await self.fetch(table, table.lock_key(name), "lock")
        if not records:
            raise NotFoundError(name)
        if version is not None and records[0]["row_version"] != version:
            raise StaleEtagError(name)
        return records[0]

    async def why_unchanged(self, table: TableSql, name: str, version: int | None) -> EntresolError:
        """Return why a statement on this row changed nothing: it is missing, stale, or was just changed by another."""
        try:
            record = await self.lock(table, name, version)
        except (NotFoundError, StaleEtagError) as error:
            return error
        deleted = table.resource.by_role.get(Role.DELETE_TIME)
        if table.resource.soft_delete and deleted is not None and record[name_of(deleted)] is not None:
            return DeletedError(name)
        return ConflictError(f"{name} was changed at the same moment; try again", metadata={"name": name})
