"""What a page is: a path, and a function that answers with a template and its values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode

from entresol.transport.web.exchange import Request

PREFIX = "/console"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a browser asks of a page. `parts` are the variables of its path, `form` what was filled in."""

    parts: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    session: str = ""  # the token of what this browser wrote and was shown

    @property
    def given(self) -> Mapping[str, str]:
        """Return what was filled in, whether it came by the query or as a form."""
        return {**self.query, **self.form}


@dataclass(slots=True)
class View:
    """A template, its values, and the session that the browser goes on with."""

    template: str
    values: Mapping[str, Any]
    status: int = 200
    session: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a form leads that was taken, and what is said there once."""

    path: str
    notice: str = ""
    session: str = ""


Answer = Callable[[Ask], Awaitable[View | Moved]]


@dataclass(frozen=True, slots=True)
class Page:
    """`path` is below the console, with variables as `{name}`. What `writes` is refused where one may only read."""

    verb: str
    path: str
    answer: Answer
    writes: bool = False


def find(pages: Sequence[Page], verb: str, path: str) -> tuple[Page, Mapping[str, str]] | None:
    """Return the page of a path below the console, and what its variables are."""
    segments = [unquote(segment) for segment in path.strip("/").split("/")]
    for page in pages:
        wanted = page.path.strip("/").split("/")
        if page.verb != verb or len(wanted) != len(segments):
            continue
        pairs = list(zip(wanted, segments, strict=True))
        if all(one == given or (one.startswith("{") and given) for one, given in pairs):
            return page, {one.strip("{}"): given for one, given in pairs if one.startswith("{")}
    return None


def ask_of(request: Request, parts: Mapping[str, str], session: str) -> Ask:
    """Return a request as a page sees it."""
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
    return Ask(parts, query, form, session)


def link(*segments: str, **query: str | int | None) -> str:
    """Return the path of a page; what is empty is left out of its query."""
    path = "/".join([PREFIX, *(quote(segment, safe="") for segment in segments)])
    given = {key: value for key, value in query.items() if value not in ("", None)}
    path = path if segments else f"{PREFIX}/"
    return f"{path}?{urlencode(given)}" if given else path
