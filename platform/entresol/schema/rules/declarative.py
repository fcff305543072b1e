"""Rules 13, 30 and 38: what resources of the style DECLARATIVE_FRIENDLY need beside (AIP-128)."""

from __future__ import annotations

import re

from entresol.schema import options
from entresol.schema.model import Method, MethodKind, Resource
from entresol.schema.rules.scope import Scope, message_of

_MUTATIONS = (
    MethodKind.CREATE,
    MethodKind.BATCH_CREATE,
    MethodKind.UPDATE,
    MethodKind.DELETE,
    MethodKind.UNDELETE,
)
_LIST_EDIT = re.compile(r"(Add|Remove)[A-Z]")


def check_declarative(scope: Scope) -> None:
    """Report what such resources lack."""
    for resource in scope.resources:
        if options.DECLARATIVE_FRIENDLY in scope.annotation(resource).style:
            _resource(scope, resource)


def _resource(scope: Scope, resource: Resource) -> None:
    if "etag" not in resource.by_name:
        remedy = "add: string etag"
        scope.report.add(message_of(resource), "AIP-128", "is declarative and has no etag", remedy)
    for kind in _MUTATIONS:
        method = scope.by_kind.get((resource.type, kind))
        if method is not None:
            _need(scope, method, "validate_only", "bool")
            if kind is MethodKind.DELETE:
                _need(scope, method, "etag", "string")
    for method in scope.methods:
        if _LIST_EDIT.match(scope.descriptor(method).name) and _concerns(scope, method, resource):
            remedy = "change the list with Update"
            scope.report.add(scope.descriptor(method), "AIP-144", "edits a declarative resource", remedy)


def _need(scope: Scope, method: Method, field: str, kind: str) -> None:
    if field not in method.input.fields_by_name:
        remedy = f"add: {kind} {field} [(google.api.field_behavior) = OPTIONAL]"
        scope.report.add(method.input, "AIP-128", f"has no {field!r}", remedy)


def _concerns(scope: Scope, method: Method, resource: Resource) -> bool:
    references = (scope.source.option(field, options.REFERENCE) for field in method.input.fields)
    return any(one is not None and one.type == resource.type for one in references)
