"""REST: the `google.api.http` rules of the protos, JSON bodies, and errors as AIP-193 has them."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from entresol.clock import Clock
from entresol.errors import InvalidArgumentError, UnimplementedError, Violation
from entresol.schema.checks import VIOLATIONS_MAX
from entresol.service.call import Call
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.assignment import assign, field_of
from entresol.transport.calls import failed
from entresol.transport.remedies import NEAREST_MAX
from entresol.transport.web import caching, conditions
from entresol.transport.web.calls import Streaming, body_of, leading_texts, packed, takes_gzip, texts, unary
from entresol.transport.web.exchange import JSON, Answer, Headers, Request, Response, code_of
from entresol.transport.web.json_codec import JsonCodec
from entresol.transport.web.json_mistakes import BODY
from entresol.transport.web.patches import imply_mask
from entresol.transport.web.router import Target
from entresol.transport.wire import timeout_s

_LINES = "application/x-ndjson"
_PACK_BYTES_MIN = 1024
_PRECONDITION_FAILED = 412


class Rest:
    """The dialect of one target: a method, and what the path said of its request's fields."""

    def __init__(
        self,
        codec: JsonCodec,
        clock: Clock,
        size_bytes_max: int,
        target: Target,
        values: Mapping[str, str],
    ) -> None:
        self._codec = codec
        self._clock = clock
        self._size_bytes_max = size_bytes_max
        self._target = target
        self._values = values

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        route = self._target.route
        if route.method.client_streaming:
            error = UnimplementedError("streams of requests are not taken here; use gRPC")
            return refused(failed(error, route.method.path), [])
        if route.method.server_streaming:
            headers: Headers = [("content-type", _LINES)]
            return Response(200, headers, self._lines(route, request, headers))
        return unary(self, route, request, self._clock)

    # Dialect.

    def message(self, route: Route, request: Request) -> bytes:
        """Return the message that path, query and body make together; what is wrong with them is told at once."""
        body = self._target.binding.body
        message: Any = route.method.input_class()
        wrong = self._read_query(message, request.query) if request.query else []
        if body:
            try:
                self._read_body(message, body, request)
            except InvalidArgumentError as error:
                wrong += error.violations
        if wrong:
            raise InvalidArgumentError(wrong[:VIOLATIONS_MAX])
        for name, text in self._values.items():
            assign(message, name.split("."), text, name)
        conditions.require(route, request.headers, message)
        return bytes(message.SerializeToString())

    def timeout_s(self, request: Request) -> float | None:
        """Return what `grpc-timeout` allows: HTTP has no header of its own for that."""
        text = request.headers.get("grpc-timeout")
        return None if text is None else timeout_s(text)

    def reply(self, route: Route, request: Request, message: bytes, call: Call) -> Response:
        """Return the reply as JSON, the trailing metadata as headers."""
        body = self._codec.text(route.method.output, message)
        headers: Headers = [("content-type", JSON), *leading_texts(call), *texts(call)]
        if request.method == "GET" and route.method.safe:
            name = self._values.get("name", "")
            return caching.cached(route, request, name, message, Response(200, headers, body))
        if len(body) >= _PACK_BYTES_MIN and takes_gzip(request):
            return Response(200, [*headers, ("content-encoding", "gzip")], packed(body))
        return Response(200, headers, body)

    def refusal(self, request: Request, error: CallFailedError, call: Call | None) -> Response:
        """Return the error as JSON."""
        headers = [*leading_texts(call), *texts(call)] if call else []
        unmet = conditions.unmet(request.headers, error)
        return refused(error, headers) if unmet is None else refused(unmet, headers, _PRECONDITION_FAILED)

    def _read_query(self, message: Any, query: str) -> list[Violation]:
        """Set what the query says, and return what is wrong with it."""
        wrong: list[Violation] = []
        for name, text in parse_qsl(query, keep_blank_values=True):
            if name.startswith("$"):  # system parameters, such as $alt
                continue
            try:
                self._refuse_taken(name)
                assign(message, name.split("."), text, name, nearest=len(wrong) < NEAREST_MAX)
            except InvalidArgumentError as error:
                wrong += error.violations
            if len(wrong) >= VIOLATIONS_MAX:
                break
        return wrong

    def _refuse_taken(self, name: str) -> None:
        """Refuse a field of the query that the path or the body holds: who reads the URL would be led astray.

        Raises:
            InvalidArgumentError: of the field.
        """
        body = self._target.binding.body
        first = field_of(self._target.route.method.input, name.partition(".")[0])
        taken = {field.partition(".")[0] for field in self._values} | {body}
        if first is not None and (body == "*" or first.name in taken):
            raise InvalidArgumentError.of(name, "is given by the path or the body; leave it out of the query")

    def _read_body(self, message: Any, body: str, request: Request) -> None:
        if (kind := request.content_type) and kind != JSON and not kind.endswith("+json"):
            raise InvalidArgumentError.of("content-type", f"{kind} is not read; send {JSON}")
        data = body_of(request, self._size_bytes_max)
        at = "" if body == "*" else body
        target = getattr(message, at) if at else message
        descriptor = target.DESCRIPTOR
        if data:
            try:
                target.MergeFromString(self._codec.binary(descriptor, data, at))
            except DecodeError as error:
                raise InvalidArgumentError.of(BODY, f"is no {descriptor.full_name}") from error
        if at:
            target.SetInParent()
            imply_mask(self._target.route, message, data)

    async def _lines(self, route: Route, request: Request, headers: Headers) -> AsyncIterator[bytes]:
        """Yield the replies of a stream, a line of JSON each; an error is the last line."""
        try:
            async for reply in Streaming(self, route, request, self._clock, headers).replies():
                yield self._codec.text(route.method.output, reply) + b"\n"
        except CallFailedError as error:
            yield json.dumps(_error(error), ensure_ascii=False).encode() + b"\n"


def refused(error: CallFailedError, headers: Headers, number: int | None = None) -> Response:
    """Return an error as AIP-193 has it. `number` is an HTTP status that says more than that of the error's code."""
    told = _error(error, number)
    headers = [("content-type", JSON), ("cache-control", "no-store"), *headers]
    return Response(told["error"]["code"], headers, json.dumps(told, ensure_ascii=False).encode())


def _error(error: CallFailedError, number: int | None = None) -> dict[str, Any]:
    status = error.status
    name, usual = code_of(status.code)
    return {
        "error": {
            "code": number or usual,
            "message": status.message,
            "status": name,
            "details": [_detail(detail) for detail in status.details],
        }
    }


def _detail(detail: Packed) -> dict[str, Any]:
    try:
        told: dict[str, Any] = MessageToDict(detail)
    except TypeError:  # a type of the project's own protos, which the library's pool does not hold
        told = {"@type": detail.type_url, "value": b64encode(detail.value).decode()}
    return told
