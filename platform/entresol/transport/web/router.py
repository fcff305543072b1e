"""Which method a verb and a path mean, by the `google.api.http` rules of the protos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from entresol.schema.paths import Binding, blanked, places
from entresol.service.table import Route

_ONE, _MANY = "*", "**"


@dataclass(frozen=True, slots=True)
class Target:
    """A method and one of its bindings. `variables` are the fields that the path holds: (name, first segment, end).

    The end of a variable that takes the rest of the path is None.
    """

    route: Route
    binding: Binding
    variables: Sequence[tuple[str, int, int | None]]


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    target: Target | None = None


class Router:
    """The bindings as trees of path segments, one for each pair of HTTP verb and custom verb."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._roots: dict[tuple[str, str], _Node] = {}
        for route in routes:
            for binding in route.method.bindings:
                self._add(Target(route, binding, places(binding.path)))

    def find(self, verb: str, path: str) -> tuple[Target, Mapping[str, str]] | None:
        """Return the target of a request and what its path says of the fields; None when nothing is there."""
        segments = path[1:].split("/")
        last, colon, custom = segments[-1].rpartition(":")
        if colon and (found := self._find(verb, custom, [*segments[:-1], last])):
            return found
        return self._find(verb, "", segments)

    def verbs(self, path: str) -> list[str]:
        """Return the HTTP verbs that this path takes."""
        return sorted({verb for verb, _ in self._roots if self.find(verb, path)})

    def _find(self, verb: str, custom: str, segments: list[str]) -> tuple[Target, Mapping[str, str]] | None:
        root = self._roots.get((verb, custom))
        target = _walk(root, segments, 0) if root is not None else None
        if target is None:
            return None
        values = {name: unquote("/".join(segments[at:end])) for name, at, end in target.variables}
        return target, values

    def _add(self, target: Target) -> None:
        segments, custom = _segments(target.binding.path)
        node = self._roots.setdefault((target.binding.verb, custom), _Node())
        for segment in segments:
            node = node.children.setdefault(segment, _Node())
        node.target = node.target or target


def _walk(node: _Node, segments: Sequence[str], at: int) -> Target | None:
    """Return what the segments from `at` lead to; a literal is tried before a wildcard."""
    if at == len(segments):
        return node.target
    segment = segments[at]
    literal = node.children.get(unquote(segment) if "%" in segment else segment)
    if literal is not None and (target := _walk(literal, segments, at + 1)):
        return target
    one = node.children.get(_ONE)
    if one is not None and segment and (target := _walk(one, segments, at + 1)):
        return target
    many = node.children.get(_MANY)
    return many.target if many is not None else None


def _segments(path: str) -> tuple[list[str], str]:
    """Return the path's segments, with wildcards, and its custom verb."""
    plain, _, custom = blanked(path).partition(":")
    return plain[1:].split("/"), custom
