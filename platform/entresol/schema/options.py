"""The options the loader reads, by name and as the model's own values."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from entresol.schema.model import Behavior
from entresol.schema.paths import Binding
from entresol.schema.source import Source

RESOURCE = "google.api.resource"
RESOURCE_DEFINITION = "google.api.resource_definition"
REFERENCE = "google.api.resource_reference"
BEHAVIOR = "google.api.field_behavior"
INFO = "google.api.field_info"
HTTP = "google.api.http"
OPERATION = "google.longrunning.operation_info"
STORAGE = "entresol.options.v1.resource"
FIELD = "entresol.options.v1.field"
METHOD = "entresol.options.v1.method"

UUID4 = 1  # google.api.FieldInfo.Format
DECLARATIVE_FRIENDLY = 1  # google.api.ResourceDescriptor.Style
_BEHAVIORS = {behavior.value: behavior for behavior in Behavior}
_Choice = TypeVar("_Choice", bound=enum.IntEnum)
_VERBS = ("get", "put", "post", "delete", "patch")


def behaviors(source: Source, field: FieldDescriptor) -> frozenset[Behavior]:
    """Return the field's behaviours; numbers the platform does not know are left out."""
    numbers = source.option(field, BEHAVIOR) or ()
    return frozenset(_BEHAVIORS[number] for number in numbers if number in _BEHAVIORS)


def is_uuid4(source: Source, field: FieldDescriptor) -> bool:
    """Tell whether the field is annotated as a UUID of version 4."""
    info = source.option(field, INFO)
    return info is not None and info.format == UUID4


def is_choice(kind: type[enum.IntEnum], number: int) -> bool:
    """Tell whether the number is unset or one that the platform knows; protoc lets any other pass."""
    return number == 0 or number in list(kind)


def choice(kind: type[_Choice], number: int, default: _Choice) -> _Choice:
    """Return the member of this number; the default when it is unset or unknown."""
    return kind(number) if number and is_choice(kind, number) else default


def bindings(source: Source, method: MethodDescriptor) -> tuple[Binding, ...]:
    """Return the method's HTTP bindings, the main one first; empty when it has none."""
    rule = source.option(method, HTTP)
    return () if rule is None else tuple(_bindings(rule))


def _bindings(rule: Any) -> Iterator[Binding]:
    yield _binding(rule, nested=False)
    for additional in rule.additional_bindings:
        yield _binding(additional, nested=bool(additional.additional_bindings))


def _binding(rule: Any, *, nested: bool) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind in _VERBS:
        return Binding(kind.upper(), getattr(rule, kind), rule.body, nested)
    return Binding(rule.custom.kind, rule.custom.path, rule.body, nested)
