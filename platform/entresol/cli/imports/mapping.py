"""From a source row to a message: `FIELD=COLUMN`, or `FIELD=TEMPLATE` with `{column}` inside."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import ParseError
from google.protobuf.message import Message

from entresol.cli.imports.source import Source
from entresol.cli.imports.values import Assign, CellError, assign_of, shown, text_of
from entresol.errors import ConfigurationError, InvalidArgumentError, Violation
from entresol.schema.model import Field, Resource, Role

_COLUMN = re.compile(r"\{([^{}]+)\}")
# Set by the database for every new record, so an import cannot give them.
_SERVER_ROLES = (Role.ETAG, Role.UID, Role.CREATE_TIME, Role.UPDATE_TIME, Role.DELETE_TIME, Role.PURGE_TIME)


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where one field's value comes from. `template` is a column's name, or text with `{column}` in it."""

    field: Field
    template: str
    parts: tuple[str, ...]  # of a template: text and columns in turn, text first and last
    assign: Assign

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns that the value is made of."""
        return self.parts[1::2] or (self.template,)

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return the value in this row; None when a column it is made of is empty."""
        if not self.parts:
            return _present(values.get(self.template))
        made = list(self.parts)
        for index in range(1, len(made), 2):
            part = _present(values.get(made[index]))
            if part is None:
                return None
            made[index] = text_of(part)
        return "".join(made)


def _present(value: Any) -> Any:
    return None if value == "" else value


def parse_mapping(pairs: Sequence[str], resource: Resource, source: Source) -> tuple[FieldSource, ...]:
    """Return where each field comes from: what `pairs` say, else the column of its own name, if there is one.

    Raises:
        ConfigurationError: a pair names a field or column that does not exist, or `name` has no source.
    """
    importable = [field.name for field in resource.fields if field.role not in _SERVER_ROLES]
    given = tuple(_field_source(pair, resource, importable) for pair in pairs)
    _refuse_repetition(given)
    _refuse_absent(given, source)
    others = [name for name in importable if name not in {one.field.name for one in given}]
    absent = source.lacking(set(others))
    equal = (_field_source(f"{name}={name}", resource, importable) for name in others if name not in absent)
    sources = (*given, *equal)
    if not any(one.field.role is Role.NAME for one in sources):
        raise ConfigurationError(
            f"nothing gives `name`: add --map name={resource.patterns[0].text} with columns in the braces"
        )
    return sources


def refuse_lacking(resource: Resource, sources: Sequence[FieldSource]) -> None:
    """Raise ConfigurationError of a field that every record needs and no row will have."""
    lacking = {field.name for field in resource.fields if field.required} - {
        one.field.name for one in sources
    }
    if lacking:
        names, maps = ", ".join(sorted(lacking)), " ".join(f"--map {name}=COLUMN" for name in sorted(lacking))
        raise ConfigurationError(f"nothing gives {names}, which every record needs: add {maps}")


def _field_source(pair: str, resource: Resource, importable: Sequence[str]) -> FieldSource:
    name, equals, template = pair.partition("=")
    if not equals or not template:
        raise ConfigurationError(f"--map {pair}: write FIELD=COLUMN or FIELD='text {{column}}'")
    if name not in importable:
        raise ConfigurationError(
            f"--map {pair}: {name} is not a field to import; choose of {', '.join(importable)}"
        )
    field = resource.by_name[name]
    parts = tuple(_COLUMN.split(template))
    return FieldSource(field, template, parts if len(parts) > 1 else (), assign_of(field))


def _refuse_repetition(sources: Sequence[FieldSource]) -> None:
    for name, times in Counter(one.field.name for one in sources).items():
        if times > 1:
            raise ConfigurationError(f"--map {name}=...: the field is given {times} times; give it once")


def _refuse_absent(sources: Sequence[FieldSource], source: Source) -> None:
    absent = source.lacking({column for one in sources for column in one.columns})
    for one in sources:
        for column in one.columns:
            if column in absent:
                has = f"; it has {', '.join(source.columns())}" if source.is_csv else " in any row"
                raise ConfigurationError(
                    f"--map {one.field.name}={one.template}: {source.path.name} has no column {column}{has}"
                )


def message_of(resource: Resource, sources: Sequence[FieldSource], values: Mapping[str, Any]) -> Message:
    """Return the message of one row.

    Raises:
        InvalidArgumentError: values cannot be read as their fields' types; it lists all of them.
    """
    message = resource.message_class()
    violations = []
    for source in sources:
        value = source.value(values)
        if value is None:
            continue
        field = source.field
        if field.oneof and message.WhichOneof(field.oneof):
            violations.append(
                Violation(field.name, f"{message.WhichOneof(field.oneof)} has a value; only one may have")
            )
            continue
        try:
            source.assign(message, value)
        except CellError as error:
            violations.append(Violation(field.name, f"{shown(value)} {error}"))
        except (ValueError, TypeError, OverflowError, ParseError) as error:
            violations.append(Violation(field.name, f"{shown(value)} does not fit into the field: {error}"))
    if violations:
        raise InvalidArgumentError(violations)
    return message
