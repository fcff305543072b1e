"""Hypothesis strategies for messages of any type: whatever the platform promises to give back byte for byte."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

DEPTH_MAX = 2
FIELDS_MAX = 6
# PostgreSQL holds no U+0000, and UTF-8 no surrogates.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
DOUBLES = st.floats(allow_nan=False) | st.just(math.nan)
FLOATS = st.floats(width=32, allow_nan=False) | st.just(math.nan)
MICROSECONDS = st.integers(0, 999_999).map(lambda number: number * 1000)


def _integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(least, most) | st.sampled_from([least, most])


_SCALARS: dict[int, st.SearchStrategy[Any]] = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_INT32: _integers(32, signed=True),
    FieldDescriptor.TYPE_UINT32: _integers(32, signed=False),
    FieldDescriptor.TYPE_INT64: _integers(64, signed=True),
    FieldDescriptor.TYPE_SINT64: _integers(64, signed=True),
    FieldDescriptor.TYPE_UINT64: _integers(64, signed=False),
    FieldDescriptor.TYPE_FIXED64: _integers(64, signed=False),
    FieldDescriptor.TYPE_FLOAT: FLOATS,
    FieldDescriptor.TYPE_DOUBLE: DOUBLES,
    FieldDescriptor.TYPE_ENUM: st.integers(0, 3) | st.just(77),
}
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000).map(float) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def messages(message_class: type[Message], *, top: bool = True, depth: int = 0) -> st.SearchStrategy[Message]:
    """Return messages with a few of their fields set, any of them.

    Below the `top` no zero has a sign, which JSON cannot hold.
    """
    descriptor = message_class.DESCRIPTOR
    special = _SPECIAL.get(descriptor.full_name)
    if special is not None:
        return special(message_class)
    if depth > DEPTH_MAX:
        return st.builds(message_class)
    names = [field.name for field in descriptor.fields if _is_wanted(field)]

    def fill(chosen: list[str]) -> st.SearchStrategy[Message]:
        fields = {name: _values(descriptor.fields_by_name[name], top, depth) for name in chosen}
        return st.fixed_dictionaries(fields).map(lambda values: _built(message_class, values))

    return st.lists(st.sampled_from(names), max_size=FIELDS_MAX, unique=True).flatmap(fill)


def _is_wanted(field: FieldDescriptor) -> bool:
    return field.name not in ("name", "etag", "create_time", "update_time", "delete_time", "purge_time")


def _built(message_class: type[Message], values: dict[str, Any]) -> Message:
    # Of a oneof, what is set last stays.
    message = message_class()
    for name, value in values.items():
        message.MergeFrom(message_class(**{name: value}))
    return message


def _values(field: FieldDescriptor, top: bool, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = field.message_type.fields
        return st.dictionaries(_values(key, top=False, depth=depth), _values(value, False, depth), max_size=3)
    if field.message_type is not None:
        one = messages(GetMessageClass(field.message_type), top=_is_column(field, top), depth=depth + 1)
    elif field.type in (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT) and not top:
        one = _SCALARS[field.type].map(lambda number: number + 0.0)
    else:
        one = _SCALARS[field.type]
    return st.lists(one, max_size=3) if field.is_repeated else one


def _is_column(field: FieldDescriptor, top: bool) -> bool:
    """Whether a message of `field` is a wrapper with a column of its own, and no jsonb."""
    return top and not field.is_repeated and field.message_type.full_name.endswith("Value")


def _timestamps(message_class: Callable[..., Message]) -> st.SearchStrategy[Message]:
    seconds = st.integers(-62_135_596_800, 253_402_300_799) | st.sampled_from(
        [-62_135_596_800, 253_402_300_799]
    )
    return st.builds(message_class, seconds=seconds, nanos=MICROSECONDS | st.just(999_999_000))


def _durations(message_class: Callable[..., Message]) -> st.SearchStrategy[Message]:
    def build(seconds: int, nanos: int, negative: bool) -> Message:
        sign = -1 if negative else 1
        return message_class(seconds=sign * seconds, nanos=sign * nanos)

    return st.builds(build, st.integers(0, 315_576_000_000), MICROSECONDS, st.booleans())


def _structs(message_class: Callable[..., Message]) -> st.SearchStrategy[Message]:
    return st.dictionaries(TEXT, _JSON, max_size=3).map(
        lambda fields: _json(message_class, {"fields": fields})
    )


def _lists(message_class: Callable[..., Message]) -> st.SearchStrategy[Message]:
    return st.lists(_JSON, max_size=3).map(lambda values: _json(message_class, {"values": values}))


def _anything(message_class: Callable[..., Message]) -> st.SearchStrategy[Message]:
    return _JSON.map(lambda value: _value(message_class, value))


def _json(message_class: Callable[..., Any], content: dict[str, Any]) -> Message:
    message: Message = message_class()
    value_class = GetMessageClass(message.DESCRIPTOR.file.pool.FindMessageTypeByName("google.protobuf.Value"))
    for name, items in content.items():
        target = getattr(message, name)
        if isinstance(items, dict):
            for key, item in items.items():
                target[key].CopyFrom(_value(value_class, item))
        else:
            target.extend([_value(value_class, item) for item in items])
    return message


def _value(value_class: Callable[..., Any], value: Any) -> Message:
    message: Any = value_class()
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.bool_value = value
        case float():
            message.number_value = value + 0.0
        case str():
            message.string_value = value
        case list():
            message.list_value.CopyFrom(_json(type(message.list_value), {"values": value}))
        case dict():
            message.struct_value.CopyFrom(_json(type(message.struct_value), {"fields": value}))
    return message


def _packed(message_class: Callable[..., Any]) -> st.SearchStrategy[Message]:
    def pack(message: Message) -> Message:
        packed: Any = message_class()
        packed.Pack(message)
        return packed

    pool = message_class.DESCRIPTOR.file.pool
    part: Descriptor = pool.FindMessageTypeByName("zoo.v1.Part")
    return messages(GetMessageClass(part), top=False, depth=1).map(pack)


_SPECIAL: dict[str, Callable[[Any], st.SearchStrategy[Message]]] = {
    "google.protobuf.Timestamp": _timestamps,
    "google.protobuf.Duration": _durations,
    "google.protobuf.Struct": _structs,
    "google.protobuf.ListValue": _lists,
    "google.protobuf.Value": _anything,
    "google.protobuf.Any": _packed,
}
