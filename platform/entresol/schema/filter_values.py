"""Literals of a filter to values that the database compares: typed by the field on the left (AIP-160)."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from google.protobuf.descriptor import EnumDescriptor

from entresol.errors import InvalidArgumentError
from entresol.schema.filter_ast import Value
from entresol.schema.filter_lexer import Token, fault
from entresol.schema.filter_parser import shown
from entresol.schema.model import Kind
from entresol.schema.shapes import Shape

_INTEGER = re.compile(r"-?[0-9]+")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"(-?[0-9]+(?:\.[0-9]{1,9})?)s")
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_FLOAT_MAX = 3.4028235677973366e38  # the least number that rounds to a 32-bit infinity
_DURATION_MAX_S = 315_576_000_000
_NAMES_MAX = 12


def convert(token: Token, shape: Shape, label: str, *, in_json: bool) -> Value:
    """Return the value of `token` as the field `label` keeps it.

    Raises:
        InvalidArgumentError: the literal has another type, or the field cannot hold the value.
    """
    expected, read = _EXPECTED[shape.kind], _READERS[shape.kind]
    value = read(token, shape)
    if value is None:
        raise _mismatch(token, label, expected(shape))
    if isinstance(value, str) and shape.enum is not None:
        return value if in_json else _enum_number(value, shape.enum)
    return value


def is_number(token: Token) -> bool:
    """Tell whether a literal, read without a type to go by, is a number."""
    return _double(token, Shape(Kind.DOUBLE)) is not None


def _mismatch(token: Token, label: str, expected: str) -> InvalidArgumentError:
    return fault(token.position, f"{label} is compared with {expected}, found {shown(token)}")


def _string(token: Token, shape: Shape) -> Value | None:
    return token.text


def _bool(token: Token, shape: Shape) -> Value | None:
    return None if token.quoted else {"true": True, "false": False}.get(token.text)


def _int(token: Token, shape: Shape) -> Value | None:
    if token.quoted or not _INTEGER.fullmatch(token.text):
        return None
    number = int(token.text)
    least, most = int_range(shape)
    return number if least <= number <= most else None


def int_range(shape: Shape) -> tuple[int, int]:
    """Return the least and the greatest value of an INT of this shape."""
    return (-(1 << shape.bits - 1), (1 << shape.bits - 1) - 1) if shape.signed else (0, (1 << shape.bits) - 1)


def _double(token: Token, shape: Shape) -> Value | None:
    if token.quoted or not _NUMBER.fullmatch(token.text):
        return None
    number = float(token.text)
    return number if math.isfinite(number) else None


def _float(token: Token, shape: Shape) -> Value | None:
    number = _double(token, shape)
    return number if isinstance(number, float) and abs(number) < _FLOAT_MAX else None


def _bytes(token: Token, shape: Shape) -> Value | None:
    text = token.text.replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _enum(token: Token, shape: Shape) -> Value | None:
    assert shape.enum is not None
    value = shape.enum.values_by_name.get(token.text)
    # Of several names for one number, the first is the one that ProtoJSON writes.
    return None if value is None else str(shape.enum.values_by_number[value.number].name)


def _enum_number(name: str, enum: EnumDescriptor) -> int:
    return int(enum.values_by_name[name].number)


def _duration(token: Token, shape: Shape) -> Value | None:
    match = _DURATION.fullmatch(token.text)
    if match is None:
        return None
    microseconds = Decimal(match[1]) * 1_000_000
    if abs(microseconds) > _DURATION_MAX_S * 1_000_000 or microseconds != int(microseconds):
        return None
    return timedelta(microseconds=int(microseconds))


def _timestamp(token: Token, shape: Shape) -> Value | None:
    match = _TIMESTAMP.fullmatch(token.text)
    if match is None:
        return None
    fraction = (match[3] or "").ljust(9, "0")
    if fraction[6:] != "000":
        return None
    offset = "+00:00" if match[4] in "Zz" else match[4]
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}.{fraction[:6]}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _enum_names(shape: Shape) -> str:
    assert shape.enum is not None
    names = [value.name for value in shape.enum.values]
    more = ", ..." if len(names) > _NAMES_MAX else ""
    return f"one of {', '.join(names[:_NAMES_MAX])}{more}"


def _int_text(shape: Shape) -> str:
    least, most = int_range(shape)
    return f"a whole number from {least} to {most}"


_READERS: dict[Kind, Callable[[Token, Shape], Value | None]] = {
    Kind.STRING: _string,
    Kind.BYTES: _bytes,
    Kind.BOOL: _bool,
    Kind.INT: _int,
    Kind.FLOAT: _float,
    Kind.DOUBLE: _double,
    Kind.ENUM: _enum,
    Kind.TIMESTAMP: _timestamp,
    Kind.DURATION: _duration,
}
_EXPECTED: dict[Kind, Callable[[Shape], str]] = {
    Kind.STRING: lambda shape: "text",
    Kind.BYTES: lambda shape: "base64",
    Kind.BOOL: lambda shape: "true or false",
    Kind.INT: _int_text,
    Kind.FLOAT: lambda shape: "a number such as 2.5 or 1e-3",
    Kind.DOUBLE: lambda shape: "a number such as 2.5 or 1e-3",
    Kind.ENUM: _enum_names,
    Kind.TIMESTAMP: lambda shape: (
        "an RFC 3339 time such as 2030-04-21T11:30:00-04:00, in microseconds at the finest"
    ),
    Kind.DURATION: lambda shape: "seconds such as 1.5s, in microseconds at the finest",
}
