"""Names in requests: of the resource that a field refers to, well-formed, and without wildcards but in parents."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from entresol.schema.check_values import Leaf, Problem
from entresol.schema.model import Model, Resource
from entresol.schema.names import ID_FORMAT, WILDCARD, Pattern, is_segment, is_user_id

_REASON = "INVALID_NAME"
_NAMES_MAX = 16_384  # whose verdicts are remembered, of each field: hot records are asked for again and again
_NOT_NFC = "must be in Unicode's form NFC"


def reference(model: Model, kind: str, child_kind: str, *, wildcard: bool) -> Leaf:
    """Return the judge of a field with a `google.api.resource_reference`; "" is not set.

    Of resource types that the model does not know, and of `*`, only the form of a name is asked.
    """
    if child_kind in model.resources:
        return matching(_parents(model.resources[child_kind]), wildcard=wildcard)
    if kind in model.resources:
        return matching(model.resources[kind].patterns, wildcard=wildcard)
    return _any_name


def matching(patterns: Iterable[Pattern], *, wildcard: bool = False) -> Leaf:
    """Return the judge of names of these patterns, where `wildcard` allows `-` for an id or for the whole name."""
    known = tuple(patterns)
    form = " or ".join(pattern.text for pattern in known)

    @lru_cache(maxsize=_NAMES_MAX)
    def judge(name: str) -> Problem | None:
        if not name or (wildcard and name == WILDCARD):
            return None
        for pattern in known:
            values = pattern.parse(name)
            if values is not None:
                return None if wildcard or WILDCARD not in values.values() else _NO_WILDCARD
        return _malformed(name, form)

    return judge


_NO_WILDCARD = Problem(
    "must name one resource; the wildcard - stands only in the parent of List and BatchGet", _REASON
)


def _parents(child: Resource) -> list[Pattern]:
    return [
        Pattern("/".join(pattern.parent_segments)) for pattern in child.patterns if pattern.parent_segments
    ]


def _malformed(name: str, form: str) -> Problem:
    if not unicodedata.is_normalized("NFC", name):
        return Problem(_NOT_NFC, _REASON)
    return Problem(
        f"must be a name of the form {form}" if form else "must be empty: there is no parent", _REASON
    )


def _any_name(name: str) -> Problem | None:
    if all(map(is_segment, name.split("/"))) or not name:
        return None
    return _malformed(name, "collection/id")


def new_id(value: str) -> Problem | None:
    """Judge the id that a caller chooses for a new resource (AIP-122)."""
    return None if is_user_id(value) else Problem(f"must have {ID_FORMAT}", "INVALID_ID")


def is_below(name: str, parent: str) -> bool:
    """Tell whether a resource's parent is `parent`, in which `-` stands for any id or for any parent."""
    if parent in ("", WILDCARD):
        return True
    above = name.split("/")[: parent.count("/") + 1]
    return all(wanted in (WILDCARD, given) for wanted, given in zip(parent.split("/"), above, strict=False))
