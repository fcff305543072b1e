"""Connect: one call is one HTTP exchange, as https://connectrpc.com/docs/protocol says, in binary or JSON."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

from entresol.clock import Clock
from entresol.errors import InvalidArgumentError
from entresol.schema.model import MethodKind
from entresol.service.call import Call
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport import wire
from entresol.transport.web import caching
from entresol.transport.web.calls import (
    Streaming,
    body_of,
    leading_texts,
    packed,
    takes_gzip,
    texts,
    unary,
    unpacked,
)
from entresol.transport.web.exchange import JSON, PROTO, Answer, Headers, Request, Response, code_of
from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.wire import IDENTITY, only_message

STREAM = "application/connect+"
_UNARIES, _STREAMS = (JSON, PROTO), (STREAM + "json", STREAM + "proto")
_END = 2
_UNKEPT = ("cache-control", "no-store")
_PACK_BYTES_MIN = 1024
_DIGITS_MAX = 10


class Connect:
    """The dialect. `size_bytes_max` bounds what a request unpacks to."""

    def __init__(self, codec: JsonCodec, clock: Clock, size_bytes_max: int) -> None:
        self._codec = codec
        self._clock = clock
        self._size_bytes_max = size_bytes_max

    def answer(self, route: Route, request: Request) -> Answer:
        """Answer a request whose content type, or query, is Connect's."""
        method = route.method
        verbs = ("GET", "POST") if method.safe and not method.server_streaming else ("POST",)
        if request.method not in verbs:
            return Response(405, [("allow", ", ".join(verbs))])
        if method.client_streaming:
            return Response(415)  # streams of requests are gRPC's
        kinds = _STREAMS if method.server_streaming else _UNARIES
        if request.method == "POST" and request.content_type not in kinds:
            return Response(415, [("accept-post", ", ".join(kinds))])
        if method.server_streaming:
            return self._stream(route, request)
        return unary(self, route, request, self._clock)

    # Dialect.

    def message(self, route: Route, request: Request) -> bytes:
        """Return the message of the body, or of the query of a GET."""
        if request.method == "GET":
            return self._from_query(route, request)
        if request.content_type.startswith(STREAM):
            return self._enveloped(route, request)
        data = body_of(request, self._size_bytes_max)
        return self._codec.binary(route.method.input, data) if request.content_type == JSON else data

    def timeout_s(self, request: Request) -> float | None:
        """Return what `connect-timeout-ms` allows."""
        text = request.headers.get("connect-timeout-ms")
        if text is None:
            return None
        if not text.isascii() or not text.isdigit() or len(text) > _DIGITS_MAX:
            raise InvalidArgumentError.of("connect-timeout-ms", f"{text!r} is not at most ten digits")
        return int(text) / 1000

    def reply(self, route: Route, request: Request, message: bytes, call: Call) -> Response:
        """Return the message in the encoding of its request, the trailing metadata as headers."""
        is_json = _is_json(request)
        body = self._codec.text(route.method.output, message) if is_json else message
        kind = ("content-type", JSON if is_json else PROTO)
        headers: Headers = [kind, *leading_texts(call), *_trailers(call)]
        if request.method == "GET":
            name = self._name(route, request)
            return caching.cached(route, request, name, message, Response(200, headers, body))
        if len(body) >= _PACK_BYTES_MIN and takes_gzip(request):
            body = packed(body)
            headers.append(("content-encoding", "gzip"))
        return Response(200, headers, body)

    def refusal(self, request: Request, error: CallFailedError, call: Call | None) -> Response:
        """Return the error as JSON, whatever the request's encoding."""
        headers: Headers = [("content-type", JSON), _UNKEPT]
        if call is not None:
            headers += [*leading_texts(call), *_trailers(call)]
        body = json.dumps(_error(error), ensure_ascii=False).encode()
        return Response(code_of(error.status.code)[1], headers, body)

    def _name(self, route: Route, request: Request) -> str:
        """Return the name that a Get by GET asks for."""
        if route.method.kind is not MethodKind.GET:
            return ""
        asked: Any = route.method.input_class.FromString(self._from_query(route, request))
        return str(asked.name)

    def _from_query(self, route: Route, request: Request) -> bytes:
        given = parse_qs(request.query, keep_blank_values=True, encoding="latin-1")  # bytes, as they came
        query = {name: values[-1] for name, values in given.items()}
        text = query.get("message", "")
        data = text.encode("latin-1")
        if query.get("base64") == "1":
            try:
                data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            except (Base64Error, ValueError) as error:
                raise InvalidArgumentError.of("message", "is not base64 of the URL's kind") from error
        data = unpacked(data, query.get("compression", ""), self._size_bytes_max)
        match query.get("encoding"):
            case "json":
                return self._codec.binary(route.method.input, data)
            case "proto":
                return data
        raise InvalidArgumentError.of("encoding", "is neither json nor proto")

    # Streams.

    def _stream(self, route: Route, request: Request) -> Response:
        headers: Headers = [("content-type", request.content_type)]
        return Response(200, headers, self._pieces(route, request, headers))

    async def _pieces(self, route: Route, request: Request, headers: Headers) -> AsyncIterator[bytes]:
        """Yield the replies, each in an envelope, then the end with its error, if there is one."""
        streaming, end = Streaming(self, route, request, self._clock, headers), dict[str, Any]()
        is_json = _is_json(request)
        try:
            async for reply in streaming.replies():
                body = self._codec.text(route.method.output, reply) if is_json else reply
                yield b"\x00" + len(body).to_bytes(4) + body
        except CallFailedError as error:
            end["error"] = _error(error)
        if streaming.call is not None and (metadata := _metadata(streaming.call)):
            end["metadata"] = metadata
        body = json.dumps(end, ensure_ascii=False).encode()
        yield bytes((_END,)) + len(body).to_bytes(4) + body

    def _enveloped(self, route: Route, request: Request) -> bytes:
        flag, message = only_message(request.body, self._size_bytes_max)
        encoding = request.headers.get("connect-content-encoding", IDENTITY)
        wire.check_encoding(encoding)
        data = wire.unpacked(flag, message, encoding, self._size_bytes_max)
        return self._codec.binary(route.method.input, data) if _is_json(request) else data


def _is_json(request: Request) -> bool:
    if request.method == "GET":
        return parse_qs(request.query).get("encoding") == ["json"]
    return request.content_type in (JSON, STREAM + "json")


def _error(error: CallFailedError) -> dict[str, Any]:
    status = error.status
    told: dict[str, Any] = {"code": code_of(status.code)[0].lower().replace("cancelled", "canceled")}
    if status.message:
        told["message"] = status.message
    if status.details:
        told["details"] = [
            {
                "type": detail.type_url.rpartition("/")[2],
                "value": b64encode(detail.value).rstrip(b"=").decode(),
            }
            for detail in status.details
        ]
    return told


def _trailers(call: Call) -> Headers:
    return [(f"trailer-{name}", value) for name, value in texts(call)]


def _metadata(call: Call) -> dict[str, list[str]]:
    return {name: [value] for name, value in texts(call)}
