"""What is wrong with JSON that the codec refuses: every mistake at once, each with its field and the remedy.

What fits is asked of the codec itself, value by value, so nothing here says otherwise than it does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from json import JSONDecodeError
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.errors import Violation
from entresol.schema.checks import VIOLATIONS_MAX
from entresol.schema.columns import map_entry
from entresol.transport.remedies import expected, expected_message, is_object, no_field

BODY = "body"
_TEXT_MAX = 300
_KEY_MAX = 64
_BYTES_MAX = 32768  # of a text that is looked through: it takes up to twenty times as long as to read it
_OBJECT, _ARRAY = "must be an object", "must be an array"
_KEYS = {FieldDescriptor.TYPE_STRING: "", FieldDescriptor.TYPE_BOOL: "true"}

# Tells whether the codec reads an object as a message.
Accepts = Callable[[Descriptor, Mapping[str, Any]], bool]


def mistakes(
    accepts: Accepts, descriptor: Descriptor, text: bytes, at: str, error: Exception
) -> list[Violation]:
    """Return what is wrong with a text that the codec refused with `error`; at most 100 things, at least one.

    `at` is the field of the request that the text is; "" when it is the whole request.
    """
    found: list[Violation] = []
    if not isinstance(error, JSONDecodeError) and len(text) <= _BYTES_MAX:
        try:
            found = list(
                islice(_Diagnosis(accepts).message(descriptor, json.loads(text), at), VIOLATIONS_MAX)
            )
        except JSONDecodeError as also:  # further on than what the codec stumbled over
            error = also
        except ValueError:  # a number of thousands of digits
            pass
    if isinstance(error, JSONDecodeError):
        told = f"is no JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        return [Violation(BODY, told)]
    return found or [Violation(at or BODY, f"is no JSON of {descriptor.full_name}: {str(error)[:_TEXT_MAX]}")]


@dataclass(frozen=True, slots=True)
class _Diagnosis:
    accepts: Accepts

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
                yield Violation(path + _shown(key) or BODY, no_field(descriptor, key), "UNKNOWN_FIELD")
            elif not self._fits(field, below):
                yield from self._field(field, below, path + field.name)

    def _field(self, field: FieldDescriptor, value: Any, at: str) -> Iterator[Violation]:
        """Yield what is wrong with a value that does not fit."""
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
            yield Violation(at, expected(field, value))

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
        return self.accepts(holder, {field.json_name: value})


def _shown(key: str) -> str:
    """Return a key as an error may hold it: short, and text that can be encoded."""
    return key[:_KEY_MAX].encode(errors="replace").decode()


def _values(parts: Iterable[tuple[Any, Any]]) -> list[Any]:
    return [value for _, value in parts]
