"""What single values must be so that they can be stored and come back exactly as they were given."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from google.protobuf import json_format
from google.protobuf.descriptor_pool import DescriptorPool

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME_S_MIN, _TIME_S_MAX = -62_135_596_800, 253_402_300_799  # years 1 to 9999
_DURATION_S_MAX = 315_576_000_000  # 10,000 years
_NANOS_MAX = 999_999_999
_NUL = "\0"


class Problem(NamedTuple):
    """What is wrong with a value, and the reason that programs read."""

    description: str
    reason: str = "INVALID_VALUE"


Leaf: TypeAlias = Callable[[Any], Problem | None]

_NUL_PROBLEM = Problem("holds the character U+0000, which cannot be stored; remove it")
_FINER = Problem("is finer than a microsecond; round it")
_NO_TIME = Problem("is no time between the years 1 and 9999", "OUT_OF_RANGE")
_NO_DURATION = Problem(
    "is no duration of at most 10,000 years, with seconds and nanos of one sign", "OUT_OF_RANGE"
)


def text(value: str) -> Problem | None:
    """Judge any text."""
    return _NUL_PROBLEM if _NUL in value else None


def wrapped_text(value: Any) -> Problem | None:
    """Judge a `google.protobuf.StringValue`."""
    return text(value.value)


def timestamp(value: Any) -> Problem | None:
    """Judge a `google.protobuf.Timestamp`."""
    if not (_TIME_S_MIN <= value.seconds <= _TIME_S_MAX and 0 <= value.nanos <= _NANOS_MAX):
        return _NO_TIME
    return _FINER if value.nanos % 1000 else None


def duration(value: Any) -> Problem | None:
    """Judge a `google.protobuf.Duration`."""
    seconds, nanos = value.seconds, value.nanos
    if abs(seconds) > _DURATION_S_MAX or abs(nanos) > _NANOS_MAX or seconds * nanos < 0:
        return _NO_DURATION
    return _FINER if nanos % 1000 else None


def uuid4(value: str) -> Problem | None:
    """Judge a field annotated as UUID4; "" is not set."""
    if not value or _UUID4.fullmatch(value):
        return None
    return Problem("must be a UUID of version 4, such as 6f1c0a52-5d8e-4b77-9c3a-0f2d4e6b8a10")


def page_size(value: int) -> Problem | None:
    """Judge a page size or a number of resources to skip."""
    return Problem("must not be negative; 0 asks for the default", "OUT_OF_RANGE") if value < 0 else None


def json_of(pool: DescriptorPool) -> Leaf:
    """Return the judge of values whose JSON depends on what they hold: Any, Struct, Value, FieldMask."""

    def judge(value: Any) -> Problem | None:
        try:
            written = json_format.MessageToDict(value, descriptor_pool=pool)
        except (json_format.Error, ValueError, TypeError, KeyError, RecursionError):
            return Problem(f"cannot be written as JSON, as {value.DESCRIPTOR.full_name} must be to be stored")
        return _NUL_PROBLEM if _holds_nul(written) else None

    return judge


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return _NUL in value
    if isinstance(value, dict):
        return any(_NUL in key or _holds_nul(below) for key, below in value.items())
    return isinstance(value, list) and any(map(_holds_nul, value))
