"""Rules 6 and 12: types and patterns are unique, Get and List exist, references and parents make no circle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from entresol.schema import options
from entresol.schema.model import Behavior, MethodKind, Resource
from entresol.schema.resources import blank
from entresol.schema.rules.scope import Scope, message_of
from entresol.schema.services import plural_noun, singular_noun
from entresol.schema.source import is_own

_FIXED = frozenset({Behavior.IMMUTABLE, Behavior.OUTPUT_ONLY})


def check_graph(scope: Scope) -> None:
    """Report what is wrong between resources."""
    _unique_types(scope)
    _unique_patterns(scope)
    for resource in scope.by_type.values():
        _readable(scope, resource)
    _parents(scope)
    _references(scope)


def _unique_types(scope: Scope) -> None:
    first: dict[str, Resource] = {}
    for resource in scope.resources:
        if first.setdefault(resource.type, resource) is not resource:
            problem = f"type {resource.type!r} is also that of {first[resource.type].message}"
            remedy = "one type has one message in all methods; give this one its own type"
            scope.report.add(message_of(resource), "AIP-121", problem, remedy, option=options.RESOURCE)


def _unique_patterns(scope: Scope) -> None:
    first: dict[str, Resource] = {}
    for resource in scope.resources:
        for pattern in resource.patterns:
            other = first.setdefault(blank(pattern.text), resource)
            if other.type != resource.type:
                problem = f"pattern {pattern.text!r} cannot be told from one of {other.type}"
                remedy = "use another collection"
                scope.report.add(message_of(resource), "AIP-122", problem, remedy, option=options.RESOURCE)


def _readable(scope: Scope, resource: Resource) -> None:
    singleton = any(pattern.singleton for pattern in resource.patterns)
    wanted = {MethodKind.GET: f"Get{singular_noun(resource)}"}
    if not singleton:
        wanted[MethodKind.LIST] = f"List{plural_noun(resource)}"
    for kind, name in wanted.items():
        if (resource.type, kind) not in scope.by_kind:
            remedy = "add it to the service"
            scope.report.add(message_of(resource), "AIP-121", f"no service has the method {name}", remedy)


def _parents(scope: Scope) -> None:
    above = {resource.type: resource.parents for resource in scope.by_type.values()}
    for resource in scope.by_type.values():
        if resource.type in _reached(above, resource.parents):
            remedy = "let one of the patterns begin elsewhere"
            scope.report.add(
                message_of(resource), "AIP-121", "is above itself", remedy, option=options.RESOURCE
            )


def _references(scope: Scope) -> None:
    edges = {
        resource.type: dict(_settable(scope, message_of(resource))) for resource in scope.by_type.values()
    }
    targets = {kind: tuple(fields.values()) for kind, fields in edges.items()}
    for kind, fields in edges.items():
        for field, target in fields.items():
            if kind == target or kind in _reached(targets, (target,)):
                remedy = "make one field of the circle IMMUTABLE or OUTPUT_ONLY"
                problem = f"closes a circle of references from {kind} over {target}"
                scope.report.add(field, "AIP-121", problem, remedy, option=options.REFERENCE)


def _settable(
    scope: Scope, message: Descriptor, above: tuple[str, ...] = ()
) -> Iterator[tuple[FieldDescriptor, str]]:
    """Yield the references that callers can change, in the message and the messages inside it."""
    for field in message.fields:
        if scope.behaviors(field) & _FIXED:
            continue
        annotation = scope.source.option(field, options.REFERENCE)
        if annotation is not None:
            yield field, annotation.type
        inner = field.message_type
        if inner is not None and is_own(inner.file.name) and inner.full_name not in above:
            yield from _settable(scope, inner, (*above, message.full_name, inner.full_name))


def _reached(edges: Mapping[str, tuple[str, ...]], start: tuple[str, ...]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(edges.get(one, ()))
    return seen
