"""gRPC-Web: gRPC for browsers, whose trailers are a last frame of the body, in binary or as base64 text.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator

from entresol.clock import Clock
from entresol.errors import InvalidArgumentError, UnimplementedError
from entresol.service.call import Call
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.calls import encoded_trailing, failed, status_headers
from entresol.transport.web.calls import Streaming, unary
from entresol.transport.web.exchange import Answer, Request, Response
from entresol.transport.wire import IDENTITY, PREFIX_BYTES, framed, timeout_s, unpacked

TYPE = "application/grpc-web"
_TEXT = "application/grpc-web-text"
_TRAILERS = 0x80
_LINE_ENDS = re.compile(rb"[\r\n\x00]")
_OK = (b"grpc-status", b"0")


class GrpcWeb:
    """The dialect. `size_bytes_max` bounds what a request unpacks to."""

    def __init__(self, clock: Clock, size_bytes_max: int) -> None:
        self._clock = clock
        self._size_bytes_max = size_bytes_max

    def answer(self, route: Route, request: Request) -> Answer:
        """Answer a request whose content type is gRPC-Web's."""
        if request.method != "POST":
            return Response(405, [("allow", "POST")])
        if route.method.client_streaming:
            error = UnimplementedError("gRPC-Web has no streams of requests; use gRPC")
            return self.refusal(failed(error, route.method.path), None)
        if route.method.server_streaming:
            return Response(200, _headers(request), self._pieces(route, request))
        return unary(self, route, request, self._clock)

    # Dialect.

    def message(self, route: Route, request: Request) -> bytes:
        """Return the one message of the body."""
        body = request.body
        if _is_text(request):
            try:
                body = b64decode(body, validate=True)
            except (Base64Error, ValueError) as error:
                raise InvalidArgumentError.of("request", "is not base64") from error
        if len(body) < PREFIX_BYTES or len(body) != PREFIX_BYTES + int.from_bytes(body[1:PREFIX_BYTES]):
            raise InvalidArgumentError.of("request", "is not one whole message")
        encoding = request.headers.get("grpc-encoding", IDENTITY)
        return unpacked(body[0], body[PREFIX_BYTES:], encoding, self._size_bytes_max)

    def timeout_s(self, request: Request) -> float | None:
        """Return what `grpc-timeout` allows."""
        text = request.headers.get("grpc-timeout")
        return None if text is None else timeout_s(text)

    def reply(self, route: Route, request: Request, message: bytes, call: Call) -> Response:
        """Return the message and the trailers behind it."""
        return Response(200, _headers(request), _written(request, framed(message) + _end(call)))

    def refusal(self, error: CallFailedError, call: Call | None) -> Response:
        """Return the error in the headers: such an answer has no body."""
        pairs = [*status_headers(error), *(encoded_trailing(call) if call else ())]
        headers = [(name.decode(), value.decode("latin-1")) for name, value in pairs]
        return Response(200, [("content-type", TYPE + "+proto"), *headers])

    async def _pieces(self, route: Route, request: Request) -> AsyncIterator[bytes]:
        streaming = Streaming(self, route, request, self._clock)
        try:
            async for reply in streaming.replies():
                yield _written(request, framed(reply))
            end = [_OK]
        except CallFailedError as error:
            end = status_headers(error)
        call = streaming.call
        yield _written(request, _trailers([*end, *(encoded_trailing(call) if call else ())]))


def _is_text(request: Request) -> bool:
    return request.content_type.startswith(_TEXT)


def _headers(request: Request) -> list[tuple[str, str]]:
    return [("content-type", (_TEXT if _is_text(request) else TYPE) + "+proto")]


def _written(request: Request, data: bytes) -> bytes:
    return b64encode(data) if _is_text(request) else data


def _end(call: Call) -> bytes:
    return _trailers([_OK, *encoded_trailing(call)])


def _trailers(pairs: list[tuple[bytes, bytes]]) -> bytes:
    lines = (name + b": " + _LINE_ENDS.sub(b" ", value) + b"\r\n" for name, value in pairs)
    body = b"".join(lines)
    return bytes((_TRAILERS,)) + len(body).to_bytes(4) + body
