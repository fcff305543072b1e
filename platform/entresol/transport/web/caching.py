"""HTTP caching of what GET answers: validators always, and lifetimes as the resource's cache policy allows."""

from __future__ import annotations

import hashlib
from typing import Any

from entresol.schema.model import MethodKind
from entresol.service.call import SESSION_KEY, Call
from entresol.service.table import Route
from entresol.transport.web.exchange import Headers, Request, Response

# What a reply depends on beside its URL.
_VARY = f"accept-encoding, authorization, cookie, entresol-consistency, entresol-read-mask, {SESSION_KEY}"
_NEVER, _ASK = "no-store", "private, no-cache"


def cached(
    route: Route, request: Request, call: Call, headers: Headers, message: bytes, body: bytes
) -> Response:
    """Return the reply of a GET with what caches need to know, or 304 when the client has it already."""
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = [
        *headers,
        ("etag", etag),
        ("cache-control", _lifetime(route, call)),
        ("vary", _VARY),
    ]
    if keys := _surrogate_keys(route, message):
        headers.append(("surrogate-key", keys))
    if is_known(etag, request.headers.get("if-none-match", "")):
        return Response(304, headers)
    return Response(200, headers, body)


def is_known(etag: str, known: str) -> bool:
    """Tell whether `If-None-Match` names this validator (RFC 9110, 13.1.2: weakly compared)."""
    return any(one.strip().removeprefix("W/") in (etag, "*") for one in known.split(","))


def _lifetime(route: Route, call: Call) -> str:
    """Return `Cache-Control`: nobody keeps what a session was shown; others what the policy says."""
    resource = route.method.resource
    if resource is None or SESSION_KEY in call.trailing:
        return _ASK if resource is not None else _NEVER
    seconds = int(resource.cache.shared_s_max)
    return f"public, max-age=0, s-maxage={seconds}" if seconds else _ASK


def _surrogate_keys(route: Route, message: bytes) -> str:
    """Return the keys by which a CDN may be told to forget the reply: the collection, and the record of a Get."""
    resource = route.method.resource
    if resource is None:
        return ""
    if route.method.kind is not MethodKind.GET:
        return resource.plural
    reply: Any = route.method.output_class.FromString(message)
    return f"{resource.plural} {reply.name}"
