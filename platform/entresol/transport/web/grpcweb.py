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
from entresol.transport.web.calls import Streaming, leading_texts, unary
from entresol.transport.web.exchange import Answer, Request, Response
from entresol.transport.wire import IDENTITY, check_encoding, framed, only_message, timeout_s, unpacked

TYPE = "application/grpc-web"
_TEXT = "application/grpc-web-text"
_KINDS = (TYPE, TYPE + "+proto", _TEXT, _TEXT + "+proto")
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
        if request.content_type not in _KINDS:
            return Response(415, [("accept-post", ", ".join(_KINDS))])
        if route.method.client_streaming:
            error = UnimplementedError("gRPC-Web has no streams of requests; use gRPC")
            return self.refusal(request, failed(error, route.method.path), None)
        if route.method.server_streaming:
            headers = _headers(request)
            return Response(200, headers, self._pieces(route, request, headers))
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
        flag, message = only_message(body, self._size_bytes_max)
        encoding = request.headers.get("grpc-encoding", IDENTITY)
        check_encoding(encoding)
        return unpacked(flag, message, encoding, self._size_bytes_max)

    def timeout_s(self, request: Request) -> float | None:
        """Return what `grpc-timeout` allows."""
        text = request.headers.get("grpc-timeout")
        return None if text is None else timeout_s(text)

    def reply(self, route: Route, request: Request, message: bytes, call: Call) -> Response:
        """Return the message and the trailers behind it."""
        headers = [*_headers(request), *leading_texts(call)]
        return Response(200, headers, _written(request, framed(message) + _end(call)))

    def refusal(self, request: Request, error: CallFailedError, call: Call | None) -> Response:
        """Return the error in the headers, and no body; or behind those that the call sent before it failed."""
        pairs = [*status_headers(error), *(encoded_trailing(call) if call else ())]
        if call is not None and call.leading:
            headers = [*_headers(request), *leading_texts(call)]
            return Response(200, headers, _written(request, _trailers(pairs)))
        only = [(name.decode(), value.decode("latin-1")) for name, value in pairs]
        return Response(200, [*_headers(request), *only])

    async def _pieces(
        self, route: Route, request: Request, headers: list[tuple[str, str]]
    ) -> AsyncIterator[bytes]:
        streaming = Streaming(self, route, request, self._clock, headers)
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
