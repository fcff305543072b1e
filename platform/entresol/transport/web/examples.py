"""Examples of request bodies as JSON: what is required has a value to replace, all else is null, as if left out.

In a PATCH, null clears, so there all else is left out; where nothing is required, the first field has a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema.masks import UNWRITABLE
from entresol.schema.model import Behavior, Kind, Method, MethodKind, Model
from entresol.schema.paths import Binding, variables
from entresol.schema.shapes import behaviors_of, reference_of, shape_of

_VALUES: Mapping[Kind, Any] = {
    Kind.BYTES: "ZXhhbXBsZQ==",
    Kind.BOOL: True,
    Kind.INT: 1,
    Kind.FLOAT: 1,
    Kind.DOUBLE: 1,
    Kind.TIMESTAMP: "2026-01-01T00:00:00Z",
    Kind.DURATION: "1s",
}


def example(model: Model, method: Method, binding: Binding) -> dict[str, Any]:
    """Return a body for this way to call a method."""
    is_patch = method.kind is MethodKind.UPDATE
    fixed = {Behavior.IMMUTABLE} if is_patch else set()
    part = method.input.fields_by_name.get(binding.body)
    taken = {variable.field.partition(".")[0] for variable in variables(binding.path)}
    examples = _Examples(model, UNWRITABLE | fixed, sparse=is_patch)
    if part is None or part.message_type is None:
        return examples.message(method.input, taken)
    return examples.message(part.message_type)


class _Examples:
    def __init__(self, model: Model, unwanted: Set[Behavior], *, sparse: bool) -> None:
        self._model = model
        self._sparse = sparse
        self._unwanted = unwanted
        self._within: set[str] = set()

    def message(self, descriptor: Descriptor, taken: Set[str] = frozenset()) -> dict[str, Any]:
        if descriptor.full_name in self._within:  # it holds itself
            return {}
        self._within.add(descriptor.full_name)
        writable = [
            field
            for field in descriptor.fields
            if field.name not in taken and not behaviors_of(field) & self._unwanted
        ]
        required = [field for field in writable if Behavior.REQUIRED in behaviors_of(field)]
        shown = required or writable[:1] if self._sparse else writable
        found = {
            field.json_name: self._value(field) if self._sparse or field in required else None
            for field in shown
        }
        self._within.discard(descriptor.full_name)
        return found

    def _value(self, field: FieldDescriptor) -> Any:
        shape = shape_of(field)
        if shape.kind is Kind.MAP:
            return {}
        return [self._one(field)] if shape.repeated else self._one(field)

    def _one(self, field: FieldDescriptor) -> Any:
        shape = shape_of(field)
        if shape.kind is Kind.MESSAGE and shape.message is not None:
            own = not shape.message.full_name.startswith("google.protobuf.")
            return self.message(shape.message) if own else None
        if shape.kind is Kind.ENUM and shape.enum is not None:
            return next((value.name for value in shape.enum.values if value.number), None)
        if shape.kind is Kind.STRING:
            return self._name(field) or field.json_name
        return _VALUES[shape.kind]

    def _name(self, field: FieldDescriptor) -> str:
        """Return the pattern of the names that the field refers to: `users/{user}`; "" if they may be of any type."""
        type_, child_type = reference_of(field) or ("", "")
        found = self._model.resources.get(type_ or child_type)
        if found is None:
            return ""
        pattern = found.patterns[0].text
        return pattern if type_ else pattern.rpartition("/")[0].rpartition("/")[0]
