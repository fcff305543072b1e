"""One value, proto to column and back, for every kind of field. Exact in both directions, or refused.

Inside jsonb (messages and maps) the form is ProtoJSON with proto field names; what JSON itself cannot hold is lost
there: the sign of a zero, and unknown fields, which requests may not carry anyway.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from entresol.errors import InvalidArgumentError
from entresol.schema.model import Field, Kind

# A value as asyncpg takes and gives it. Its types are those of the driver, one for each column type.
Convert = Callable[[Any], Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND_NANOS = 1000
_DAY_SECONDS = 86_400


def to_datetime(timestamp: Any, field: str) -> datetime:
    """Return a `Timestamp` as an aware datetime."""
    microseconds = _microseconds(timestamp.nanos, field)
    try:
        return EPOCH + timedelta(seconds=timestamp.seconds, microseconds=microseconds)
    except OverflowError as error:
        raise InvalidArgumentError.of(field, "is not between the years 1 and 9999") from error


def from_datetime(value: datetime) -> tuple[int, int]:
    """Return seconds and nanoseconds of a `Timestamp`. The driver gives PostgreSQL's infinities without a zone."""
    delta = (value if value.tzinfo else value.replace(tzinfo=UTC)) - EPOCH
    return delta.days * _DAY_SECONDS + delta.seconds, delta.microseconds * _MICROSECOND_NANOS


def to_timedelta(duration: Any, field: str) -> timedelta:
    """Return a `Duration` as a timedelta."""
    microseconds = _microseconds(duration.nanos, field)
    try:
        return timedelta(seconds=duration.seconds, microseconds=microseconds)
    except OverflowError as error:
        raise InvalidArgumentError.of(field, "is longer than 10,000 years") from error


def from_timedelta(value: timedelta) -> tuple[int, int]:
    """Return seconds and nanoseconds of a `Duration`, which have the same sign."""
    total = (value.days * _DAY_SECONDS + value.seconds) * 1_000_000 + value.microseconds
    seconds, microseconds = divmod(abs(total), 1_000_000)
    sign = -1 if total < 0 else 1
    return sign * seconds, sign * microseconds * _MICROSECOND_NANOS


def encoder(field: Field) -> Convert | None:
    """Return what turns one element of `field` into what its column takes; None when it is that already."""
    if field.kind is Kind.TIMESTAMP:
        return lambda value: to_datetime(value, field.name)
    if field.kind is Kind.DURATION:
        return lambda value: to_timedelta(value, field.name)
    if field.kind is Kind.INT and field.bits == 64 and not field.signed:
        return Decimal
    return None


def decoder(field: Field) -> Convert | None:
    """Return what turns one element of the column into what a message takes; None when it is that already."""
    if field.kind is Kind.TIMESTAMP:
        return _time_decoder(field, from_datetime)
    if field.kind is Kind.DURATION:
        return _time_decoder(field, from_timedelta)
    if field.kind is Kind.INT and field.bits == 64 and not field.signed:
        return int
    return None


def in_json(field: Field) -> bool:
    """Whether the column is jsonb."""
    return field.kind in (Kind.MESSAGE, Kind.MAP)


def plain_map(field: Field) -> bool:
    """Whether the field is a map from text to text, whose ProtoJSON is the map itself."""
    if field.kind is not Kind.MAP:
        return False
    entry = message_type(field).fields_by_name
    text = field.descriptor.TYPE_STRING
    return bool(entry["key"].type == text and entry["value"].type == text)


def to_json(field: Field, message: Message) -> str:
    """Return the text of `field`'s jsonb in `message`."""
    if plain_map(field):
        return json.dumps(dict(getattr(message, field.name)), ensure_ascii=False)
    alone = type(message)()
    _copy(field, message, alone)
    try:
        values = json_format.MessageToDict(
            alone, preserving_proto_field_name=True, descriptor_pool=_pool(message)
        )
    except (json_format.SerializeToJsonError, TypeError, ValueError) as error:
        raise InvalidArgumentError.of(field.name, f"cannot be written as JSON: {error}") from error
    empty: Any = {} if field.kind is Kind.MAP else [] if field.repeated else None
    return json.dumps(values.get(field.name, empty), ensure_ascii=False)


def from_json(values: dict[str, str], message: Message) -> None:
    """Set the fields of `message` whose jsonb texts `values` holds."""
    document = {name: json.loads(text) for name, text in values.items()}
    json_format.ParseDict(document, message, ignore_unknown_fields=True, descriptor_pool=_pool(message))


def short(field: Field) -> Convert:
    """Return what reads the plain jsonb texts of `field`, and gives None of those that take `from_json`.

    A walk through ProtoJSON costs as much as the rest of the row, and most maps are empty or hold texts.
    """
    if plain_map(field):
        return _text_map
    if field.kind is Kind.MAP:
        return _empty_map
    return _empty_list if field.repeated else _never


def _text_map(text: str) -> dict[str, str] | None:
    if text == "{}":
        return {}
    found = json.loads(text)
    is_plain = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if is_plain else None


def _empty_map(text: str) -> dict[str, Any] | None:
    return {} if text == "{}" else None


def _empty_list(text: str) -> list[Any] | None:
    return [] if text == "[]" else None


def _never(_: str) -> None:
    """Give nothing: of a message, `{}` is one without values, which is not the same as none."""


def message_type(field: Field) -> Descriptor:
    """Return the type of a field that holds messages or a map."""
    descriptor = field.descriptor.message_type
    assert descriptor is not None, f"{field.name} holds no message"
    return descriptor


def _pool(message: Message) -> Any:
    """Return the pool where the types inside an `Any` are looked up."""
    return message.DESCRIPTOR.file.pool


def _copy(field: Field, source: Message, target: Message) -> None:
    if field.repeated or field.kind is Kind.MAP:
        getattr(target, field.name).MergeFrom(getattr(source, field.name))
    else:
        getattr(target, field.name).CopyFrom(getattr(source, field.name))


def _microseconds(nanos: int, field: str) -> int:
    microseconds, rest = divmod(nanos, _MICROSECOND_NANOS)
    if rest:
        raise InvalidArgumentError.of(field, "is finer than a microsecond; round it to microseconds")
    return microseconds


def _time_decoder(field: Field, split: Callable[[Any], tuple[int, int]]) -> Convert:
    message_class = message_factory.GetMessageClass(message_type(field))

    def decode(value: Any) -> Message:
        seconds, nanos = split(value)
        message: Message = message_class(seconds=seconds, nanos=nanos)
        return message

    return decode
