"""One HTTP/1.1 connection: requests come in one after the other, and each is answered before the next is looked at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, cast
from urllib.parse import quote

import zttp

from entresol.config import Settings
from entresol.transport.calls import closing
from entresol.transport.listener import Owner
from entresol.transport.web.exchange import Answer, Headers, Request, Response, response_of

log = logging.getLogger(__name__)

_WRITE_BYTES_MAX = 1024 * 1024
# Most headers are those of the request before: so many are remembered, if they are short.
_KNOWN_MAX, _KNOWN_BYTES_MAX = 4096, 256
_LENGTHLESS = frozenset({204, 304})
_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) != "%")


class Pages(Protocol):
    """What answers the requests of a connection."""

    @property
    def size_bytes_max(self) -> int:
        """Return the size of the largest body that is taken."""

    def answer(self, request: Request) -> Answer:
        """Return the answer, or what to await for it."""


class _TooLargeError(Exception):
    """The body of a request is larger than it may be."""


class Connection(asyncio.Protocol):
    """One connection of a server. `pages` are asked for each answer; `owner` hears of its beginning and end."""

    def __init__(self, pages: Pages, settings: Settings, owner: Owner) -> None:
        self._loop = asyncio.get_running_loop()
        self._engine = zttp.Connection(zttp.SERVER)
        self._answer = pages.answer
        self._body_bytes_max = pages.size_bytes_max
        self._settings = settings
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._request: Request | None = None
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._early = b""  # what came behind a request that is not answered yet
        self._running: asyncio.Future[Any] | None = None
        self._room: asyncio.Future[None] | None = None
        self._leaving = False
        self._is_head = False
        self._heard_s = self._loop.time()
        self._first_s: float | None = None  # when the first byte of a request came that is not whole
        self._stuck_s: float | None = None  # since when the client does not read

    @property
    def is_idle(self) -> bool:
        """Whether no request is on its way or worked on."""
        return self._running is None and self._request is None

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        self._owner.opened(self)
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BYTES_MAX)

    def connection_lost(self, error: Exception | None) -> None:
        """Stop what runs for the client."""
        self._transport = None
        if self._running is not None:
            self._loop.call_soon(self._running.cancel)
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        """Work on what the client sent."""
        self._heard_s = self._loop.time()
        if self._running is not None:  # the next request, before the last one is answered
            self._early += data
            self._hold()
            return
        if self._first_s is None:
            self._first_s = self._heard_s
        self._work(data)

    def pause_writing(self) -> None:
        """Let a stream of pieces wait for a client that does not read."""
        self._stuck_s = self._loop.time()
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = self._stuck_s = None

    # What the server asks for.

    def leave(self, _reason: str) -> None:
        """Close now, or when the request that is worked on is answered."""
        self._leaving = True
        if self.is_idle:
            self._close()

    def abort(self, _reason: str) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now_s: float) -> None:
        """Look after time: a client that says nothing, sends a request by the drop, or does not read."""
        quiet_s = now_s - self._heard_s
        if self._stuck_s is not None and now_s - self._stuck_s > self._settings.stall_max_s:
            self.abort("slow reader")
        elif (
            self._running is None
            and quiet_s > self._settings.keepalive_s + self._settings.keepalive_timeout_s
        ):
            self._close()
        elif self._is_late(now_s):
            self._refuse("408 Request Timeout", "the request took too long to arrive")

    def _is_late(self, now_s: float) -> bool:
        return self._first_s is not None and now_s - self._first_s > self._settings.deadline_default_s

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    # Requests.

    def _work(self, data: bytes | None = None) -> None:
        engine = self._engine
        try:
            event = engine.receive_event(data) if data is not None else engine.next_event()
            while event is not zttp.NEED_DATA and event is not zttp.CONNECTION_CLOSED:
                if self._take(event) and not self._end():
                    return
                event = engine.next_event()
        except zttp.RemoteProtocolError as error:
            self._refuse("400 Bad Request", f"the request cannot be read: {error}")
        except _TooLargeError:
            text = f"the body has more than {self._body_bytes_max} bytes; send less at once"
            self._refuse("413 Content Too Large", text)
        except Exception:
            log.exception("a request could not be answered; the connection is closed")
            self._refuse("500 Internal Server Error", "the server failed")

    def _take(self, event: Any) -> bool:
        """Take one event in and tell whether the request is whole."""
        kind = type(event)
        if kind is zttp.Request:
            self._request = Request(
                event.method.decode("latin-1"),
                event.path.decode("latin-1"),
                event.query.decode("latin-1"),
                headers_of(event.headers.to_list(lowercase_names=True)),
            )
            length = self._request.headers.get("content-length", "")
            if length.isdigit() and int(length) > self._body_bytes_max:
                raise _TooLargeError
            if event.expect_continue and self._transport is not None:
                self._engine.send_informational(100)
                self._transport.write(self._engine.data_to_send())
            return bool(event.end_stream)
        if kind is zttp.Data:
            self._body_bytes += len(event.data)
            if self._body_bytes > self._body_bytes_max:
                raise _TooLargeError
            self._body.append(event.data)
            return False
        return kind is zttp.EndOfMessage

    def _end(self) -> bool:
        """Answer the request that is whole; tell whether the next may be looked at."""
        request = self._request
        assert request is not None
        self._first_s = None
        self._is_head = request.method == "HEAD"
        if self._is_head:
            request.method = "GET"  # whose answer it is, but for the body
        request.body = b"".join(self._body)
        self._body, self._body_bytes = [], 0
        return self._send(self._answer(request))

    def _send(self, answer: Answer) -> bool:
        """Send the answer, now or when it is there; tell whether the next request may be looked at."""
        if isinstance(answer, Response) and isinstance(answer.body, bytes):
            self._send_whole(answer, answer.body)
            return self._next()
        if isinstance(answer, asyncio.Future):
            self._running = answer
            answer.add_done_callback(self._told)
        else:
            self._running = self._loop.create_task(self._finish(answer))
        return False

    def _told(self, answer: asyncio.Future[Answer]) -> None:
        """Go on with an answer that needed no task so far."""
        if self._transport is None or answer.cancelled():
            return
        self._running = None
        if self._send(answer.result()):
            self._go_on()

    async def _finish(self, answer: Answer) -> None:
        try:
            response = await response_of(answer)
            if isinstance(response.body, bytes):
                self._send_whole(response, response.body)
            else:
                await self._send_pieces(response)
        except Exception:
            log.exception("a reply could not be sent; the connection is closed")
            self.abort("a reply could not be sent")
        self._running = None
        if self._next():
            self._go_on()

    def _go_on(self) -> None:
        """Look at the next request, if some of it is here."""
        early, self._early = self._early, b""
        if early:
            self._first_s = self._loop.time()
            self._resume()
        self._work(early or None)

    def _hold(self) -> None:
        """Read no more: what is sent meanwhile waits where it is."""
        if self._transport is not None:
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _next(self) -> bool:
        """Make ready for the next request, if there may be one."""
        self._request = None
        if self._engine.should_close() or self._leaving or self._transport is None:
            self._close()
            return False
        self._engine.start_next_cycle()
        return True

    def _send_whole(self, response: Response, body: bytes) -> None:
        headers = response.headers
        if response.status not in _LENGTHLESS:
            headers = [*headers, ("content-length", str(len(body)))]
        self._engine.send_response(response.status, encoded(headers))
        if body and response.status not in _LENGTHLESS and not self._is_head:
            self._engine.send_data(body)
        self._engine.end_message()
        self._flush()

    async def _send_pieces(self, response: Response) -> None:
        pieces: Any = response.body
        async with closing(pieces):
            first = await anext(pieces, b"")
            self._engine.send_response(
                response.status, encoded([*response.headers, ("transfer-encoding", "chunked")])
            )
            if first:
                await self._send_piece(first)
            async for piece in pieces:
                await self._send_piece(piece)
        self._engine.end_message()
        self._flush()

    async def _send_piece(self, piece: bytes) -> None:
        self._engine.send_data(piece)
        self._flush()
        if self._room is not None:
            await self._room

    def _refuse(self, status: str, text: str) -> None:
        """Tell what is wrong with something that cannot be answered otherwise, and close."""
        if self._running is not None:
            self.abort(text)  # in the middle of another answer nothing can be told
            return
        body = text.encode()
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        if self._transport is not None:
            self._transport.write(head.encode() + body)
            self._transport.close()

    def _flush(self) -> None:
        if self._transport is not None and (data := self._engine.data_to_send()):
            self._transport.write(data)


def headers_of(pairs: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name; of one that comes several times, the values with commas."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key, text = (_known if len(name) + len(value) <= _KNOWN_BYTES_MAX else _decoded)(name, value)
        between = "; " if key == "cookie" else ","
        headers[key] = f"{headers[key]}{between}{text}" if key in headers else text
    return headers


def _decoded(name: bytes, value: bytes) -> tuple[str, str]:
    return name.decode("latin-1"), value.decode("latin-1")


_known = lru_cache(maxsize=_KNOWN_MAX)(_decoded)


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return headers as the engine takes them; of a value, what no header may hold is percent-encoded."""
    return [
        (_written if len(value) <= _KNOWN_BYTES_MAX else _encoded)(name, value) for name, value in headers
    ]


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    is_plain = value.isascii() and value.isprintable() and value == value.strip()
    return name.encode("latin-1"), value.encode() if is_plain else quote(value, safe=_PLAIN).encode()


_written = lru_cache(maxsize=_KNOWN_MAX)(_encoded)
