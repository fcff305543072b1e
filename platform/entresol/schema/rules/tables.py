"""Tables and columns: names PostgreSQL can hold, each once, and none that the platform or PostgreSQL keeps."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor

from entresol.schema import options
from entresol.schema.columns import RESERVED_COLUMNS, SYSTEM_COLUMNS, is_identifier
from entresol.schema.model import Column, Field, Kind, Resource, Role
from entresol.schema.resources import DEFAULT_SCHEMA
from entresol.schema.rules.scope import Scope, message_of
from entresol.schema.source import Element

_TABLE_RULE = "entresol/table"
_RULE = "entresol/column"
_IDENTIFIER = "lower-case letters, digits and underscores, first no digit, at most 63"
_OWN_SCHEMAS = re.compile(r"entresol|information_schema|pg_.*")
# `numeric(10, 2)`, `timestamp with time zone`, `news.rank[]`: one type, and no way to end it and go on.
_TYPE = re.compile(r"[a-z_][a-z0-9_]*([. ][a-z_][a-z0-9_]*)*(\(\d+(, ?\d+)?\))?( [a-z ]+)?(\[\])*")
_INTEGERS = frozenset({"smallint", "int2", "integer", "int", "int4", "bigint", "int8", "numeric", "decimal"})
_FLOATS = frozenset({"real", "float4", "double precision", "float8", "numeric", "decimal"})
_DOCUMENTS = frozenset({"jsonb", "json"})
# What PostgreSQL has of itself for values of a kind. Types that extensions add, such as citext, nobody here can judge.
_FITTING = {
    Kind.STRING: frozenset({"text", "varchar", "character varying", "char", "character", "bpchar"}),
    Kind.BYTES: frozenset({"bytea"}),
    Kind.BOOL: frozenset({"boolean", "bool"}),
    Kind.INT: _INTEGERS,
    Kind.FLOAT: _FLOATS,
    Kind.DOUBLE: _FLOATS,
    Kind.ENUM: _INTEGERS,
    Kind.TIMESTAMP: frozenset({"timestamptz", "timestamp with time zone"}),
    Kind.DURATION: frozenset({"interval"}),
    Kind.MESSAGE: _DOCUMENTS,
    Kind.MAP: _DOCUMENTS,
}
_BUILT_IN = frozenset[str]().union(*_FITTING.values()) | {
    "uuid",
    "date",
    "time",
    "timestamp",
    "inet",
    "cidr",
    "money",
    "xml",
}
_MODIFIER = re.compile(r"\(.*\)|(\[\])+$")
_CONSTANT = re.compile(r"(-?\d+(\.\d+)?|'([^'\\]|'')*'|true|false)(::[a-z_][a-z0-9_ ]*(\[\])?)?")


def check_tables(scope: Scope) -> None:
    """Report tables and columns that cannot be made."""
    first: dict[str, Resource] = {}
    for resource in scope.resources:
        _table(scope, resource)
        other = first.setdefault(resource.table.casefold(), resource)
        if other is not resource:
            problem = f"table {resource.table!r} is also that of {other.message}"
            _at_storage(scope, resource, _TABLE_RULE, problem, "give it another table")
        _columns(scope, resource)
        if message_of(resource).is_extendable:
            remedy = "declare the fields in the message"
            scope.report.add(
                message_of(resource), "entresol/field", "can be extended by fields unknown here", remedy
            )


def _at_storage(scope: Scope, resource: Resource, rule: str, problem: str, remedy: str) -> None:
    scope.report.add(message_of(resource), rule, problem, remedy, option=options.STORAGE)


def _table(scope: Scope, resource: Resource) -> None:
    schema, _, table = resource.table.rpartition(".")
    for part in filter(None, (schema, table or " ")):
        if not is_identifier(part):
            problem = f"table {resource.table!r} cannot be a table's name"
            _at_storage(scope, resource, _TABLE_RULE, problem, f"use {_IDENTIFIER}")
    if _OWN_SCHEMAS.fullmatch(schema or DEFAULT_SCHEMA):
        problem = f"schema {schema!r} is not for resources"
        _at_storage(scope, resource, _TABLE_RULE, problem, "use another schema")


def _columns(scope: Scope, resource: Resource) -> None:
    first: dict[str, str] = {}
    for field in resource.fields:
        _field(scope, field)
    for element, owner, column in _all_columns(resource):
        _name(scope, element, owner, column)
        other = first.setdefault(column.name.casefold(), owner)
        if other != owner:
            problem = f"{owner} has the column {column.name!r}, as {other} has"
            scope.report.add(element, _RULE, problem, "give it another column")
    for column in resource.server_columns:
        _server_column(scope, resource, column)


def _all_columns(resource: Resource) -> Iterator[tuple[Element, str, Column]]:
    for field in resource.fields:
        if field.column is not None:
            yield field.descriptor, f"field {field.name!r}", field.column
    message: Descriptor = message_of(resource)
    for index, column in enumerate(resource.server_columns):
        yield message, f"server column {index + 1}", column


def _name(scope: Scope, element: Element, owner: str, column: Column) -> None:
    if not is_identifier(column.name):
        problem = f"{owner} has the column {column.name!r}, which cannot be a column's name"
        scope.report.add(element, _RULE, problem, f"use {_IDENTIFIER}")
    kept = column.name in RESERVED_COLUMNS and owner != "field 'name'"
    if kept or column.name in SYSTEM_COLUMNS:
        problem = f"{owner} has the column {column.name!r}, which every table has already"
        scope.report.add(element, _RULE, problem, "give it another with (entresol.options.v1.field).column")


def _field(scope: Scope, field: Field) -> None:
    option = scope.source.option(field.descriptor, options.FIELD)
    if option is None or not (option.column or option.column_type):
        return
    if field.role in (Role.NAME, Role.ETAG):
        problem = "has a column that cannot be chosen" if field.role is Role.NAME else "has no column"
        remedy = "drop column and column_type"
        scope.report.add(field.descriptor, _RULE, problem, remedy, option=options.FIELD)
    if option.column_type and not _TYPE.fullmatch(option.column_type):
        problem = f"column_type {option.column_type!r} is not a type"
        remedy = "write one as PostgreSQL prints it: 'numeric(10,2)'"
        scope.report.add(field.descriptor, _RULE, problem, remedy, option=options.FIELD)
    elif option.column_type and not _fits(field, option.column_type):
        problem = (
            f"column_type {option.column_type!r} cannot hold the values of a field of kind {field.kind.value}"
        )
        remedy = f"leave it out, or choose of {', '.join(sorted(_FITTING[field.kind]))}"
        scope.report.add(field.descriptor, _RULE, problem, remedy, option=options.FIELD)


def _fits(field: Field, type_: str) -> bool:
    type_ = _MODIFIER.sub("", type_).strip()
    return type_ not in _BUILT_IN or type_ in _FITTING[field.kind]


def _server_column(scope: Scope, resource: Resource, column: Column) -> None:
    if not _TYPE.fullmatch(column.type):
        problem = f"server column {column.name!r} has the type {column.type!r}"
        _at_storage(scope, resource, _RULE, problem, "write one as PostgreSQL prints it: 'numeric(10,2)'")
    if column.default is not None and not _CONSTANT.fullmatch(column.default):
        problem = f"server column {column.name!r} has the default {column.default!r}"
        _at_storage(scope, resource, _RULE, problem, "write a constant: 0, true, 'text', '{}'::jsonb")
