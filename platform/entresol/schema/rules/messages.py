"""Rule 13: repeated fields are plural, and no resource holds another one whole (AIP-144, AIP-122)."""

from __future__ import annotations

import re

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema.columns import is_map, map_entry
from entresol.schema.rules.behaviors import input_messages
from entresol.schema.rules.scope import Scope, message_of, own_reachable
from entresol.schema.source import is_own

# Plurals, and words without a singular, that do not end in s.
_PLURALS = re.compile(
    "alumni|children|criteria|data|deer|equipment|evidence|feedback|feet|fish|geese|genera|hardware|indices"
    "|information|media|(wo)?men|metadata|mice|music|offspring|oxen|people|phenomena|police|schemata|sheep"
    "|software|staff|strata|teeth"
)


def check_messages(scope: Scope) -> None:
    """Report fields that cannot be as they are: singular and repeated, another resource, or proto2's `required`."""
    for message in _used_messages(scope).values():
        for field in message.fields:
            if field.is_required:
                remedy = "write optional, and mark it with the behaviour REQUIRED"
                scope.report.add(field, "entresol/field", "is required in proto2's way", remedy)
            if field.is_repeated and not is_map(field) and not _is_plural(field.name):
                remedy = "name the field by what it holds many of"
                scope.report.add(field, "AIP-144", "is repeated and its name is not plural", remedy)
    for resource in scope.resources:
        message = message_of(resource)
        for inner in (message, *own_reachable(message)):
            # What stands inside an embedded resource is that resource's own mistake.
            if inner is message or inner.full_name not in scope.by_message:
                _embedded(scope, inner)


def _embedded(scope: Scope, message: Descriptor) -> None:
    for field in message.fields:
        held = _held_message(field)
        if held is not None and held.full_name in scope.by_message:
            kind = scope.by_message[held.full_name].type
            remedy = "hold its name: a string with (google.api.resource_reference)"
            scope.report.add(field, "AIP-144", f"holds the resource {kind!r} itself", remedy)


def _held_message(field: FieldDescriptor) -> Descriptor | None:
    entry = map_entry(field)
    return field.message_type if entry is None else entry.fields_by_name["value"].message_type


def _used_messages(scope: Scope) -> dict[str, Descriptor]:
    used = dict(input_messages(scope))
    tops = [method.output for method in scope.methods] + [message_of(one) for one in scope.resources]
    for message in tops:
        if is_own(message.file.name) and message.full_name not in used:
            used[message.full_name] = message
            used.update((inner.full_name, inner) for inner in own_reachable(message))
    return used


def _is_plural(name: str) -> bool:
    last = name.rpartition("_")[2].rstrip("0123456789")
    return _PLURALS.fullmatch(last) is not None or (last.endswith("s") and not last.endswith("ss"))
