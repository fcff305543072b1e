"""From a cell to a field: one function for each kind, exact or a CellError, never a near miss."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from entresol.schema.model import Field, Kind

Convert = Callable[[Any], Any]
Assign = Callable[[Any, Any], None]  # to a message, from a cell

_TRUE, _FALSE = ("true", "t", "yes", "1"), ("false", "f", "no", "0")
_INT = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(?:[Zz]|([+-])(\d\d):?(\d\d))?"
)
_DURATION = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]{1,9}))?s?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_FLOAT_MAX = 3.4028235677973366e38  # above it, the nearest 32-bit float is infinite
_SHOWN_MAX = 60
_ENUM_SHOWN_MAX = 12
_SEPARATOR = ";"


class CellError(ValueError):
    """A cell does not hold what its field needs; the text says what it should."""


def assign_of(field: Field) -> Assign:
    """Return what gives the field the value of a cell.

    It raises CellError; and ValueError, TypeError or ParseError when protobuf does not take the value.
    """
    if field.kind is Kind.MAP or (field.kind is Kind.MESSAGE and not field.wrapper):
        return _from_json(field)
    if field.repeated:
        return _list(field)
    name = field.name
    if field.kind is Kind.TIMESTAMP or field.kind is Kind.DURATION:
        parts = _timestamp if field.kind is Kind.TIMESTAMP else _duration

        def assign_parts(message: Any, cell: Any) -> None:
            target = getattr(message, name)
            target.seconds, target.nanos = parts(cell)

        return assign_parts
    convert = _converter(field)
    if field.wrapper:
        return lambda message, cell: setattr(getattr(message, name), "value", convert(cell))
    return lambda message, cell: setattr(message, name, convert(cell))


def text_of(cell: Any) -> str:
    """Return a cell as text: what NDJSON has as a number or truth value, as JSON writes it."""
    return cell if isinstance(cell, str) else json.dumps(cell)


def shown(cell: Any) -> str:
    """Return a cell for an error, cut to a readable length."""
    text = repr(cell[: _SHOWN_MAX + 1]) if isinstance(cell, str) else repr(cell)
    return text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}..."


def _from_json(field: Field) -> Assign:
    descriptor: Any = field.descriptor
    pool = descriptor.file.pool

    def assign(message: Any, cell: Any) -> None:
        value = _parsed(cell) if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "[") else cell
        try:
            ParseDict({field.name: value}, message, descriptor_pool=pool)
        except ParseError as error:
            raise CellError(f"is not the JSON of this field: {error}") from error

    return assign


def _parsed(cell: str) -> Any:
    try:
        return json.loads(cell)
    except (ValueError, RecursionError) as error:
        raise CellError(f"is not JSON: {error}") from error


def _list(field: Field) -> Assign:
    if field.kind is Kind.TIMESTAMP or field.kind is Kind.DURATION:
        parts = _timestamp if field.kind is Kind.TIMESTAMP else _duration

        def add(message: Any, cell: Any) -> None:
            for element in _elements(cell):
                seconds, nanos = parts(element)
                getattr(message, field.name).add(seconds=seconds, nanos=nanos)

        return add
    convert = _converter(field)
    if field.wrapper:

        def add_wrapped(message: Any, cell: Any) -> None:
            for element in _elements(cell):
                getattr(message, field.name).add(value=convert(element))

        return add_wrapped
    return lambda message, cell: getattr(message, field.name).extend(map(convert, _elements(cell)))


def _elements(cell: Any) -> list[Any]:
    """Return the elements of a JSON list, or of text with semicolons between them."""
    if isinstance(cell, str):
        if not cell.lstrip().startswith("["):
            return [part for part in cell.split(_SEPARATOR) if part]
        cell = _parsed(cell)
    return cell if isinstance(cell, list) else [cell]


def _converter(field: Field) -> Convert:
    match field.kind:
        case Kind.BYTES:
            return _bytes
        case Kind.BOOL:
            return _bool
        case Kind.INT:
            return _int
        case Kind.FLOAT:
            return _float
        case Kind.DOUBLE:
            return _double
        case Kind.ENUM:
            return _enum(field)
    return _string


def _string(cell: Any) -> str:
    if isinstance(cell, (list, dict)) or cell is None:
        raise CellError("is not text")
    return text_of(cell)


def _bytes(cell: Any) -> bytes:
    try:
        return base64.b64decode(str(cell).replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise CellError("is not base64") from error


def _bool(cell: Any) -> bool:
    text = str(cell).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise CellError("is neither true nor false")


def _int(cell: Any) -> int:
    if isinstance(cell, str):
        text = cell.strip()
        if _INT.fullmatch(text) and len(text) <= _SHOWN_MAX:
            return int(text)
    elif isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    elif isinstance(cell, float) and cell.is_integer():
        return int(cell)
    raise CellError("is not a whole number")


def _double(cell: Any) -> float:
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)) or "_" in str(cell):
        raise CellError("is not a number")
    try:
        return float(cell)
    except (ValueError, OverflowError) as error:
        raise CellError("is not a number") from error


def _float(cell: Any) -> float:
    number = _double(cell)
    if _FLOAT_MAX <= abs(number) < float("inf"):
        raise CellError("is too large for a 32-bit number")
    return number


def _enum(field: Field) -> Convert:
    assert field.enum is not None
    numbers = {value.name: value.number for value in field.enum.values}
    names = ", ".join(list(numbers)[:_ENUM_SHOWN_MAX])

    def convert(cell: Any) -> int:
        number = numbers.get(cell) if isinstance(cell, str) else None
        if number is not None:
            return number
        try:
            return _int(cell)
        except CellError as error:
            raise CellError(f"is none of {names}") from error

    return convert


def _timestamp(cell: Any) -> tuple[int, int]:
    """Return seconds and nanos of RFC 3339 text, or of seconds since 1970; a time without a zone is in UTC."""
    text = text_of(cell).strip()
    if _NUMBER.fullmatch(text):
        return _seconds(text)
    found = _TIME.fullmatch(text)
    if found is None:
        raise CellError("is no time; write 2016-08-04T11:52:00Z, or seconds since 1970")
    date, time, fraction, sign, hours, minutes = found.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time or '00:00'}").replace(tzinfo=UTC)
    except ValueError as error:
        raise CellError(f"is no time: {error}") from error
    offset_s = (int(hours) * 60 + int(minutes)) * (-60 if sign == "-" else 60) if sign else 0
    return (moment - _EPOCH) // _SECOND - offset_s, _nanos(fraction)


def _seconds(text: str) -> tuple[int, int]:
    nanos = Decimal(text) * 1_000_000_000
    if nanos != nanos.to_integral_value():
        raise CellError("is finer than a nanosecond")
    seconds, rest = divmod(int(nanos), 1_000_000_000)
    return seconds, rest


def _duration(cell: Any) -> tuple[int, int]:
    """Return seconds and nanos, both of one sign, of `1.5s` or `1.5`."""
    found = _DURATION.fullmatch(text_of(cell).strip())
    if found is None or len(found[2]) > _SHOWN_MAX:
        raise CellError("is no duration; write seconds, such as 1.5s")
    sign = -1 if found[1] == "-" else 1
    return sign * int(found[2]), sign * _nanos(found[3])


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0
