"""What the web's port answers: Connect, gRPC-Web and REST over one method table, and what browsers ask beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import UnimplementedError
from entresol.schema.model import Model
from entresol.service.table import Route
from entresol.transport.calls import HARD_SIZE_FACTOR, failed, unknown
from entresol.transport.web import grpcweb
from entresol.transport.web.connect import STREAM, Connect
from entresol.transport.web.exchange import JSON, PROTO, Answer, Headers, Request, Response, response_of
from entresol.transport.web.grpcweb import GrpcWeb
from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.web.pages import OPENAPI, pages
from entresol.transport.web.rest import Rest, refused
from entresol.transport.web.router import Router

_PREFLIGHT_S = "7200"


class Web:
    """Answers the requests of one server."""

    def __init__(self, table: Mapping[str, Route], model: Model, settings: Settings, clock: Clock) -> None:
        self.size_bytes_max = settings.message_size_bytes_max * HARD_SIZE_FACTOR
        self._table = table
        self._clock = clock
        self._codec = JsonCodec(model.descriptor_set)
        self._connect = Connect(self._codec, clock, self.size_bytes_max)
        self._grpcweb = GrpcWeb(clock, self.size_bytes_max)
        self._router = Router(table.values())
        self._origins: Sequence[str] = settings.web_origins
        self._pages = pages(model, {path for path, route in table.items() if route.is_custom})

    def answer(self, request: Request) -> Answer:
        """Return the answer, or what to await for it."""
        allowed = self._cors(request.headers.get("origin", ""))
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            return Response(204, [*allowed, *_preflight(request)] if len(allowed) > 1 else allowed)
        answer = self._routed(request)
        if not allowed:
            return answer
        return _with(allowed, answer) if isinstance(answer, Response) else _later(allowed, answer)

    def _routed(self, request: Request) -> Answer:
        kind = request.content_type
        route = self._table.get(request.path)
        if kind.startswith(grpcweb.TYPE):
            if route is None:
                return self._grpcweb.refusal(request, failed(unknown(request.path), request.path), None)
            return self._grpcweb.answer(route, request)
        if route is not None:
            return self._connect.answer(route, request)
        if request.method == "GET" and (page := self._pages.get(request.path)) is not None:
            return Response(200, list(page.headers), page.body)
        found = self._router.find(request.method, request.path)
        if found is not None:
            return Rest(self._codec, self._clock, self.size_bytes_max, *found).answer(request)
        return self._missing(request, kind)

    def _missing(self, request: Request, kind: str) -> Response:
        path = request.path
        if verbs := self._router.verbs(path):
            known = {"path": path, "verb": request.method, "allowed": ", ".join(verbs)}
            text = f"{path} does not take {request.method}; use {' or '.join(verbs)}"
            error = UnimplementedError(text, metadata=known)
            return refused(failed(error, "/"), [("allow", known["allowed"])], 405)
        if request.method == "POST" and (kind in (JSON, PROTO) or kind.startswith(STREAM)):
            response = self._connect.refusal(request, failed(unknown(path), path), None)
            response.status = 404
            return response
        error = UnimplementedError(f"nothing is served at {path}; see {OPENAPI}", metadata={"path": path})
        return refused(failed(error, "/"), [], 404)

    def _cors(self, origin: str) -> Headers:
        """Return what lets pages of this origin read the answer; nothing for those that may not."""
        if "*" in self._origins:
            return [("access-control-allow-origin", "*"), ("access-control-expose-headers", "*")]
        if origin not in self._origins:
            return [("vary", "origin")] if self._origins else []
        return [
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", "*"),
            ("vary", "origin"),
        ]


def _preflight(request: Request) -> Headers:
    return [
        ("access-control-allow-methods", request.headers["access-control-request-method"]),
        ("access-control-allow-headers", request.headers.get("access-control-request-headers", "*")),
        ("access-control-max-age", _PREFLIGHT_S),
    ]


def _with(headers: Headers, response: Response) -> Response:
    response.headers += headers
    return response


async def _later(headers: Headers, answer: Answer) -> Response:
    return _with(headers, await response_of(answer))
