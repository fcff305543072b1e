"""From a source row to a message: `FIELD=COLUMN`, or `FIELD=TEMPLATE` with `{column}` inside."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import Message

from entresol.errors import ConfigurationError, InvalidArgumentError, Violation
from entresol.schema.model import Field, Kind, Resource, Role

_COLUMN = re.compile(r"\{([^{}]+)\}")
_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")
# Set by the database for every new record, so an import cannot give them.
_SERVER_ROLES = (Role.ETAG, Role.UID, Role.CREATE_TIME, Role.UPDATE_TIME, Role.DELETE_TIME, Role.PURGE_TIME)


@dataclass(frozen=True, slots=True)
class FieldSource:
    """Where one field's value comes from. `template` is a column's name, or text with `{column}` in it."""

    field: Field
    template: str
    columns: tuple[str, ...]  # those in braces
    convert: Callable[[Any], Any]

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return the value in this row; None when a column it is made of is empty."""
        if not self.columns:
            return _present(values.get(self.template))
        text = self.template
        for column in self.columns:
            part = _present(values.get(column))
            if part is None:
                return None
            text = text.replace(f"{{{column}}}", str(part))
        return text


def _present(value: Any) -> Any:
    return None if value == "" else value


def parse_mapping(
    pairs: Sequence[str], resource: Resource, columns: Sequence[str]
) -> tuple[FieldSource, ...]:
    """Return where each field comes from; without `pairs`, from the columns that bear the fields' names.

    Raises:
        ConfigurationError: a pair names a field or column that does not exist, or `name` has no source.
    """
    if not pairs:
        pairs = [f"{name}={name}" for name in resource.by_name if name in columns]
    sources = tuple(_field_source(pair, resource, columns) for pair in pairs)
    if not any(source.field.role is Role.NAME for source in sources):
        raise ConfigurationError(
            f"nothing gives `name`: add --map name={resource.patterns[0].text} with columns in the braces"
        )
    return sources


def _field_source(pair: str, resource: Resource, columns: Sequence[str]) -> FieldSource:
    name, equals, template = pair.partition("=")
    field = resource.by_name.get(name)
    if not equals or not template:
        raise ConfigurationError(f"--map {pair}: write FIELD=COLUMN or FIELD='text {{column}}'")
    if field is None or field.role in _SERVER_ROLES:
        allowed = ", ".join(f.name for f in resource.fields if f.role not in _SERVER_ROLES)
        raise ConfigurationError(f"--map {pair}: {name} is not a field to import; choose of {allowed}")
    named = tuple(_COLUMN.findall(template))
    for column in named or (template,):
        if column not in columns:
            raise ConfigurationError(
                f"--map {pair}: the file has no column {column}; it has {', '.join(columns)}"
            )
    return FieldSource(field, template, named, _converter(field))


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
        try:
            _assign(message, source, value)
        except (ValueError, TypeError, ParseError, OverflowError, KeyError) as error:
            violations.append(
                Violation(source.field.name, f"{value!r} is not a {source.field.kind.value}: {error}")
            )
    if violations:
        raise InvalidArgumentError(violations)
    return message


def _assign(message: Message, source: FieldSource, value: Any) -> None:
    field = source.field
    if field.kind in (Kind.MESSAGE, Kind.MAP) or field.wrapper or isinstance(value, (list, dict)):
        ParseDict({field.name: value}, message)
    elif field.repeated:
        getattr(message, field.name).extend(source.convert(part) for part in str(value).split(";") if part)
    elif field.kind is Kind.TIMESTAMP:
        getattr(message, field.name).FromDatetime(_timestamp(value))
    elif field.kind is Kind.DURATION:
        getattr(message, field.name).FromJsonString(str(value))
    else:
        setattr(message, field.name, source.convert(value))


def _timestamp(value: Any) -> datetime:
    """Return the time of RFC 3339 text, or of a number of seconds since the epoch; a time without zone is UTC."""
    text = str(value)
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return datetime.fromtimestamp(float(text), UTC)
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _bool(value: Any) -> bool:
    text = str(value).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError("write true or false")


_CONVERTERS: Mapping[Kind, Callable[[Any], Any]] = {
    Kind.BYTES: lambda text: str(text).encode(),
    Kind.BOOL: _bool,
    Kind.INT: int,
    Kind.FLOAT: float,
    Kind.DOUBLE: float,
}


def _converter(field: Field) -> Callable[[Any], Any]:
    """Return what reads one value of the field; it raises ValueError or KeyError when it cannot."""
    values = field.enum.values_by_name if field.kind is Kind.ENUM and field.enum is not None else {}
    if values:
        return lambda text: int(text) if str(text).lstrip("-").isdigit() else values[str(text)].number
    return _CONVERTERS.get(field.kind, str)
