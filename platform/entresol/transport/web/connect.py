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
from entresol.service.call import Call
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.web import caching
from entresol.transport.web.calls import Streaming, body_of, packed, takes_gzip, texts, unary, unpacked
from entresol.transport.web.exchange import JSON, PROTO, Answer, Headers, Request, Response, code_of
from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.wire import PREFIX_BYTES

STREAM = "application/connect+"
_END, _PACKED = 2, 1
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
        is_stream = request.content_type.startswith(STREAM)
        if route.method.client_streaming or is_stream != route.method.server_streaming:
            return Response(415)  # a call of another shape
        if is_stream:
            return self._stream(route, request)
        if request.method == "GET" and not route.method.safe:
            return Response(405, [("allow", "POST")])
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
        headers: Headers = [("content-type", JSON if is_json else PROTO), *_trailers(call)]
        if request.method == "GET":
            return caching.cached(route, request, headers, message, body)
        if len(body) >= _PACK_BYTES_MIN and takes_gzip(request):
            body = packed(body)
            headers.append(("content-encoding", "gzip"))
        return Response(200, headers, body)

    def refusal(self, error: CallFailedError, call: Call | None) -> Response:
        """Return the error as JSON, whatever the request's encoding."""
        headers: Headers = [("content-type", JSON), _UNKEPT, *(_trailers(call) if call else ())]
        body = json.dumps(_error(error), ensure_ascii=False).encode()
        return Response(code_of(error.status.code)[1], headers, body)

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
        kind = request.content_type.removeprefix(STREAM)
        headers: Headers = [("content-type", request.content_type)]
        if kind not in ("json", "proto"):
            return Response(415)
        return Response(200, headers, self._pieces(route, request, kind == "json"))

    async def _pieces(self, route: Route, request: Request, is_json: bool) -> AsyncIterator[bytes]:
        """Yield the replies, each in an envelope, then the end with its error, if there is one."""
        streaming, end = Streaming(self, route, request, self._clock), dict[str, Any]()
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
        body = request.body
        if len(body) < PREFIX_BYTES or len(body) != PREFIX_BYTES + int.from_bytes(body[1:PREFIX_BYTES]):
            raise InvalidArgumentError.of("request", "is not one message in an envelope")
        data = body[PREFIX_BYTES:]
        if body[0] & _PACKED:
            encoding = request.headers.get("connect-content-encoding", "")
            data = unpacked(data, encoding or "nothing", self._size_bytes_max)
        is_json = request.content_type == STREAM + "json"
        return self._codec.binary(route.method.input, data) if is_json else data


def _is_json(request: Request) -> bool:
    if request.method == "GET":
        return parse_qs(request.query).get("encoding") == ["json"]
    return request.content_type == JSON


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
