"""Rules 5, 8, 10, 16 and 31: the name, and the other fields whose meaning every API shares (AIP-148)."""

from __future__ import annotations

from google.protobuf.descriptor import FieldDescriptor

from entresol.schema import options
from entresol.schema.fields import expected_kind
from entresol.schema.model import Behavior, Field, Resource, Role
from entresol.schema.resources import snake
from entresol.schema.rules.scope import Scope, message_of, owner_of
from entresol.schema.spelling import type_name

_SERVER_SET = frozenset({"uid", "create_time", "update_time", "delete_time", "purge_time"})
_ANNOTATIONS = "map<string, string>"
_EFFECTIVE = "effective_"


def check_standard_fields(scope: Scope) -> None:
    """Report standard fields with another meaning, in resources; IDENTIFIER anywhere but on a name."""
    for resource in scope.resources:
        _name(scope, resource)
        for field in resource.fields:
            _kind(scope, field)
            _etag(scope, field)
            _id(scope, resource, field)
            _display_name(scope, resource, field)
            _annotations(scope, field)
            _effective(scope, resource, field)
    _identifiers(scope)


def _name(scope: Scope, resource: Resource) -> None:
    message, field = message_of(resource), resource.by_name.get("name")
    if scope.annotation(resource).name_field not in ("", "name"):
        scope.report.add(
            message, "AIP-122", "keeps its name in another field", "drop name_field", option=options.RESOURCE
        )
    if field is None:
        remedy = "add: string name = 1 [(google.api.field_behavior) = IDENTIFIER];"
        scope.report.add(message, "AIP-122", "has no field 'name'", remedy)
        return
    if field.number != 1:
        scope.report.add(field.descriptor, "AIP-122", f"is field {field.number}", "make it field 1")
    if Behavior.IDENTIFIER not in field.behaviors:
        remedy = "add (google.api.field_behavior) = IDENTIFIER"
        scope.report.add(field.descriptor, "AIP-203", "is not marked as the identifier", remedy)


def _kind(scope: Scope, field: Field) -> None:
    """Check the type of a standard field, and that the server sets what only it knows."""
    kind = expected_kind(field.name)
    if kind is None:
        return
    if field.role is None:
        wanted = "google.protobuf.Timestamp" if field.name.endswith("_time") else "string"
        problem = f"is {type_name(field.descriptor)}"
        scope.report.add(field.descriptor, "AIP-148", problem, f"make it {wanted}, or give it another name")
    if field.name in _SERVER_SET and not field.output_only:
        remedy = "add (google.api.field_behavior) = OUTPUT_ONLY"
        scope.report.add(field.descriptor, "AIP-148", "is set by the server and not OUTPUT_ONLY", remedy)
    if field.name == "uid" and not options.is_uuid4(scope.source, field.descriptor):
        remedy = "add (google.api.field_info).format = UUID4"
        scope.report.add(field.descriptor, "AIP-148", "is not marked as a UUID4", remedy)


def _etag(scope: Scope, field: Field) -> None:
    """Check that an etag may be sent and may be left out (AIP-154): one that is OUTPUT_ONLY would be cleared unread."""
    if field.role is not Role.ETAG:
        return
    # That no field but the name is an IDENTIFIER is a rule of its own.
    for behavior in sorted(
        field.behaviors - {Behavior.OPTIONAL, Behavior.IDENTIFIER}, key=lambda one: one.name
    ):
        problem = f"is an etag and {behavior.name}; callers send it back, or leave it out"
        scope.report.add(
            field.descriptor, "AIP-154", problem, "remove the behaviour", option=options.BEHAVIOR
        )


def _id(scope: Scope, resource: Resource, field: Field) -> None:
    if field.name == "self_link":
        scope.report.add(
            field.descriptor, "AIP-122", "is a second name", "remove it: 'name' is the identifier"
        )
    if field.name not in ("id", f"{snake(resource.singular)}_id"):
        return
    if type_name(field.descriptor) != "string":
        problem = f"is {type_name(field.descriptor)}"
        scope.report.add(field.descriptor, "AIP-122", problem, "make it a string, as every id is")
    if not field.output_only:
        remedy = "make it OUTPUT_ONLY; the caller gives the id in the Create request"
        scope.report.add(field.descriptor, "AIP-122", "is a second identifier that callers can set", remedy)


def _display_name(scope: Scope, resource: Resource, field: Field) -> None:
    if field.name != "display_name":
        return
    if type_name(field.descriptor) != "string":
        problem = f"is {type_name(field.descriptor)}"
        scope.report.add(field.descriptor, "AIP-148", problem, "make it a string")
    if field.immutable or field.output_only:
        remedy = "let callers change it, or give the field another name"
        scope.report.add(field.descriptor, "AIP-148", "cannot be changed by callers", remedy)
    unique = (index for index in resource.indexes if index.unique and field.column is not None)
    if any(field.column.name == column for index in unique for column, _ in index.columns if field.column):
        remedy = "drop the unique index; people may share a display name"
        scope.report.add(field.descriptor, "AIP-148", "must be unique", remedy)


def _annotations(scope: Scope, field: Field) -> None:
    if field.name == "annotations" and type_name(field.descriptor) != _ANNOTATIONS:
        problem = f"is {type_name(field.descriptor)}"
        remedy = f"make it {_ANNOTATIONS}, or give it another name"
        scope.report.add(field.descriptor, "AIP-148", problem, remedy)


def _effective(scope: Scope, resource: Resource, field: Field) -> None:
    """Check that `effective_x` is the server's word on `x` (AIP-129)."""
    plain = resource.by_name.get(field.name.removeprefix(_EFFECTIVE))
    if plain is None or plain is field:
        return
    if not field.output_only:
        scope.report.add(field.descriptor, "AIP-129", "is not OUTPUT_ONLY", "add OUTPUT_ONLY")
    if type_name(field.descriptor) != type_name(plain.descriptor):
        remedy = f"make it {type_name(plain.descriptor)}"
        scope.report.add(field.descriptor, "AIP-129", f"differs in type from {plain.name!r}", remedy)


def _identifiers(scope: Scope) -> None:
    for message in scope.source.messages():
        for field in message.fields:
            if Behavior.IDENTIFIER in scope.behaviors(field) and not _is_name(scope, field):
                remedy = "remove IDENTIFIER; only the field 'name' of a resource has it"
                scope.report.add(field, "AIP-203", "is marked as an identifier", remedy)


def _is_name(scope: Scope, field: FieldDescriptor) -> bool:
    return field.name == "name" and owner_of(field) in scope.by_message
