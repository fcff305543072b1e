"""HTTP bindings (google.api.http): the variables in their paths, and what two paths have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass

_VARIABLE = re.compile(r"\{([^{}=]*)(?:=([^{}]*))?\}")
_LITERAL = r"[A-Za-z0-9_.~%-]+"
_SEGMENT = rf"(?:{_LITERAL}|\*\*?)"
_TEMPLATE = re.compile(rf"(?:/{_SEGMENT})+(?::{_LITERAL})?")


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to call a method over HTTP."""

    verb: str  # GET, POST, ...; or what `custom` says
    path: str
    body: str
    nested: bool = False  # it has additional bindings of its own, which is not allowed


@dataclass(frozen=True, slots=True)
class Variable:
    """`{story.name=stories/*}`: the request field `story.name`, which must look like `stories/*`."""

    field: str
    template: str


def variables(path: str) -> tuple[Variable, ...]:
    """Return the variables of a path, in order; one without a template holds one segment."""
    return tuple(Variable(name, template or "*") for name, template in _VARIABLE.findall(path))


def places(path: str) -> tuple[tuple[str, int, int | None], ...]:
    """Return where in the path's segments each variable stands: (field, first, end); None ends with the path."""
    found = []
    for variable in _VARIABLE.finditer(path):
        first = blanked(path[: variable.start()]).count("/") - 1
        template = variable[2] or "*"
        end = None if template.endswith("**") else first + template.count("/") + 1
        found.append((variable[1], first, end))
    return tuple(found)


def blanked(path: str) -> str:
    """Return the path with each variable replaced by its template: equal for paths that no router can tell apart."""
    return _VARIABLE.sub(lambda found: found[2] or "*", path)


def is_path(path: str) -> bool:
    """Tell whether the path follows the grammar of google/api/http.proto."""
    return _TEMPLATE.fullmatch(blanked(path)) is not None


def verb_of(path: str) -> str:
    """Return the custom verb after the last colon; "" when there is none."""
    return blanked(path).partition(":")[2]
