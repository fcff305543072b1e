"""Fields that one side may not send: what callers set for the server, and what the server keeps from callers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from entresol.schema.model import Behavior, Kind
from entresol.schema.shapes import behaviors_of, descriptor_of, holds, shape_of


@dataclass(frozen=True, slots=True)
class _Plan:
    """The fields of one message type to clear, and those to look into, by the way they hold messages."""

    clear: tuple[str, ...]
    single: tuple[str, ...]
    lists: tuple[str, ...]
    maps: tuple[str, ...]


def clear_output_only(message: Message) -> None:
    """Clear, at any depth, what only the server sets (AIP-203): it is ignored in requests, never an error."""
    _clear(message, Behavior.OUTPUT_ONLY)


def clear_input_only(message: Message) -> None:
    """Clear, at any depth, what is accepted but never returned (AIP-203)."""
    _clear(message, Behavior.INPUT_ONLY)


def _clear(message: Message, behavior: Behavior) -> None:
    plan = _plan(descriptor_of(message), behavior)
    for name in plan.clear:
        message.ClearField(name)
    for name in plan.single:
        if message.HasField(name):
            _clear(getattr(message, name), behavior)
    for name in plan.lists:
        _clear_all(getattr(message, name), behavior)
    for name in plan.maps:
        _clear_all(getattr(message, name).values(), behavior)


def _clear_all(messages: Iterable[Any], behavior: Behavior) -> None:
    for message in messages:
        _clear(message, behavior)


@lru_cache(maxsize=4096)
def _plan(message: Descriptor, behavior: Behavior) -> _Plan:
    own = [field for field in message.fields if behavior in behaviors_of(field)]
    below = [field for field in message.fields if field not in own and _holds_below(field, behavior)]
    maps = [field for field in below if shape_of(field).kind is Kind.MAP]
    lists = [field for field in below if field not in maps and shape_of(field).repeated]
    single = [field for field in below if field not in maps and field not in lists]
    return _Plan(_names(own), _names(single), _names(lists), _names(maps))


def _holds_below(field: FieldDescriptor, behavior: Behavior) -> bool:
    return field.message_type is not None and holds(field.message_type, behavior)


def _names(fields: list[FieldDescriptor]) -> tuple[str, ...]:
    return tuple(field.name for field in fields)
