"""The check of a message, compiled once a message type: what is required, unknown, and what each value must be."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from entresol.errors import Violation
from entresol.schema import check_names, check_values
from entresol.schema.check_values import Leaf
from entresol.schema.mask_tree import EVERY, NOTHING, WHOLE, Mask
from entresol.schema.model import UNWRITABLE, Behavior, Kind, Model
from entresol.schema.shapes import Shape, behaviors_of, is_uuid4, reference_of, shape_of

# Judges a value and appends what is wrong: value, path, the mask that covers it, violations.
Rule: TypeAlias = Callable[[Any, str, Mask, list[Violation]], None]
_MASK = "google.protobuf.FieldMask"
_JSON_FORMS = frozenset(
    {_MASK, *(f"google.protobuf.{name}" for name in ("Any", "Struct", "Value", "ListValue"))}
)
_SIZES = frozenset({"page_size", "skip"})
REQUIRED = "is required; give it a value"
_KEY_SHOWN_MAX = 40


@dataclass(slots=True)
class MessageCheck:
    """The rules of one message type: tests for absence of the required fields, and judges by field number."""

    required: list[tuple[str, Callable[[Message], bool]]] = field(default_factory=list)
    rules: dict[int, tuple[str, Rule]] = field(default_factory=dict)

    def check(self, message: Message, prefix: str, mask: Mask, found: list[Violation]) -> None:
        """Append what is wrong with what the mask covers; `prefix` is "" or ends with a dot."""
        for name, is_missing in self.required:
            if (part := mask.at(name)) is not None and part.whole and is_missing(message):
                found.append(Violation(prefix + name, REQUIRED, "REQUIRED"))
        for descriptor, value in message.ListFields():
            entry = self.rules.get(descriptor.number)
            if entry is not None and (part := mask.at(entry[0])) is not None:
                entry[1](value, prefix + entry[0], part, found)
        if len(unknown := UnknownFieldSet(message)):
            found.append(_unknown(prefix, unknown, message))


def _unknown(prefix: str, unknown: Any, message: Message) -> Violation:
    numbers = sorted({one.field_number for one in unknown})
    shown = ", ".join(map(str, numbers[:10]))
    text = (
        f"{message.DESCRIPTOR.full_name} has no fields with the numbers {shown}; the caller's proto is newer"
    )
    return Violation(prefix.removesuffix(".") or "request", text, "UNKNOWN_FIELD")


class Compiler:
    """Compiles checks of messages; nested types once each, so that types may contain themselves."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[str, MessageCheck] = {}
        self._json = check_values.json_of(model.pool)

    def request(self, descriptor: Descriptor, *, wildcard: bool) -> MessageCheck:
        """Return the check of a request; `wildcard` allows `-` in its own `parent`."""
        check = MessageCheck()
        self._fill(check, descriptor, wildcard=wildcard)
        for one in descriptor.fields:
            if one.name in _SIZES and shape_of(one).kind is Kind.INT:
                check.rules[one.number] = (one.name, _of_leaves([check_values.page_size]))
            elif one.message_type is not None and one.message_type.full_name == _MASK:
                del check.rules[
                    one.number
                ]  # masks of requests are never stored, and have odd keys as they like
        return check

    def message(self, descriptor: Descriptor) -> MessageCheck:
        """Return the check of any other message."""
        if descriptor.full_name not in self._known:
            self._known[descriptor.full_name] = check = MessageCheck()
            self._fill(check, descriptor, wildcard=False)
        return self._known[descriptor.full_name]

    def _fill(self, check: MessageCheck, message: Descriptor, *, wildcard: bool) -> None:
        for one in message.fields:
            behaviors = behaviors_of(one)
            if Behavior.REQUIRED in behaviors and not behaviors & UNWRITABLE:
                check.required.append((one.name, _absence(one)))
            rule = self._rule(one, wildcard=wildcard and one.name == "parent")
            if rule is not None:
                check.rules[one.number] = (one.name, rule)

    def _rule(self, one: FieldDescriptor, *, wildcard: bool) -> Rule | None:
        shape = shape_of(one)
        if shape.kind is Kind.MAP:
            return self._map_rule(shape)
        rule = self._value_rule(one, shape, wildcard=wildcard)
        return _of_each(rule) if rule is not None and shape.repeated else rule

    def _map_rule(self, shape: Shape) -> Rule | None:
        assert shape.key is not None
        assert shape.value is not None
        rule = self._value_rule(shape.value, shape_of(shape.value), wildcard=False)
        return _of_entries(check_values.text if shape_of(shape.key).kind is Kind.STRING else None, rule)

    def _value_rule(self, one: FieldDescriptor, shape: Shape, *, wildcard: bool) -> Rule | None:
        if (
            shape.kind is Kind.MESSAGE
            and shape.message is not None
            and shape.message.full_name not in _JSON_FORMS
        ):
            return _of_message(self.message(shape.message))
        leaves = self._leaves(one, shape, wildcard=wildcard)
        return _of_leaves(leaves) if leaves else None

    def _leaves(self, one: FieldDescriptor, shape: Shape, *, wildcard: bool) -> list[Leaf]:
        match shape.kind:
            case Kind.MESSAGE:
                return [self._json]
            case Kind.TIMESTAMP:
                return [check_values.timestamp]
            case Kind.DURATION:
                return [check_values.duration]
            case Kind.STRING if one.message_type is not None:
                return [check_values.wrapped_text]
            case Kind.STRING:
                return [check_values.text, *self._annotated(one, wildcard=wildcard)]
        return []

    def _annotated(self, one: FieldDescriptor, *, wildcard: bool) -> list[Leaf]:
        leaves: list[Leaf] = [check_values.uuid4] if is_uuid4(one) else []
        if (refers := reference_of(one)) is not None:
            leaves.append(check_names.reference(self._model, *refers, wildcard=wildcard))
        return leaves


