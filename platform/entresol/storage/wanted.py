"""RESOURCE -> TABLE: the table that a resource of the model wants. Pure; the only namer of constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from entresol.schema.list_scopes import identity_columns
from entresol.schema.model import Column, Field, Index, Model, OnDelete, Resource, Role
from entresol.storage.identifiers import fitted, full_name, quote, split_table
from entresol.storage.rows import EVENT_VERSION
from entresol.storage.tables import ForeignKey, OneofCheck, Table, TableColumn, TableIndex

NAME_TYPE = 'text COLLATE "C"'
# IGNORE has none: nothing is checked.
_ACTIONS = {OnDelete.RESTRICT: "RESTRICT", OnDelete.CASCADE: "CASCADE", OnDelete.CLEAR: "SET NULL"}


def table_of(resource: Resource, model: Model) -> Table:
    """Return the table that `resource` wants; `model` resolves its references."""
    table = split_table(resource.table)[1]
    foreign_keys = tuple(_foreign_keys(resource, model, table))
    if resource.events:
        return _days(resource, table, foreign_keys)
    identity = _identity(resource, table)
    return Table(
        name=full_name(resource.table),
        columns=tuple(_columns(resource)),
        indexes=(identity, *_indexes(resource, table, foreign_keys)),
        foreign_keys=foreign_keys,
        checks=tuple(_checks(resource, table)),
        identity=identity.name,
        title=resource.type,
    )


def _days(resource: Resource, table: str, foreign_keys: tuple[ForeignKey, ...]) -> Table:
    """Return the table of events, which nobody needs to be told of: they have no versions, and no cache holds them."""
    time = _stored(resource.by_role[Role.CREATE_TIME]).name
    return Table(
        name=full_name(resource.table),
        columns=tuple(_columns(resource)),
        indexes=tuple(_indexes(resource, table, foreign_keys)),
        foreign_keys=foreign_keys,
        checks=tuple(_checks(resource, table)),
        primary_key=("name", time),
        stamped=False,
        published=False,
        title=resource.type,
        partitioned_by=time,
    )


def _identity(resource: Resource, table: str) -> TableIndex:
    """Return the index whose columns the relay is told of a row before its change: also those of list scopes.

    Its name holds the columns, so that the index of other scopes can be built beside it.
    """
    columns = identity_columns(resource)
    name = fitted("_".join((table, "row_version", *columns, "key")))
    return TableIndex(name, ("name", "row_version", *map(quote, columns)), unique=True)


def _columns(resource: Resource) -> Iterator[TableColumn]:
    name = resource.by_role[Role.NAME]
    yield TableColumn("name", NAME_TYPE, nullable=False, field=name.number)
    if resource.has_parent:
        yield TableColumn("parent", NAME_TYPE, nullable=False)
    for field in resource.stored:
        if field.role is not Role.NAME:
            is_key = resource.events is not None and field.role is Role.CREATE_TIME
            yield replace(_column(field), nullable=False) if is_key else _column(field)
    for column in resource.server_columns:
        yield TableColumn(column.name, column.type, column.nullable, column.default)
    version = str(EVENT_VERSION) if resource.events else None
    yield TableColumn("row_version", "bigint", nullable=False, default=version)


def _column(field: Field) -> TableColumn:
    column = _stored(field)
    # Names compare byte by byte everywhere: the index of a reference then serves the foreign key too.
    kind = NAME_TYPE if field.reference and column.type == "text" else column.type
    required = field.required and field.reference is not None
    return TableColumn(column.name, kind, column.nullable, column.default, field.number, required=required)


def _stored(field: Field) -> Column:
    assert field.column is not None, f"{field.name} has no column"
    return field.column


def _foreign_keys(resource: Resource, model: Model, table: str) -> Iterator[ForeignKey]:
    if resource.has_parent and len(resource.parents) == 1 and resource.parents[0] in model.resources:
        parent = model.resources[resource.parents[0]]
        yield ForeignKey(fitted(f"{table}_parent_fkey"), "parent", full_name(parent.table), "RESTRICT")
    for field in resource.stored:
        reference = None if field.repeated else field.reference
        target = model.resources.get(reference.type) if reference else None
        action = _ACTIONS.get(reference.on_delete) if reference else None
        if target and action:
            column = _stored(field).name
            yield ForeignKey(fitted(f"{table}_{column}_fkey"), column, full_name(target.table), action)


def _checks(resource: Resource, table: str) -> Iterator[OneofCheck]:
    members: dict[str, list[str]] = {}
    for field in resource.stored:
        if field.oneof:
            members.setdefault(field.oneof, []).append(_stored(field).name)
    for oneof, columns in members.items():
        if len(columns) > 1:
            yield OneofCheck(fitted(f"{table}_{oneof}_check"), tuple(columns))


def _indexes(resource: Resource, table: str, foreign_keys: Sequence[ForeignKey]) -> list[TableIndex]:
    """Return the declared indexes, and those that List within a parent and the foreign keys need.

    An ordering of a child resource is indexed twice: as declared, for List over all parents, and behind
    `parent`, because the planner cannot know where in a long common index the rows of one parent lie.
    """
    indexes: list[TableIndex] = []
    if resource.has_parent:
        indexes.append(TableIndex(fitted(f"{table}_parent_name_idx"), ("parent", "name")))
    referring = {key.column for key in foreign_keys}
    for index in resource.indexes:
        indexes.append(_declared(resource, index))
        if resource.has_parent and not index.unique and index.columns[0][0] not in referring | {"parent"}:
            indexes.append(_within_parent(table, index))
    led = {index.columns[0].split()[0] for index in indexes if not index.predicate}
    bare = [key.column for key in foreign_keys if quote(key.column) not in led]
    return indexes + [TableIndex(fitted(f"{table}_{column}_idx"), (quote(column),)) for column in bare]


def _declared(resource: Resource, index: Index) -> TableIndex:
    if not index.unique:
        return TableIndex(fitted(index.name), _with_name(_terms(index)))
    deleted = resource.by_role.get(Role.DELETE_TIME)
    partial = resource.soft_delete and deleted is not None
    predicate = f"{quote(_stored(deleted).name)} IS NULL" if partial and deleted else ""
    return TableIndex(fitted(index.name), _terms(index), unique=True, predicate=predicate)


def _within_parent(table: str, index: Index) -> TableIndex:
    columns = "_".join(column for column, _ in index.columns)
    return TableIndex(fitted(f"{table}_parent_{columns}_idx"), ("parent", *_with_name(_terms(index))))


def _terms(index: Index) -> tuple[str, ...]:
    return tuple(
        f"{quote(column)} DESC" if descending else quote(column) for column, descending in index.columns
    )


def _with_name(terms: tuple[str, ...]) -> tuple[str, ...]:
    """End with `name`, which breaks ties in every page: an import gives millions of rows one time."""
    return terms if any(term.split()[0] == "name" for term in terms) else (*terms, "name")
