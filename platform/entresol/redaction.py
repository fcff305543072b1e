"""What nobody may read in a log or on a page: passwords in URLs, secrets by their names, values of marked fields."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

HIDDEN = "[hidden]"
_ANY = "google.protobuf.Any"

# `user:password@`, up to the last @ before the path: passwords may hold one.
_CREDENTIALS = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)(?P<user>[^\s:/@]*):[^\s/]*@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"(?P<name>\b(?:password|passwd|secret|sslpassword|token)=)[^\s&;,'\")]+", re.IGNORECASE
)
# What PostgreSQL tells, in any language, of a row that it refuses: `Key (email)=(ann@example.com) already ...`, or the
# whole row in parentheses. The driver puts the word before it.
_DETAIL = re.compile(r"\bDETAIL:.*?(?=\nHINT:|\n\n|\Z)", re.DOTALL)
_VALUES = re.compile(r"(?<==)\(.*\)|(?<!=)\((?!.*\)=\().*\)", re.DOTALL)
_SECRET_NAMES = re.compile(
    r"(^|_)(password|passwd|secret|token|token_keys|authorization|cookie|api_key|credential|credentials)$"
)


def redacted(text: str) -> str:
    """Return `text` without the passwords of its URLs, and without the values in what PostgreSQL says of rows."""
    if "://" in text:
        text = _CREDENTIALS.sub(rf"\g<scheme>\g<user>:{HIDDEN}@", text)
    if "=" in text:
        text = _PARAMETER.sub(rf"\g<name>{HIDDEN}", text)
    return (
        _DETAIL.sub(lambda detail: _VALUES.sub(f"({HIDDEN})", detail[0]), text) if "DETAIL:" in text else text
    )


def is_secret(name: str) -> bool:
    """Tell whether what has this name is a secret, whatever it looks like."""
    return _SECRET_NAMES.search(name.lower().replace("-", "_")) is not None


def shown(value: Any, name: str = "") -> Any:
    """Return `value`, of that name, as it may be shown: text, and in what holds others each of them."""
    if name and is_secret(name):
        return HIDDEN if value else value
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Message):
        return message_shown(value)
    if isinstance(value, Mapping):
        return {key: shown(item, str(key)) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, Sequence):
        return [shown(item) for item in value]
    return redacted(repr(value))


def message_shown(message: Message) -> Any:
    """Return a message as JSON has it, without the values of fields that are marked `debug_redact`.

    What an `Any` holds is left out: its type may be marked, and need not be known here.
    """
    if has_marks(message.DESCRIPTOR):
        copy = type(message)()
        copy.CopyFrom(message)
        _clear(copy)
        message = copy
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


@lru_cache(maxsize=4096)
def has_marks(descriptor: Descriptor) -> bool:
    """Tell whether a message of this type may hold a value that is marked."""
    return any(map(is_marked, _fields(descriptor, set())))


def is_marked(field: FieldDescriptor) -> bool:
    """Tell whether the proto says `debug_redact = true`, or leaves open what the field may hold."""
    is_open = field.message_type is not None and field.message_type.full_name == _ANY
    return is_open or bool(field.GetOptions().debug_redact)


def _fields(descriptor: Descriptor, known: set[str]) -> Sequence[FieldDescriptor]:
    """Return the fields of a type and of all that it holds."""
    if descriptor.full_name in known:
        return []
    known.add(descriptor.full_name)
    fields = list(descriptor.fields)
    for field in descriptor.fields:
        if field.message_type is not None:
            fields += _fields(field.message_type, known)
    return fields


def _clear(message: Message) -> None:
    for field, value in message.ListFields():
        if is_marked(field):
            _hide(message, field)
        elif field.message_type is not None and has_marks(field.message_type):
            for held in _held(field, value):
                _clear(held)


def _hide(message: Message, field: FieldDescriptor) -> None:
    message.ClearField(field.name)
    if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
        setattr(message, field.name, HIDDEN)  # so that the reader sees that there was something


def _held(field: FieldDescriptor, value: Any) -> Sequence[Message]:
    """Return the messages of a field: one, several, or the values of a map."""
    if not field.is_repeated:
        return [value]
    held = value.values() if isinstance(value, Mapping) or hasattr(value, "values") else value
    return [one for one in held if isinstance(one, Message)]
