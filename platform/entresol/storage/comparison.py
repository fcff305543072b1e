"""TABLE, TABLE -> STATEMENTS: what turns a found table into the wanted one without stopping its users. Pure.

Only additions are written. Whatever else differs is refused, with the steps that a person has to take over
several releases (expand, move, contract); `refusals.py` words them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from entresol.storage import ddl, refusals
from entresol.storage.identifiers import fitted
from entresol.storage.refusals import Refusal
from entresol.storage.tables import ForeignKey, OneofCheck, Table, TableColumn, canonical_type


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a plan. `lacks` says what is missing until it ran, if a server cannot work without it.

    `title` is the resource type.
    """

    title: str
    sql: str
    in_transaction: bool = True
    lacks: str = ""


Step: TypeAlias = Statement | Refusal


def create(table: Table, foreign_keys: Sequence[ForeignKey]) -> Iterator[Statement]:
    """Yield the statements that make `table`, with these of its foreign keys."""
    name = table.name
    yield Statement(table.title, ddl.create_table(table, foreign_keys), lacks=f"table {name} is missing")
    for column in table.columns:
        if column.field is not None:
            yield Statement(table.title, ddl.comment_column(name, column))
    for index in table.indexes:
        yield Statement(table.title, ddl.create_index(name, index, concurrently=False))
    if table.partitioned_by:
        yield Statement(table.title, ddl.make_days(name))
        return
    yield Statement(table.title, ddl.create_trigger(name))
    if table.identity:
        yield Statement(table.title, ddl.replica_identity(name, table.identity))
    yield Statement(table.title, ddl.publish(name))


def alter(wanted: Table, found: Table, taken: Collection[str]) -> Iterator[Step]:
    """Yield what `found` lacks; `taken` are the names of indexes of other tables in its schema."""
    if wanted.partitioned_by != found.partitioned_by:
        made = [statement.sql for statement in create(wanted, wanted.foreign_keys)]
        yield refusals.other_partitions(wanted, found, made)
        return
    if found.primary_key != wanted.primary_key:
        yield refusals.primary_key(wanted)
    yield from _columns(wanted, found)
    if wanted.partitioned_by:
        yield from _days(wanted, found)
        return
    yield from _foreign_keys(wanted, found)
    yield from _checks(wanted, found)
    if not found.stamped:
        lacks = f"table {wanted.name} has no trigger that stamps row_version"
        yield Statement(wanted.title, ddl.create_trigger(wanted.name), lacks=lacks)
    yield from _indexes(wanted, found, taken)
    yield from _identity(wanted, found)
    if not found.published:
        yield Statement(wanted.title, ddl.publish(wanted.name), in_transaction=False)


def _days(wanted: Table, found: Table) -> Iterator[Step]:
    """Yield what the partitions of `found` lack; what cannot be added beside writers is refused."""
    yield from _checks(wanted, found)
    for key in wanted.foreign_keys:
        if not any((have.column, have.target) == (key.column, key.target) for have in found.foreign_keys):
            yield refusals.key_of_days(wanted, key)
    valid = {index.definition for index in found.indexes if index.valid}
    for index in wanted.indexes:
        if index.definition not in valid:
            yield refusals.index_of_days(wanted, index)


def _columns(wanted: Table, found: Table) -> Iterator[Step]:
    names = {column.name for column in wanted.columns}
    for column in wanted.columns:
        have = found.column(column.name)
        if have is not None:
            yield from _changed_column(wanted, column, have)
        else:
            yield from _new_column(wanted, found, column)
    for column in found.columns:
        if column.name not in names and not column.nullable and column.default is None:
            yield refusals.unfilled(wanted, column)


def _new_column(wanted: Table, found: Table, column: TableColumn) -> Iterator[Step]:
    names = {other.name for other in wanted.columns}
    holders = (
        c for c in found.columns if c.field is not None and c.field == column.field and c.name not in names
    )
    before = next(holders, None)
    if before is not None:
        yield refusals.renamed(wanted, column, before)
        return
    if column.name == "row_version":
        # Rows from before the platform share the version 0 until they are next written.
        column = TableColumn(column.name, column.type, nullable=False, default="0")
    if not column.nullable and column.default is None:
        yield refusals.no_default(wanted, column)
        return
    lacks = f"column {wanted.name}.{column.name} is missing"
    yield Statement(wanted.title, ddl.add_column(wanted.name, column), lacks=lacks)
    if column.field is not None:
        yield Statement(wanted.title, ddl.comment_column(wanted.name, column))


