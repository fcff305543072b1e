"""Changes of messages, fields and enums that break callers."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from entresol.schema import options
from entresol.schema.breaking.comparison import RULE, Comparison
from entresol.schema.fields import oneof_of
from entresol.schema.model import Behavior, Model
from entresol.schema.revisions import reachable
from entresol.schema.spelling import type_name

_ADDED = (Behavior.REQUIRED, Behavior.IMMUTABLE, Behavior.INPUT_ONLY)
_REMOVED = (Behavior.OUTPUT_ONLY, Behavior.IDENTIFIER)


def compare_messages(comparison: Comparison) -> None:
    """Report what became of messages and their fields."""
    inputs = set(_inputs(comparison.old_model))
    for old, new in comparison.kept(comparison.old.messages(), comparison.new.messages()):
        _message(comparison, old, new, is_input=old.full_name in inputs)


def compare_enums(comparison: Comparison) -> None:
    """Report values of enums that lost a name."""
    for old, new in comparison.kept(comparison.old.enums(), comparison.new.enums()):
        _enum(comparison, old, new)


def _inputs(model: Model) -> Iterator[str]:
    for method in model.methods.values():
        yield method.input.full_name
        yield from (message.full_name for message in reachable(method.input.fields))


def _message(comparison: Comparison, old: Descriptor, new: Descriptor, *, is_input: bool) -> None:
    for number, field in old.fields_by_number.items():
        if number not in new.fields_by_number:
            comparison.lost(field, f"field {number} was removed")
        else:
            _field(comparison, field, new.fields_by_number[number], is_input=is_input)
    for number, field in new.fields_by_number.items():
        required = Behavior.REQUIRED in options.behaviors(comparison.new, field)
        if number not in old.fields_by_number and required and is_input:
            comparison.report.add(field, RULE, "is new and REQUIRED", "make it OPTIONAL, with a default")


def _field(comparison: Comparison, old: FieldDescriptor, new: FieldDescriptor, *, is_input: bool) -> None:
    before = dict(_looks(old))
    for look, value in _looks(new):
        if value != before[look]:
            problem = f"{look} was {before[look]!r} and is {value!r}"
            comparison.report.add(new, RULE, problem, "undo the change, or add a field beside the old one")
    _behaviors(comparison, old, new, is_input=is_input)


def _looks(field: FieldDescriptor) -> Iterator[tuple[str, str]]:
    yield "its name", field.name
    yield "its type", type_name(field)
    yield "its JSON name", field.json_name
    yield "its oneof", oneof_of(field) or ""
    in_oneof = oneof_of(field) is not None  # which is told apart already
    yield "its presence", "explicit" if field.has_presence and not in_oneof else "implicit"


def _behaviors(comparison: Comparison, old: FieldDescriptor, new: FieldDescriptor, *, is_input: bool) -> None:
    before, after = options.behaviors(comparison.old, old), options.behaviors(comparison.new, new)
    added = [*_ADDED, Behavior.OUTPUT_ONLY] if is_input else _ADDED
    for behavior in added:
        if behavior in after - before:
            comparison.report.add(new, RULE, f"became {behavior.name}", f"remove {behavior.name}")
    for behavior in _REMOVED:
        if behavior in before - after:
            comparison.report.add(new, RULE, f"is no longer {behavior.name}", f"keep {behavior.name}")


def _enum(comparison: Comparison, old: EnumDescriptor, new: EnumDescriptor) -> None:
    kept = {(value.name, value.number) for value in new.values}
    for value in old.values:
        if (value.name, value.number) not in kept:
            problem = f"value {value.name} = {value.number} was removed, renamed or numbered anew"
            comparison.report.add(new, RULE, problem, "keep it, and mark it deprecated")
