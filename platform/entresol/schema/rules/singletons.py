"""Rule 14: a singleton lives and dies with its parent (AIP-156)."""

from __future__ import annotations

from entresol.schema import options
from entresol.schema.model import MethodKind, Resource
from entresol.schema.rules.scope import Scope, message_of

_FORBIDDEN = (MethodKind.CREATE, MethodKind.BATCH_CREATE, MethodKind.DELETE, MethodKind.UNDELETE)


def check_singletons(scope: Scope) -> None:
    """Report methods that a singleton cannot have."""
    for resource in scope.resources:
        fixed = {pattern.singleton for pattern in resource.patterns}
        if len(fixed) > 1:
            remedy = "let all patterns end with an id, or none"
            problem = "is a singleton by one pattern and not by another"
            scope.report.add(message_of(resource), "AIP-156", problem, remedy, option=options.RESOURCE)
        elif fixed == {True}:
            _singleton(scope, resource)


def _singleton(scope: Scope, resource: Resource) -> None:
    for kind in _FORBIDDEN:
        _refuse(scope, resource, kind, "a singleton is created and deleted with its parent")
    writable = [one for one in resource.fields if not one.output_only and one.name not in ("name", "etag")]
    if not writable:
        _refuse(scope, resource, MethodKind.UPDATE, "every field is OUTPUT_ONLY, so nothing can be updated")


def _refuse(scope: Scope, resource: Resource, kind: MethodKind, problem: str) -> None:
    method = scope.by_kind.get((resource.type, kind))
    if method is not None:
        scope.report.add(scope.descriptor(method), "AIP-156", problem, "remove the method")
