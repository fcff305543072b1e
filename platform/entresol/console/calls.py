"""Calls that the console makes: through the method table as any wire, by a caller whom nobody knows."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from entresol.clock import Clock
from entresol.errors import UnimplementedError
from entresol.redaction import message_shown
from entresol.service.call import ANSWERED_BY_KEY, SESSION_KEY, Call
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.calls import closing, failed
from entresol.transport.web.calls import Streaming, texts, unary
from entresol.transport.web.exchange import PROTO, Request, Response, response_of
from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.web.rest import refused

REPLIES_MAX = 20  # of a stream, which is then let go
_TIMEOUT_S = 1.8  # so that a call tells by itself what it waited for, before the page is given up


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a call: replies, or the error as AIP-193 has it; and the metadata that came with it."""

    replies: tuple[Message, ...]
    error: Mapping[str, Any] | None
    status: int
    duration_s: float
    metadata: Mapping[str, str]

    @property
    def answered_by(self) -> str:
        """Return who answered: near, cache, replica and which, or primary."""
        return self.metadata.get(ANSWERED_BY_KEY, "")

    @property
    def session(self) -> str:
        """Return the token that the caller goes on with; empty where it stays as it was."""
        return self.metadata.get(SESSION_KEY, "")

    @property
    def shown(self) -> Any:
        """Return what may be shown of it, as JSON has it."""
        if self.error is not None:
            return {"error": self.error}
        told = [message_shown(reply) for reply in self.replies]
        return told[0] if len(told) == 1 else told

    def violations(self) -> dict[str, str]:
        """Return what is wrong with fields of the request, by their paths."""
        details = () if self.error is None else self.error["details"]
        return {
            one["field"]: one["description"]
            for detail in details
            for one in detail.get("fieldViolations", ())
        }


class Caller:
    """Makes calls. Requests are JSON, as the web's port takes it, so that mistakes are told in the same words."""

    def __init__(self, codec: JsonCodec, clock: Clock) -> None:
        self._codec = codec
        self._clock = clock

    async def call(
        self, route: Route, request: Any, session: str = "", metadata: Mapping[str, str] | None = None
    ) -> Outcome:
        """Make a call with a request of JSON values, or of JSON text."""
        body = request if isinstance(request, str) else json.dumps(request)
        headers = {**(metadata or {}), **({SESSION_KEY: session} if session else {})}
        asked = Request("POST", route.method.path, "", headers, body.encode())
        began_s = time.perf_counter()
        if route.method.client_streaming:
            error = UnimplementedError("streams of requests cannot be sent from here; use gRPC")
            replies: list[bytes] = []
            response = self.refusal(asked, failed(error, route.method.path), None)
        elif route.method.server_streaming:
            response, replies = await self._stream(route, asked)
        else:
            response = await response_of(unary(self, route, asked, self._clock))
            replies = [_body(response)] if response.status == 200 else []
        took_s = time.perf_counter() - began_s
        told = None if response.status == 200 else json.loads(_body(response))["error"]
        messages = tuple(route.method.output_class.FromString(reply) for reply in replies)
        return Outcome(messages, told, response.status, took_s, dict(response.headers))

    async def _stream(self, route: Route, request: Request) -> tuple[Response, list[bytes]]:
        streaming = Streaming(self, route, request, self._clock, [])
        found: list[bytes] = []
        try:
            replies = streaming.replies()
            async with closing(replies):
                async for reply in replies:
                    found.append(reply)
                    if len(found) == REPLIES_MAX:
                        break
        except CallFailedError as error:
            return self.refusal(request, error, streaming.call), []
        headers = texts(streaming.call) if streaming.call is not None else []
        return Response(200, headers), found

    # Dialect.

    def message(self, route: Route, request: Request) -> bytes:
        """Return the message of the JSON."""
        return self._codec.binary(route.method.input, request.body)

    def timeout_s(self, _request: Request) -> float:
        """Return how long people wait."""
        return _TIMEOUT_S

    def reply(self, _route: Route, _request: Request, message: bytes, call: Call) -> Response:
        """Return the reply as it is."""
        return Response(200, [("content-type", PROTO), *texts(call)], message)

    def refusal(self, _request: Request, error: CallFailedError, call: Call | None) -> Response:
        """Return the error as REST has it."""
        return refused(error, texts(call) if call is not None else [])


def _body(response: Response) -> bytes:
    assert isinstance(response.body, bytes), "the dialect above answers whole"
    return response.body
