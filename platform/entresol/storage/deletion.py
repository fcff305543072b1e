"""Delete and Undelete of records and what stands below them (AIP-135, AIP-164), inside a transaction.

A hard delete takes the children along only when forced; singletons, which live and die with their parent, always go.
A soft delete marks: children that can be marked are marked with it when forced, and unmarked by Undelete, which finds
them by the moment of their deletion. Children that cannot be marked stay until their parent is purged, so that
Undelete brings back everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from entresol.errors import AlreadyExistsError, ChildrenExistError, NotFoundError
from entresol.schema.model import Resource, Role
from entresol.storage.rows import Row
from entresol.storage.sql import Statement, TableSql, name_of
from entresol.storage.writer import Change, Writer


async def delete(writer: Writer, table: TableSql, name: str, version: int | None, *, force: bool) -> Row:
    """Remove the record, or mark it, and return what it was, or is now."""
    if table.resource.soft_delete:
        return await _mark(writer, table, name, version, force=force)
    if writer.schema.children(table.resource):
        await writer.lock(table, name, version)
        await _clear_below(writer, table, [name], force=force)
    records = await writer.fetch(table, table.delete(name, version), "delete")
    if not records:
        raise await writer.why_unchanged(table, name, version)
    return writer.wrote(table, records[0], gone=True)


async def delete_named(
    writer: Writer, table: TableSql, names: list[str], *, force: bool, purge: bool
) -> None:
    """Remove, or mark, records whose rows this transaction has locked; with `purge` remove them in any case."""
    if table.resource.soft_delete and not purge:
        if not force:
            await _refuse_children(writer, writer.schema.children(table.resource), names)
        await _mark_below(writer, table.resource, names)
        for record in await writer.fetch(
            table, table.soft_delete_named(names, _retention_s(table)), "delete"
        ):
            writer.wrote(table, record)
        return
    await _clear_below(writer, table, names, force=force)
    await _remove(writer, table, table.delete_named(names))


async def undelete(writer: Writer, table: TableSql, name: str, version: int | None) -> Row:
    """Unmark the record and return what it is now."""
    record = await writer.lock(table, name, version)
    time: datetime | None = record[name_of(table.resource.by_role[Role.DELETE_TIME])]
    if time is None:
        raise AlreadyExistsError(f"{name} is not deleted", metadata={"name": name})
    await _unmark_below(writer, table.resource, [name], time)
    row = await writer.write(table, table.undelete(name, version), "undelete")
    assert row is not None, "the row is locked"
    return row


async def _mark(writer: Writer, table: TableSql, name: str, version: int | None, *, force: bool) -> Row:
    record = await writer.lock(table, name, version)
    if record[name_of(table.resource.by_role[Role.DELETE_TIME])] is not None:
        raise NotFoundError(name)
    if not force:
        await _refuse_children(writer, writer.schema.children(table.resource), [name])
    await _mark_below(writer, table.resource, [name])
    row = await writer.write(table, table.soft_delete(name, version, _retention_s(table)), "delete")
    assert row is not None, "the row is locked"
    return row


async def _clear_below(writer: Writer, table: TableSql, names: list[str], *, force: bool) -> None:
    """Remove what must not outlive these records, or refuse."""
    children = writer.schema.children(table.resource)
    if not force:
        await _refuse_children(
            writer, [child for child in children if len(child.resource.parents) > 1], names
        )
    await _remove_below(writer, children, names, force=force)


async def _refuse_children(writer: Writer, children: Sequence[TableSql], names: list[str]) -> None:
    for child in children:
        if is_singleton(child.resource):
            continue
        for (name,) in await writer.fetch(child, child.live_child(names), "get"):
            plural = child.resource.plural
            raise ChildrenExistError(f"{name} has {plural}", metadata={"name": name, "others": plural})


async def _remove_below(
    writer: Writer, children: Sequence[TableSql], parents: list[str], *, force: bool
) -> None:
    """Delete the children of `parents`, deepest first; only singletons unless forced. Foreign keys stop the rest."""
    for child in children:
        if not force and not is_singleton(child.resource):
            continue
        below = writer.schema.children(child.resource)
        if below:
            records = await writer.fetch(child, child.lock_children(parents), "lock")
            names = [record[0] for record in records]
            if names:
                await _remove_below(writer, below, names, force=force)
        await _remove(writer, child, child.delete_children(parents))


async def _remove(writer: Writer, table: TableSql, statement: Statement) -> None:
    """Run a deletion that returns name, version and position of each row."""
    for name, version, position in await writer.fetch(table, statement, "delete"):
        writer.note(Change(table.resource, name, version, None, position))
    if writer.schema.drags(table.resource):
        writer.complete = False


async def _mark_below(writer: Writer, resource: Resource, parents: list[str]) -> None:
    for child in writer.schema.children(resource):
        if child.resource.soft_delete:
            statement = child.soft_delete_children(parents, _retention_s(child))
            rows = [writer.wrote(child, record) for record in await writer.fetch(child, statement, "delete")]
            if rows:
                await _mark_below(writer, child.resource, [row.name for row in rows])


async def _unmark_below(writer: Writer, resource: Resource, parents: list[str], time: datetime) -> None:
    for child in writer.schema.children(resource):
        if child.resource.soft_delete:
            statement = child.undelete_children(parents, time)
            rows = [
                writer.wrote(child, record) for record in await writer.fetch(child, statement, "undelete")
            ]
            if rows:
                await _unmark_below(writer, child.resource, [row.name for row in rows], time)


def is_singleton(resource: Resource) -> bool:
    """Whether the resource is created and deleted with its parent (AIP-156)."""
    return resource.patterns[0].singleton


def _retention_s(table: TableSql) -> float:
    return table.resource.soft_delete_retention_s or 0.0
