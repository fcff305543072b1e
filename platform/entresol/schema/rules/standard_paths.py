"""The HTTP path of each standard method: a version, and what the patterns of its resource give (AIP-131 to 135)."""

from __future__ import annotations

import re

from entresol.schema.model import Method, MethodKind, Resource
from entresol.schema.names import Pattern
from entresol.schema.resources import blank
from entresol.schema.rules.names import has_plural
from entresol.schema.rules.standard_methods import has_parent

_BY_NAME = frozenset({MethodKind.GET, MethodKind.UPDATE, MethodKind.DELETE, MethodKind.UNDELETE})
_BATCHES = frozenset({MethodKind.BATCH_GET, MethodKind.BATCH_CREATE})
# Gateways may serve several APIs, so segments may stand before the version: `/hotel/v1`.
_VERSION = re.compile(r"((?:/[^/{}]+)*?/v\d[a-z0-9]*)/")


def split_version(path: str) -> tuple[str, str]:
    """Return `/v1` and `rooms` of `/v1/rooms`; no version of a path that has none."""
    found = _VERSION.match(path)
    return (found[1], path[found.end() :]) if found else ("", path.removeprefix("/"))


def name_variable(method: Method, resource: Resource) -> str:
    """Return the field that must stand in the path; "" when none must."""
    if method.kind in _BY_NAME:
        return f"{method.resource_field}.name" if method.kind is MethodKind.UPDATE else "name"
    return "parent" if method.kind not in _BATCHES and has_parent(resource) else ""


def standard_paths(method: Method, resource: Resource) -> tuple[str, ...]:
    """Return what may follow the version, without a custom verb: of each pattern that is right, in their order."""
    if method.kind in _BY_NAME:
        variable = name_variable(method, resource)
        return tuple(f"{{{variable}={blank(pattern.text)}}}" for pattern in resource.patterns)
    sound = [one for one in resource.patterns if one.singleton or has_plural(resource, one)]
    below = [_collection(pattern, resource) for pattern in sound]
    # The parent of a batch is OPTIONAL, so its path may do without.
    bare = [path.rpartition("/")[2] for path in below] if method.kind in _BATCHES else []
    return tuple(dict.fromkeys([*below, *bare]))


def _collection(pattern: Pattern, resource: Resource) -> str:
    """Return `{parent=hotels/*}/rooms`; singletons are listed by their plural (AIP-156)."""
    collection = resource.plural if pattern.singleton else pattern.segments[-2]
    parent = blank("/".join(pattern.parent_segments))
    return f"{{parent={parent}}}/{collection}" if parent else collection
