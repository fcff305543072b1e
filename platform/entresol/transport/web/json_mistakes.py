"""What is wrong with JSON that the codec refuses: every mistake at once, each with its field and the remedy.

What fits is asked of the codec itself, value by value, so nothing here says otherwise than it does. Whoever sends such
JSON was asked for nothing yet, so what is done for it is bounded by its length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from json import JSONDecodeError
from math import isinf
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.errors import Violation
from entresol.schema.checks import VIOLATIONS_MAX
from entresol.schema.columns import map_entry
from entresol.transport.remedies import NEAREST_MAX, expected, expected_message, is_object, no_field

BODY = "body"
_TEXT_MAX = 300
_KEY_MAX = 64
_BYTES_MAX = 32768  # of a text that is looked through
# The codec is asked about so many times the bytes of the text, or of a short one that is taken to be longer.
_ASKED_TIMES, _ASKED_LEAST = 20, 1024
_DIGITS_MAX = 400  # of a whole number: more than any field takes, and fewer than Python refuses to read
# What the codec's parser says of JSON with a number of more digits than it reads.
_OUT_OF_RANGE = "number out of range"
_COMPACT = (",", ":")
_OBJECT, _ARRAY = "must be an object", "must be an array"
_KEYS = {FieldDescriptor.TYPE_STRING: "", FieldDescriptor.TYPE_BOOL: "true"}

# Tells whether the codec reads a text as a message.
Accepts = Callable[[Descriptor, bytes], bool]


def mistakes(
    accepts: Accepts, descriptor: Descriptor, text: bytes, at: str, error: Exception
) -> list[Violation]:
    """Return what is wrong with a text that the codec refused with `error`; at most 100 things, at least one.

    `at` is the field of the request that the text is; "" when it is the whole request.
    """
    found: list[Violation] = []
    diagnosis = _Diagnosis(accepts, _ASKED_TIMES * max(len(text), _ASKED_LEAST), at)
    if _is_json(error) and len(text) <= _BYTES_MAX:
        try:
            value = json.loads(text, parse_int=_whole, parse_float=_finite)
            found.extend(islice(diagnosis.message(descriptor, value, at), VIOLATIONS_MAX))
        except JSONDecodeError as also:  # further on than what the codec stumbled over
            error = also
        except (UnicodeDecodeError, _SpentError):  # what was found until then is told
            pass
    if isinstance(error, JSONDecodeError) and not _is_json(error):
        told = f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        return [Violation(BODY, told)]
    told = f"is no JSON of {descriptor.full_name}: {str(error)[:_TEXT_MAX]}"
    return found or [Violation(diagnosis.reached or BODY, told)]


def _is_json(error: Exception) -> bool:
    return not isinstance(error, JSONDecodeError) or error.msg == _OUT_OF_RANGE


def _whole(digits: str) -> int:
    return int(digits[:_DIGITS_MAX])


def _finite(digits: str) -> float:
    """Return a number that can be written as JSON, unlike infinity, and is as much beyond what fields take."""
    number = float(digits)
    return 10**_DIGITS_MAX if isinf(number) else number


class _SpentError(Exception):
    """No more is asked of the codec for this text."""


@dataclass(slots=True)
class _Diagnosis:
    accepts: Accepts
    bytes_left: int  # that the codec may still be asked about
    reached: str  # the last field that did not fit
    nearest_left: int = NEAREST_MAX

    def message(self, descriptor: Descriptor, value: Any, at: str) -> Iterator[Violation]:
        """Yield what is wrong with the JSON of a message."""
        if not is_object(descriptor) or not isinstance(value, dict):
            yield Violation(at or BODY, expected_message(descriptor))
            return
        named = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
        for key, below in value.items():
            field = named.get(key)
            path = f"{at}." if at else ""
            if field is None:
                told = no_field(descriptor, key, nearest=self._may_look())
                yield Violation(path + _shown(key) or BODY, told, "UNKNOWN_FIELD")
            elif not self._fits(field, below):
                yield from self._field(field, below, path + field.name)

    def _field(self, field: FieldDescriptor, value: Any, at: str) -> Iterator[Violation]:
        """Yield what is wrong with a value that does not fit."""
        self.reached = at
        entry = map_entry(field)
        if entry is not None:
            yield from self._map(field, entry, value, at)
        elif field.is_repeated:
            yield from self._list(field, value, at)
        else:
            yield from self._one(field, value, at)

    def _list(self, field: FieldDescriptor, value: Any, at: str) -> Iterator[Violation]:
        if not isinstance(value, list):
            yield Violation(at, _ARRAY)
            return
        for index, one in self._unfit(field, list(enumerate(value)), _values):
            yield from self._one(field, one, f"{at}[{index}]")

    def _map(self, field: FieldDescriptor, entry: Descriptor, value: Any, at: str) -> Iterator[Violation]:
        if not isinstance(value, dict):
            yield Violation(at, _OBJECT)
            return
        keys, values = entry.fields
        for key, one in self._unfit(field, list(value.items()), dict):
            path = f"{at}[{json.dumps(_shown(key), ensure_ascii=False)}]"
            if self._fits(field, {_KEYS.get(keys.type, "0"): one}):
                yield Violation(path, f"its key {expected(keys)}")
            else:
                yield from self._one(values, one, path)

    def _one(self, field: FieldDescriptor, value: Any, at: str) -> Iterator[Violation]:
        if field.message_type is not None and is_object(field.message_type):
            yield from self.message(field.message_type, value, at)
        else:
            yield Violation(at, expected(field, value if self._may_look() else None))

    def _may_look(self) -> bool:
        """Allow a mistake to be told with the nearest name: the first few."""
        self.nearest_left -= 1
        return self.nearest_left >= 0

    def _unfit(
        self,
        field: FieldDescriptor,
        parts: Sequence[tuple[Any, Any]],
        whole: Callable[[Iterable[tuple[Any, Any]]], Any],
    ) -> Iterator[tuple[Any, Any]]:
        """Yield the parts that do not fit; halves are asked for, so that many that fit cost one question."""
        if self._fits(field, whole(parts)):
            return
        if len(parts) == 1:
            yield parts[0]
            return
        middle = len(parts) // 2
        yield from self._unfit(field, parts[:middle], whole)
        yield from self._unfit(field, parts[middle:], whole)

    def _fits(self, field: FieldDescriptor, value: Any) -> bool:
        holder: Any = field.containing_type
        text = json.dumps({field.json_name: value}, separators=_COMPACT).encode()
        self.bytes_left -= len(text)
        if self.bytes_left < 0:
            raise _SpentError
        return self.accepts(holder, text)


def _shown(key: str) -> str:
    """Return a key as an error may hold it: short, and text that can be encoded."""
    return key[:_KEY_MAX].encode(errors="replace").decode()


def _values(parts: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [value for _, value in parts]
