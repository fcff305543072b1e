"""References: what they name exists in the set, and what becomes of them on a delete can be kept."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from entresol.schema import options
from entresol.schema.columns import is_map
from entresol.schema.fields import ANY_TYPE
from entresol.schema.model import Behavior, OnDelete
from entresol.schema.rules.behaviors import input_messages
from entresol.schema.rules.scope import Scope, message_of, own_reachable
from entresol.schema.spelling import type_name

RULE = "entresol/reference"
_STRINGS = frozenset({"string", "repeated string", "google.protobuf.StringValue"})
_IGNORE = "add (entresol.options.v1.field).on_delete = ON_DELETE_IGNORE"


def check_references(scope: Scope) -> None:
    """Report references to unknown types, and `on_delete` where no foreign key can stand."""
    stored = {field.descriptor.full_name for one in scope.resources for field in one.fields}
    messages = {message_of(resource).full_name: message_of(resource) for resource in scope.resources}
    for resource in scope.resources:
        messages.update((inner.full_name, inner) for inner in own_reachable(message_of(resource)))
    messages.update(input_messages(scope))
    for message in messages.values():
        for field in message.fields:
            _field(scope, field, is_stored=field.full_name in stored)


def _field(scope: Scope, field: FieldDescriptor, *, is_stored: bool) -> None:
    annotation = scope.source.option(field, options.REFERENCE)
    storage = scope.source.option(field, options.FIELD)
    given = 0 if storage is None else storage.on_delete
    if given and (annotation is None or not is_stored):
        remedy = "give it to a field of the resource itself that has a resource_reference"
        scope.report.add(field, RULE, "has on_delete and no foreign key", remedy, option=options.FIELD)
    if not options.is_choice(OnDelete, given):
        remedy = "use a name of entresol/options/v1/options.proto"
        scope.report.add(field, RULE, f"on_delete {given} is unknown", remedy, option=options.FIELD)
    if annotation is None:
        return
    _annotation(scope, field, annotation)
    if is_stored:
        _stored(scope, field, annotation, given)
    else:
        _known(scope, field, annotation.type or annotation.child_type)


def _annotation(scope: Scope, field: FieldDescriptor, annotation: Any) -> None:
    if type_name(field) not in _STRINGS or is_map(field):
        problem = f"is {type_name(field)}"
        scope.report.add(field, "AIP-122", problem, "a reference is a string: the name of the other resource")
    if bool(annotation.type) == bool(annotation.child_type):
        remedy = "give one of them"
        problem = "has both type and child_type, or neither"
        scope.report.add(field, "AIP-4231", problem, remedy, option=options.REFERENCE)


def _known(scope: Scope, field: FieldDescriptor, kind: str) -> None:
    if kind and kind != ANY_TYPE and kind not in scope.by_type and kind not in scope.defined_types:
        remedy = "correct the type, import the file that has it, or name it with resource_definition"
        scope.report.add(field, RULE, f"refers to the unknown {kind!r}", remedy, option=options.REFERENCE)


def _stored(scope: Scope, field: FieldDescriptor, annotation: Any, on_delete: int) -> None:
    """Check a field that becomes a foreign key unless it says ON_DELETE_IGNORE."""
    if annotation.type == ANY_TYPE and on_delete in (0, OnDelete.IGNORE):
        return
    if on_delete == OnDelete.IGNORE:
        return
    obstacle = _obstacle(scope, field, annotation)
    if obstacle:
        scope.report.add(field, RULE, obstacle, _IGNORE, option=options.REFERENCE)
    elif on_delete == OnDelete.CLEAR and Behavior.REQUIRED in scope.behaviors(field):
        remedy = "make it OPTIONAL, or choose another on_delete"
        scope.report.add(field, RULE, "is REQUIRED and would be cleared", remedy, option=options.FIELD)


def _obstacle(scope: Scope, field: FieldDescriptor, annotation: Any) -> str:
    """Return why PostgreSQL cannot watch over this reference; "" when it can."""
    if annotation.type == ANY_TYPE:
        return "may refer to any resource, so no foreign key can stand on it"
    if annotation.child_type:
        return "refers to whatever has such children, so no foreign key can stand on it"
    if field.is_repeated:
        return "is a list of references, on which no foreign key can stand"
    if annotation.type and annotation.type not in scope.by_type:
        return f"refers to {annotation.type!r}, which is not kept here"
    return ""