def _absence(one: FieldDescriptor) -> Callable[[Message], bool]:
    """Return the test whether a required field has no value (AIP-203): not set, zero, or a message of nothing."""
    name, shape = one.name, shape_of(one)
    if not shape.presence:
        return lambda message: not getattr(message, name)
    if shape.kind is Kind.MESSAGE:
        return lambda message: not message.HasField(name) or not is_truthy(getattr(message, name))
    return lambda message: not message.HasField(name)


def is_truthy(message: Message) -> bool:
    """Tell whether a message has a field with a value, at any depth."""
    for one, value in message.ListFields():
        shape = shape_of(one)
        if shape.kind is not Kind.MESSAGE or shape.repeated or is_truthy(value):
            return True
    return False


def _of_leaves(leaves: list[Leaf]) -> Rule:
    def rule(value: Any, path: str, mask: Mask, found: list[Violation]) -> None:
        for leaf in leaves:
            if (problem := leaf(value)) is not None:
                found.append(Violation(path, problem.description, problem.reason))
                return

    return rule


def _of_message(check: MessageCheck) -> Rule:
    def rule(value: Message, path: str, mask: Mask, found: list[Violation]) -> None:
        check.check(value, f"{path}.", mask, found)

    return rule


def _of_each(rule: Rule) -> Rule:
    def rule_of_list(values: Any, path: str, mask: Mask, found: list[Violation]) -> None:
        below = WHOLE if mask.whole else mask.at(EVERY) or NOTHING
        for index, value in enumerate(values):
            rule(value, f"{path}[{index}]", below, found)

    return rule_of_list


def _of_entries(key_leaf: Leaf | None, rule: Rule | None) -> Rule | None:
    if key_leaf is None and rule is None:
        return None

    def rule_of_map(entries: Any, path: str, mask: Mask, found: list[Violation]) -> None:
        for key in entries:
            place = f"{path}[{key_shown(key)}]"
            if key_leaf is not None and (problem := key_leaf(key)) is not None:
                found.append(Violation(place, f"the key {problem.description}", problem.reason))
            below = mask.at(str(key).lower() if isinstance(key, bool) else str(key))
            if rule is not None and below is not None:
                rule(entries[key], place, below, found)

    return rule_of_map


def key_shown(key: object) -> str:
    """Return a key as field paths spell it: strings in quotes, cut to a readable length."""
    return json.dumps(key[:_KEY_SHOWN_MAX] if isinstance(key, str) else key, ensure_ascii=False)