def _changed_column(wanted: Table, column: TableColumn, have: TableColumn) -> Iterator[Step]:
    if canonical_type(column.type) != canonical_type(have.type):
        yield refusals.retyped(wanted, column, have)
    if have.nullable and not column.nullable:
        yield refusals.not_null(wanted, column)
    if column.nullable and not have.nullable and not column.required:
        yield refusals.nullable(wanted, column)
    if column.field is not None and have.field is not None and column.field != have.field:
        yield refusals.other_field(wanted, column, have)
    if column.field is not None and have.comment is None:
        yield Statement(wanted.title, ddl.comment_column(wanted.name, column))


def _foreign_keys(wanted: Table, found: Table) -> Iterator[Step]:
    for key in wanted.foreign_keys:
        same = (k for k in found.foreign_keys if (k.column, k.target) == (key.column, key.target))
        have = next(same, None)
        if have is None:
            yield Statement(wanted.title, ddl.add_foreign_key(wanted.name, key, validated=False))
        elif have.on_delete != key.on_delete and (have.on_delete, key.on_delete) != ("NO ACTION", "RESTRICT"):
            yield refusals.other_action(wanted, key, have)
        if have is None or not have.validated:
            name = key.name if have is None else have.name
            yield Statement(wanted.title, ddl.validate(wanted.name, name), in_transaction=False)


def _checks(wanted: Table, found: Table) -> Iterator[Step]:
    for check in wanted.checks:
        have = next((c for c in found.checks if set(check.columns) == set(c.columns)), None)
        name = have.name if have else _free_name(check, found)
        if have is None:
            added = OneofCheck(name, check.columns)
            yield Statement(wanted.title, ddl.add_check(wanted.name, added))
        if have is None or not have.validated:
            yield Statement(wanted.title, ddl.validate(wanted.name, name), in_transaction=False)
    for have in found.checks:
        ours = have.name.startswith(f"{wanted.bare_name}_") and have.name.endswith("_check")
        if ours and not any(set(have.columns) <= set(check.columns) for check in wanted.checks):
            yield refusals.stale_check(wanted, have)


def _free_name(check: OneofCheck, found: Table) -> str:
    """Return the check's name, or one with its newest column when an older, narrower check has that name."""
    older = next((other for other in found.checks if other.name == check.name), None)
    if older is None:
        return check.name
    new = [column for column in check.columns if column not in older.columns]
    newest = (new or check.columns)[-1]
    return fitted(f"{check.name.removesuffix('_check')}_{newest}_check")


def _indexes(wanted: Table, found: Table, taken: Collection[str]) -> Iterator[Step]:
    valid = {index.definition for index in found.indexes if index.valid}
    for index in wanted.indexes:
        if index.definition in valid:
            continue
        same_name = next((other for other in found.indexes if other.name == index.name), None)
        if index.name in taken or (same_name is not None and same_name.definition != index.definition):
            yield refusals.index_name(wanted, index)
            continue
        sql = ddl.create_index(wanted.name, index, concurrently=True)
        columns = ", ".join(index.columns)
        lacks = f"index {index.name} on {wanted.name} ({columns}) is missing or invalid"
        yield Statement(wanted.title, sql, in_transaction=False, lacks=lacks)


def _identity(wanted: Table, found: Table) -> Iterator[Step]:
    index = next(index for index in wanted.indexes if index.name == wanted.identity)
    same = [other.name for other in found.indexes if other.definition == index.definition and other.valid]
    # One that tells more is as good: a newer release may have list scopes over more columns.
    covering = {
        other.name for other in found.indexes if other.valid and set(other.columns) >= set(index.columns)
    }
    if found.identity in covering:
        return
    name = same[0] if same else index.name
    change = ddl.replica_identity(wanted.name, name)
    if found.published:
        change = ddl.replica_identity_published(wanted.name, name)
    sql = f"SET lock_timeout = '2s';\n{change}\nSET lock_timeout = '60s';"
    lacks = f"table {wanted.name} has no replica identity over ({', '.join(index.columns)})"
    yield Statement(wanted.title, sql, in_transaction=False, lacks=lacks)
