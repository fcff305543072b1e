"""How an HTTP exchange becomes a call of the method table, whatever dialect the client speaks."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from entresol.clock import Clock
from entresol.records import CACHE, NEAR
from entresol.service.call import SESSION_KEY, Call, finished, is_awaitable
from entresol.service.quick import Look
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport import wire
from entresol.transport.calls import closing, failed, failure, serialized, trailing
from entresol.transport.web.exchange import Answer, Headers, Request, Response
from entresol.transport.wire import BINARY, IDENTITY, binary_text, binary_value


class Dialect(Protocol):
    """How one kind of client writes requests and reads answers."""

    def message(self, route: Route, request: Request) -> bytes:
        """Return the request's message, serialized.

        Raises:
            EntresolError: it cannot be read.
        """

    def timeout_s(self, request: Request) -> float | None:
        """Return what the client allows; None when it does not say."""

    def reply(self, route: Route, request: Request, message: bytes, call: Call) -> Response:
        """Return the answer of a call that went well."""

    def refusal(self, request: Request, error: CallFailedError, call: Call | None) -> Response:
        """Return the answer of one that did not."""


def unary(dialect: Dialect, route: Route, request: Request, clock: Clock) -> Answer:
    """Make one call; the answer is there at once when the handler's is."""
    call: Call | None = None
    try:
        message = dialect.message(route, request)
        call = begun = begin(route, request, clock, dialect.timeout_s(request))
        look = route.look(message, call.metadata, lambda: begun)
        if look is None:
            return _answered(dialect, route, request, call, route.handler(message, call))
        if isinstance(look, bytes):
            call.answered_by(NEAR)
            return dialect.reply(route, request, look, call)
        return _asked(dialect, route, request, call, message, look)
    except Exception as error:
        return dialect.refusal(request, _told(error, route, call), call)


def _answered(dialect: Dialect, route: Route, request: Request, call: Call, answer: Any) -> Answer:
    if is_awaitable(answer):
        return _finish(dialect, route, request, call, answer)
    return dialect.reply(route, request, serialized(answer), call)


def _asked(
    dialect: Dialect, route: Route, request: Request, call: Call, message: bytes, look: Look
) -> asyncio.Future[Answer]:
    """Return what will be answered when the cache has told what it has: by a callback, no task."""
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def told(found: bytes | None) -> None:
        if future.done():  # the client has gone
            return
        answer: Answer
        try:
            if found is None:
                answer = _answered(dialect, route, request, call, route.handler(message, call))
            else:
                call.answered_by(CACHE)
                answer = dialect.reply(route, request, found, call)
        except Exception as error:
            answer = dialect.refusal(request, _told(error, route, call), call)
        future.set_result(answer)

    look.ask(told)
    return future


async def _finish(
    dialect: Dialect, route: Route, request: Request, call: Call, answer: Awaitable[Any]
) -> Response:
    try:
        return dialect.reply(route, request, serialized(await answer), call)
    except Exception as error:
        return dialect.refusal(request, _told(error, route, call), call)


def begin(route: Route, request: Request, clock: Clock, timeout_s: float | None) -> Call:
    """Return the call of a request: every header is metadata, and a cookie may hold the session's token."""
    metadata: Mapping[str, str] = request.headers
    has_cookie = "cookie" in metadata and SESSION_KEY not in metadata
    if has_cookie and (token := cookies(request).get(SESSION_KEY)):
        metadata = {**metadata, SESSION_KEY: token}
    binary = {
        name: binary_value(name, value.encode("latin-1"))
        for name, value in metadata.items()
        if name.endswith(BINARY)
    }
    if binary:
        metadata = {name: value for name, value in metadata.items() if name not in binary}
    return Call(route.method, metadata, clock, timeout_s, binary=binary)


@dataclass(slots=True)
class Streaming:
    """One call whose replies come one by one. `call` is there once it has begun.

    `headers` are the response's: what the call sends before its replies joins them when the first is there.
    """

    dialect: Dialect
    route: Route
    request: Request
    clock: Clock
    headers: Headers
    call: Call | None = None
    _has_led: bool = False

    async def replies(self) -> AsyncIterator[bytes]:
        """Make the call, and yield its replies, serialized.

        Raises:
            CallFailedError: the call, or the rest of it, failed.
        """
        route, request = self.route, self.request
        try:
            message = self.dialect.message(route, request)
            call = self.call = begin(route, request, self.clock, self.dialect.timeout_s(request))
            stream: Any = await finished(route.handler(message, call))
            async with closing(stream):
                async for reply in stream:
                    self._lead()
                    yield serialized(reply)
        except Exception as error:
            raise _told(error, route, self.call) from error
        finally:
            self._lead()

    def _lead(self) -> None:
        if self.call is not None and not self._has_led:
            self._has_led = True
            self.headers += leading_texts(self.call)


def leading_texts(call: Call) -> Headers:
    """Return the leading metadata as text, what is binary in base64."""
    return _texts(call.leading.items()) if call.leading else []


def texts(call: Call) -> Headers:
    """Return the trailing metadata as text, what is binary in base64."""
    return _texts(trailing(call))


def _texts(metadata: Iterable[tuple[str, str | bytes]]) -> Headers:
    return [
        (name, binary_text(value).decode() if isinstance(value, bytes) else value) for name, value in metadata
    ]


def body_of(request: Request, size_bytes_max: int) -> bytes:
    """Return the request's body as its sender had it.

    Raises:
        UnimplementedError: it is packed in a way that is not known.
        MessageTooLargeError: it unpacks to more than is taken.
        InvalidArgumentError: it cannot be unpacked.
    """
    return unpacked(request.body, request.headers.get("content-encoding", ""), size_bytes_max)


def unpacked(data: bytes, encoding: str, size_bytes_max: int) -> bytes:
    """Return data that was packed as `encoding` says; raises as `body_of`."""
    return data if encoding in ("", IDENTITY) else wire.unpacked(1, data, encoding, size_bytes_max)


def takes_gzip(request: Request) -> bool:
    """Tell whether the client reads what is packed by gzip."""
    offers = request.headers.get("accept-encoding", "").split(",")
    return any(
        one.strip().partition(";")[0] == "gzip" and "q=0" not in one.replace("q=0.", "") for one in offers
    )


def packed(data: bytes) -> bytes:
    """Return data packed by gzip."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def cookies(request: Request) -> dict[str, str]:
    """Return the request's cookies by name."""
    found = {}
    for part in request.headers.get("cookie", "").split(";"):
        name, equals, value = part.strip().partition("=")
        if equals:
            found[name] = value
    return found


def _told(error: Exception, route: Route, call: Call | None) -> CallFailedError:
    return failure(error, call) if call is not None else failed(error, route.method.path)
