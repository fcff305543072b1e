"""HTTP caching of what GET answers: validators always, and lifetimes as the resource's cache policy allows."""

from __future__ import annotations

from entresol.schema.model import MethodKind
from entresol.service.call import CONSISTENCY_KEY, READ_MASK_KEY, SESSION_KEY, SHOW_VERSION_KEY
from entresol.service.table import Route
from entresol.transport.web.exchange import Request, Response
from entresol.transport.web.validators import validator

# What a reply depends on beside its URL.
_PERSONAL = (
    "authorization",
    "cookie",
    CONSISTENCY_KEY,
    READ_MASK_KEY,
    SESSION_KEY,
    SHOW_VERSION_KEY,
)
_VARY = ", ".join(("accept-encoding", *_PERSONAL))
_ASK = "private, no-cache"


def cached(route: Route, request: Request, name: str, message: bytes, reply: Response) -> Response:
    """Return the reply of a GET with what caches need to know, or 304 when the client has it already.

    `name` is what a Get asks for: a mask may leave it out of `message`. The content type is the first of the headers.
    """
    assert isinstance(reply.body, bytes)
    etag = validator(route, message, reply.body)
    lifetime = _lifetime(route, request)
    # What is shown to everybody tells nothing of one call.
    headers = reply.headers if lifetime == _ASK else reply.headers[:1]
    headers = [*headers, ("etag", etag), ("cache-control", lifetime), ("vary", _VARY)]
    if keys := _surrogate_keys(route, name):
        headers.append(("surrogate-key", keys))
    known = request.headers.get("if-none-match")
    if known is not None and is_known(etag, known):
        return Response(304, headers)
    return Response(200, headers, reply.body)


def is_known(etag: str, known: str) -> bool:
    """Tell whether `If-None-Match` names this validator (RFC 9110, 13.1.2: weakly compared)."""
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in known.split(","))


def _lifetime(route: Route, request: Request) -> str:
    """Return `Cache-Control`: shared caches keep what anybody may see, if who asked said nothing of its own."""
    resource = route.method.resource
    seconds = int(resource.cache.shared_s_max) if resource is not None else 0
    is_personal = route.guarded or any(name in request.headers for name in _PERSONAL)
    return f"public, max-age=0, s-maxage={seconds}" if seconds and not is_personal else _ASK


def _surrogate_keys(route: Route, name: str) -> str:
    """Return the keys by which a CDN may be told to forget the reply: the collection, and the record of a Get."""
    resource = route.method.resource
    if resource is None:
        return ""
    return f"{resource.plural} {name}" if route.method.kind is MethodKind.GET else resource.plural
