"""Filters of List (AIP-160): text to a typed tree that storage can compile, each text once."""

from __future__ import annotations

from functools import lru_cache

from entresol.schema.filter_ast import And, Filter, Not, Or
from entresol.schema.filter_lexer import WILDCARD
from entresol.schema.filter_parser import All, Either, Negation, Node, parse_syntax
from entresol.schema.filter_types import restriction
from entresol.schema.model import Resource

_REMEMBERED = 1024


class _SameResource:
    """A resource as a key of the cache: by identity, since comparing two of them costs more than parsing."""

    __slots__ = ("resource",)

    def __init__(self, resource: Resource) -> None:
        self.resource = resource

    def __hash__(self) -> int:
        return id(self.resource)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameResource) and other.resource is self.resource


def parse(text: str, resource: Resource) -> Filter | None:
    """Return the filter that `text` means for `resource`; None when it excludes nothing: empty, or `*`.

    Raises:
        InvalidArgumentError: of the field `filter`, with the position and what was expected there.
    """
    return _parse(text, _SameResource(resource))


@lru_cache(maxsize=_REMEMBERED)
def _parse(text: str, same: _SameResource) -> Filter | None:
    if text.strip() == WILDCARD:
        return None
    syntax = parse_syntax(text)
    return None if syntax is None else _typed(syntax, same.resource)


def _typed(node: Node, resource: Resource) -> Filter:
    match node:
        case All(terms):
            return And(tuple(_typed(term, resource) for term in terms))
        case Either(terms):
            return Or(tuple(_typed(term, resource) for term in terms))
        case Negation(term):
            return Not(_typed(term, resource))
        case _:
            return restriction(node, resource)
