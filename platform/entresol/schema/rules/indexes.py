"""Indexes and search fields: of fields that are kept, and of kinds that an index can order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from entresol.schema import options
from entresol.schema.columns import is_identifier
from entresol.schema.indexes import parse_term
from entresol.schema.model import Field, Kind, Resource
from entresol.schema.resources import DEFAULT_SCHEMA
from entresol.schema.rules.scope import Scope, message_of

_RULE = "entresol/index"
_SEARCH_RULE = "entresol/search"
_UNORDERED = frozenset({Kind.MESSAGE, Kind.MAP})


def check_indexes(scope: Scope) -> None:
    """Report indexes that cannot be made, and search fields that hold no text."""
    relations = {_qualified(resource.table): f"table {resource.table!r}" for resource in scope.resources}
    for resource in scope.resources:
        storage = scope.storage(resource)
        if storage is None:
            continue
        for number, option in enumerate(storage.indexes):
            sound = _index(scope, resource, option)
            if sound or option.name:  # the default name of another is made of the fields that are left
                _index_name(scope, resource, number, relations)
        for name in storage.search_fields:
            _search(scope, resource, name)


def _add(scope: Scope, resource: Resource, rule: str, problem: str, remedy: str) -> None:
    scope.report.add(message_of(resource), rule, problem, remedy, option=options.STORAGE)


def _qualified(name: str) -> str:
    return name if "." in name else f"{DEFAULT_SCHEMA}.{name}"


def _index(scope: Scope, resource: Resource, option: Any) -> bool:
    """Check the fields, and tell whether they can all be indexed."""
    names = [parse_term(term)[0] for term in option.fields]
    if not names:
        _add(scope, resource, _RULE, "has an index over no field", "name its fields")
    for name in _repeated(names):
        _add(scope, resource, _RULE, f"an index has the field {name!r} twice", "name it once")
    obstacles = {name: _obstacle(resource.by_name.get(name)) for name in names}
    for name, problem in obstacles.items():
        if problem:
            remedy = "index fields of the message that hold one plain value"
            _add(scope, resource, _RULE, f"index over {name!r}: {problem}", remedy)
    return bool(names) and not any(obstacles.values())


def _obstacle(field: Field | None) -> str:
    """Return why the field cannot be indexed; "" when it can."""
    if field is None:
        return "there is no such field"
    if field.column is None:
        return "the field is computed and has no column"
    return "no order helps to find in it" if field.repeated or field.kind in _UNORDERED else ""


def _index_name(scope: Scope, resource: Resource, number: int, relations: dict[str, str]) -> None:
    """Check the name, which tables and indexes of one schema share."""
    name = resource.indexes[number].name
    if not is_identifier(name):
        remedy = "use lower-case letters, digits and underscores, at most 63"
        _add(scope, resource, _RULE, f"index name {name!r} cannot be a name", remedy)
    schema = _qualified(resource.table).rpartition(".")[0]
    owner = f"an index of {resource.message}"
    other = relations.setdefault(f"{schema}.{name}", f"{owner} ({number})")
    if other != f"{owner} ({number})":
        problem = f"index name {name!r} is also that of {other.partition(' (')[0]}"
        _add(scope, resource, _RULE, problem, "give the index a name of its own")


def _search(scope: Scope, resource: Resource, name: str) -> None:
    field = resource.by_name.get(name)
    if field is None or field.column is None or field.kind is not Kind.STRING or field.repeated:
        problem = f"search field {name!r} is not a string of the message"
        _add(scope, resource, _SEARCH_RULE, problem, "name fields that hold one text each")


def _repeated(words: Iterable[str]) -> list[str]:
    return [word for word, count in Counter(words).items() if count > 1]
