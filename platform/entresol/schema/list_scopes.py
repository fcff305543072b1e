"""List scopes: from a resource's options, which columns they need, and which of them a list belongs to.

A scope's *pins* are what its lists have in common, as text: the values of its fields, as PostgreSQL writes them, or
the parent. A list and a changed row with the same pins are in the same scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from entresol.schema.filter_ast import And, Compare, Filter, Operator, Value
from entresol.schema.model import Field, Kind, ListScope, Resource
from entresol.schema.names import parent_of

# Types of columns whose equal values are one text, so that a filter's constant and a row's value compare as such.
PINNED_TYPES = frozenset({"text", "boolean", "integer", "bigint", "numeric(20,0)"})
_PINNED_KINDS = frozenset({Kind.STRING, Kind.BOOL, Kind.INT, Kind.ENUM})

Pins = tuple[str, ...]


def read_list_scopes(storage: Any, ttl_s: float) -> tuple[ListScope, ...]:
    """Return the scopes of a resource whose entries live for `ttl_s`."""
    return tuple(
        ListScope(tuple(option.fields), _seconds(option.ttl) if option.HasField("ttl") else ttl_s)
        for option in storage.list_scopes
    )


def never_null(fields: Sequence[Field], storage: Any) -> tuple[Field, ...]:
    """Return the fields, with NOT NULL columns for the REQUIRED references that a scope names.

    A replica identity, from which the relay learns what a row was, takes no column that may hold nulls.
    """
    named = {name for option in storage.list_scopes for name in option.fields}
    return tuple(_never_null(field) if field.name in named else field for field in fields)


def _never_null(field: Field) -> Field:
    if field.column is None or not field.required or field.reference is None or field.presence:
        return field
    return replace(field, column=replace(field.column, nullable=False))


def can_be_pinned(field: Field) -> bool:
    """Tell whether one text stands for each value of the field, in a filter as in the log."""
    plain = not field.repeated and not field.wrapper and field.kind in _PINNED_KINDS
    return plain and field.column is not None and field.column.type in PINNED_TYPES


def columns_of(resource: Resource, scope: ListScope) -> tuple[str, ...]:
    """Return the columns that the scope's fields are kept in."""
    return tuple(_column(resource.by_name[name]) for name in scope.fields)


def identity_columns(resource: Resource) -> tuple[str, ...]:
    """Return the columns of all scopes, in order and each once: what the replica identity must hold beside the name."""
    named = (column for scope in resource.list_scopes for column in columns_of(resource, scope))
    return tuple(column for column in dict.fromkeys(named) if column != "name")


def scope_of(resource: Resource, parent: str | None, filter_: Filter | None) -> tuple[ListScope, Pins] | None:
    """Return the narrowest scope that the list belongs to, with its pins; None: it is not cached.

    `parent` is None for a list of the top level, and of all parents.
    """
    pinned = dict(_pinned(filter_))
    scopes = [scope for scope in resource.list_scopes if pinned.keys() >= set(scope.fields)]
    if not scopes:
        return None
    scope = max(scopes, key=lambda scope: len(scope.fields))
    if scope.fields:
        return scope, pins_of(columns_of(resource, scope), [pinned[name] for name in scope.fields])
    return scope, () if parent is None else pins_of(("parent",), (parent,))


def pins_of(columns: Iterable[str], values: Iterable[str]) -> Pins:
    """Return the pins of columns that have these values, written as PostgreSQL does."""
    return tuple(f"{column}={value}" for column, value in zip(columns, values, strict=True))


def touched(
    resource: Resource, new: Mapping[str, str | None] | None, old: Mapping[str, str | None] | None
) -> Iterator[Pins | None]:
    """Yield the pins of every scope that a change of a row touches, perhaps repeatedly; None where they are not known.

    `new` and `old` are the row's columns as text; `old` is None where the change left the replica identity as it was.
    """
    rows = [row for row in (old, new) if row is not None]
    for scope in resource.list_scopes:
        if scope.fields:
            columns = columns_of(resource, scope)
            yield from (_row_pins(columns, row) for row in rows)
        else:
            yield ()
            yield from (_parent_pins(resource, row) for row in rows if resource.has_parent)


def _row_pins(columns: Sequence[str], row: Mapping[str, str | None]) -> Pins | None:
    values = [value for column in columns if (value := row.get(column)) is not None]
    return pins_of(columns, values) if len(values) == len(columns) else None


def _parent_pins(resource: Resource, row: Mapping[str, str | None]) -> Pins | None:
    name = row.get("name") or ""
    pattern = next((pattern for pattern in resource.patterns if pattern.parse(name) is not None), None)
    return pins_of(("parent",), (parent_of(name, pattern),)) if pattern is not None else None


def _pinned(filter_: Filter | None) -> Iterator[tuple[str, str]]:
    """Yield the fields that a row must have one value of to match, with that value."""
    match filter_:
        case And(terms):
            for term in terms:
                yield from _pinned(term)
        case Compare(path, Operator.EQUAL, value) if path.field is not None and not path.steps:
            yield path.field.name, _text(value)


def _text(value: Value) -> str:
    """Return the value as PostgreSQL writes it, for the kinds that can be pinned."""
    return str(value)[0].lower() if isinstance(value, bool) else str(value)


def _column(field: Field) -> str:
    assert field.column is not None, f"{field.name} has no column"
    return field.column.name


def _seconds(duration: Any) -> float:
    return float(duration.seconds) + float(duration.nanos) / 1e9
