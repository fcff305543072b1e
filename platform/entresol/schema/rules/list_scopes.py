"""List scopes: over fields whose old and new values the relay can be told, of resources that are cached."""

from __future__ import annotations

from collections import Counter

from entresol.schema import options
from entresol.schema.list_scopes import can_be_pinned
from entresol.schema.model import Field, ListScope, Resource
from entresol.schema.rules.policies import SECONDS_MAX
from entresol.schema.rules.scope import Scope, message_of

_RULE = "entresol/list-scope"
_PLAIN = (
    "name fields that hold one string, bool, integer, enum or reference, in the column type of the mapping"
)
_NOT_NULL = "make the reference REQUIRED, or the field plain: no `optional`, no `oneof`"


def check_list_scopes(scope: Scope) -> None:
    """Report scopes that no relay could stamp, and such as say nothing."""
    for resource in scope.resources:
        if not resource.list_scopes:
            continue
        if not resource.cache.enabled:
            _add(scope, resource, "has list_scopes and no cache", "enable the cache, or remove list_scopes")
        same = Counter(frozenset(one.fields) for one in resource.list_scopes)
        for fields in (fields for fields, count in same.items() if count > 1):
            remedy = "declare one of them"
            _add(scope, resource, f"two list scopes have the fields {sorted(fields)}", remedy)
        for one in resource.list_scopes:
            _scope(scope, resource, one)


def _add(scope: Scope, resource: Resource, problem: str, remedy: str) -> None:
    scope.report.add(message_of(resource), _RULE, problem, remedy, option=options.STORAGE)


def _scope(scope: Scope, resource: Resource, one: ListScope) -> None:
    if not 0.001 <= one.ttl_s <= SECONDS_MAX:
        remedy = "choose a time between a millisecond and a hundred years"
        _add(scope, resource, f"the ttl of a list scope is {one.ttl_s:g} seconds", remedy)
    for name in one.fields:
        if one.fields.count(name) > 1:
            _add(scope, resource, f"a list scope has the field {name!r} twice", "name it once")
        problem, remedy = _obstacle(resource.by_name.get(name))
        if problem:
            _add(scope, resource, f"list scope over {name!r}: {problem}", remedy)


def _obstacle(field: Field | None) -> tuple[str, str]:
    """Return why the field cannot be in a scope, and what to do; nothing when it can."""
    if field is None:
        return "there is no such field", _PLAIN
    if field.column is None:
        return "the field is computed and has no column", _PLAIN
    if not can_be_pinned(field):
        return f"a filter cannot pin it in a column of type {field.column.type}", _PLAIN
    if field.input_only:
        return "the field is INPUT_ONLY and cannot be filtered", _PLAIN
    return ("its column may hold nulls", _NOT_NULL) if field.column.nullable else ("", "")
