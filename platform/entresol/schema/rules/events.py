"""Events: records that are written once, by the server's ids, and that nothing else hangs on."""

from __future__ import annotations

from collections.abc import Iterator

from entresol.schema import options
from entresol.schema.model import Field, IdSource, MethodKind, OnDelete, Resource, Role
from entresol.schema.rules.scope import Scope, message_of
from entresol.schema.source import Element

_RULE = "entresol/events"
DAYS_MAX = 36_600
_CHANGES = (MethodKind.UPDATE, MethodKind.DELETE, MethodKind.UNDELETE)
_CHANGE_TIMES = (Role.UPDATE_TIME, Role.DELETE_TIME, Role.PURGE_TIME)


def check_events(scope: Scope) -> None:
    """Report what cannot be kept of records that are written once."""
    for resource in scope.resources:
        if resource.events is None:
            continue
        for problem, remedy in _problems(scope, resource):
            scope.report.add(message_of(resource), _RULE, problem, remedy, option=options.STORAGE)
        for element, problem, remedy in _elements(scope, resource):
            scope.report.add(element, _RULE, problem, remedy)


def _problems(scope: Scope, resource: Resource) -> Iterator[tuple[str, str]]:
    assert resource.events is not None
    if not 0 <= resource.events.kept_days <= DAYS_MAX:
        yield (
            f"events.kept_days is {resource.events.kept_days}",
            f"give 1 to {DAYS_MAX}, or none: all are kept",
        )
    if resource.id_source is not IdSource.SERVER:
        yield "an event's id tells its day, and callers may choose it", "add `id_source: ID_SOURCE_SERVER`"
    if resource.cache.enabled:
        yield "days are dropped without the cache being told", "add `cache: {disabled: true}`"
    if resource.soft_delete:
        yield "an event is never changed, and soft_delete marks it", "remove soft_delete"
    if any(pattern.singleton for pattern in resource.patterns):
        yield "a singleton is made with its parent, and is no event", "remove events"
    if Role.CREATE_TIME not in resource.by_role:
        remedy = "add: google.protobuf.Timestamp create_time [(google.api.field_behavior) = OUTPUT_ONLY]"
        yield "has no create_time, by which its days are kept", remedy
    if any(index.unique for index in resource.indexes):
        yield "what is kept by the day cannot be unique over all days", "remove `unique`"
    for type_ in resource.children:
        child = scope.by_type[type_].message
        yield f"{child} has it as its parent, which is dropped with its day", "give it another parent"


def _elements(scope: Scope, resource: Resource) -> Iterator[tuple[Element, str, str]]:
    for kind in _CHANGES:
        method = scope.by_kind.get((resource.type, kind))
        if method is not None:
            yield scope.descriptor(method), "changes an event, which is written once", "remove the method"
    for field in resource.fields:
        if field.role in _CHANGE_TIMES:
            yield field.descriptor, "is of no use: an event is never changed", "remove the field"
        elif _is_cleared(field):
            yield (
                field.descriptor,
                "would be cleared, and an event is never changed",
                "choose another on_delete",
            )
        elif _has_own_type(scope, field):
            remedy = "drop column_type"
            yield field.descriptor, "has a column_type, and callers are told what they sent", remedy
    for other in scope.resources:
        for field in other.fields:
            if _depends(field, resource.type):
                problem = f"refers to {resource.message}, which is dropped with its day"
                yield (
                    field.descriptor,
                    problem,
                    "add (entresol.options.v1.field).on_delete = ON_DELETE_IGNORE",
                )


def _is_cleared(field: Field) -> bool:
    return field.reference is not None and field.reference.on_delete is OnDelete.CLEAR


def _has_own_type(scope: Scope, field: Field) -> bool:
    option = scope.source.option(field.descriptor, options.FIELD)
    return option is not None and bool(option.column_type)


def _depends(field: Field, type_: str) -> bool:
    reference = field.reference
    return reference is not None and reference.type == type_ and reference.on_delete is not OnDelete.IGNORE
