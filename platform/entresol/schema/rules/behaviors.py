"""Rule 11: every field a request may carry says whether it is required, optional or the server's (AIP-203)."""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema import options
from entresol.schema.model import Behavior
from entresol.schema.rules.scope import Scope, own_reachable, owner_of
from entresol.schema.source import is_own

_NEEDED = frozenset({Behavior.REQUIRED, Behavior.OPTIONAL, Behavior.OUTPUT_ONLY})


def check_behaviors(scope: Scope) -> None:
    """Report the fields of request messages, and of messages in them, that do not say."""
    for message in input_messages(scope).values():
        for field in message.fields:
            _field(scope, field)


def input_messages(scope: Scope) -> dict[str, Descriptor]:
    """Return the own messages that a caller may send, by full name."""
    found: dict[str, Descriptor] = {}
    for method in scope.methods:
        if is_own(method.input.file.name) and method.input.full_name not in found:
            found[method.input.full_name] = method.input
            found.update((message.full_name, message) for message in own_reachable(method.input))
    return found


def _field(scope: Scope, field: FieldDescriptor) -> None:
    behaviors = scope.behaviors(field)
    if 0 in (scope.source.option(field, options.BEHAVIOR) or ()):
        remedy = "say what it is: REQUIRED, OPTIONAL or OUTPUT_ONLY"
        scope.report.add(field, "AIP-203", "has the behaviour FIELD_BEHAVIOR_UNSPECIFIED", remedy)
    elif not behaviors & _NEEDED and not _is_exempt(scope, field, behaviors):
        remedy = "add (google.api.field_behavior) = OPTIONAL, REQUIRED or OUTPUT_ONLY"
        scope.report.add(field, "AIP-203", "says neither REQUIRED, OPTIONAL nor OUTPUT_ONLY", remedy)


def _is_exempt(scope: Scope, field: FieldDescriptor, behaviors: frozenset[Behavior]) -> bool:
    """Tell whether the field is an identifier, or the etag of a resource, which AIP-154 wants without any."""
    if owner_of(field) not in scope.by_message:
        return Behavior.IDENTIFIER in behaviors
    return Behavior.IDENTIFIER in behaviors or field.name == "etag"
