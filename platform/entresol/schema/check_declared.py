"""The rules that protos declare with `buf.validate`: run only for messages that have any, and only where asked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import protovalidate
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from entresol.errors import ConfigurationError, Violation
from entresol.schema.check_walk import key_shown
from entresol.schema.mask_tree import EVERY, Mask
from entresol.schema.model import UNWRITABLE
from entresol.schema.shapes import behaviors_of, descriptor_of, messages_below, shape_of

# Tag of field 1159, which buf.validate has in the options of messages, oneofs and fields. Options that hold these
# two bytes by chance cost a call that finds nothing.
_TAG = b"\xbaH"
_REASON = "RULE_VIOLATED"


class DeclaredRules:
    """The `buf.validate` rules of one message type and of all below it.

    Raises:
        ConfigurationError: a rule cannot be compiled.
    """

    def __init__(self, message_class: type[Message], pool: DescriptorPool) -> None:
        descriptor: Any = message_class.DESCRIPTOR
        self._validator = _validator(pool) if any(map(_declares, messages_below(descriptor))) else None
        # Whether some rules are about several fields of the message itself.
        self.over_fields = any(map(_has_rules, (descriptor, *descriptor.oneofs)))
        try:
            self.violations(message_class(), Mask())
        except protovalidate.CompilationError as error:
            raise ConfigurationError(
                f"{descriptor.full_name}: a buf.validate rule cannot work: {error}"
            ) from error

    @property
    def active(self) -> bool:
        """Whether there are rules at all."""
        return self._validator is not None

    def violations(self, message: Message, mask: Mask) -> list[Violation]:
        """Return the broken rules of what the mask covers; rules over several fields need all of them covered."""
        return [found.violation for found in self._found(message) if mask.whole or _covers(mask, found.names)]

    def merged_violations(self, message: Message, mask: Mask) -> list[Violation]:
        """Return the broken rules of what the mask touches, and those over several fields."""
        return [
            found.violation
            for found in self._found(message)
            if not found.names or _touches(mask, found.names)
        ]

    def _found(self, message: Message) -> list[_Found]:
        if self._validator is None:
            return []
        try:
            found = [one.proto for one in self._validator.collect_violations(message)]
        except protovalidate.EvaluationError:
            return [
                _Found((), Violation("request", "a declared rule has no result for these values", _REASON))
            ]
        descriptor = descriptor_of(message)
        return [_read(proto) for proto in found if not _of_the_server(proto, descriptor)]


@dataclass(frozen=True, slots=True)
class _Found:
    """A broken rule, with the names on the way to what breaks it; none for the message as a whole."""

    names: tuple[str, ...]
    violation: Violation


@lru_cache(maxsize=8)
def _validator(pool: DescriptorPool) -> protovalidate.Validator:
    """Return the one validator of a pool: it remembers rules by the names of messages, which other pools share."""
    return protovalidate.Validator()


def _declares(message: Descriptor) -> bool:
    return any(map(_has_rules, (message, *message.fields, *message.oneofs)))


def _has_rules(element: Any) -> bool:
    return element.has_options and _TAG in element.GetOptions().SerializeToString()


def _read(proto: Any) -> _Found:
    names: list[str] = []
    path = ""
    for element in proto.field.elements if proto.field is not None else ():
        names.append(element.field_name)
        path += f".{element.field_name}" if path else element.field_name
        if element.subscript is not None:
            is_list = element.subscript.field == "index"
            names.append(EVERY if is_list else _key(element.subscript.value))
            path += f"[{element.subscript.value if is_list else key_shown(element.subscript.value)}]"
    return _Found(tuple(names), Violation(path or "request", proto.message or proto.rule_id, _REASON))


def _of_the_server(proto: Any, message: Descriptor | None) -> bool:
    """Tell whether the rule is on something that callers do not write: its absence is no fault of theirs."""
    for element in proto.field.elements if proto.field is not None else ():
        field = message.fields_by_name.get(element.field_name) if message is not None else None
        if field is None:
            return False
        if behaviors_of(field) & UNWRITABLE:
            return True
        value = shape_of(field).value
        message = field.message_type if value is None else value.message_type
    return False


def _key(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _covers(mask: Mask, names: Sequence[str]) -> bool:
    part: Mask | None = mask
    for name in names:
        part = None if part is None else part.at(name)
    return part is not None and part.whole


def _touches(mask: Mask, names: Sequence[str]) -> bool:
    part: Mask | None = mask
    for name in names:
        part = None if part is None else part.at(name)
    return part is not None
