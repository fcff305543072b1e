"""Connections of the load: HTTP/2 that speaks gRPC, and HTTP/1.1 that speaks JSON, by the engine of the fast transport.

A client of grpcio or of aiohttp would cost several times what the servers do, and would be what is measured.
"""

from __future__ import annotations

import abc
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import zttp

STREAMS_MAX = 3000  # of one connection; the engine ends it at 4096
ANSWERED_BY = b"entresol-answered-by"
CODES = {str(code.value[0]).encode(): code.name for code in grpc.StatusCode}
OK = "OK"
_WINDOW_BYTES = 4 * 1024 * 1024  # of a stream; a connection has as much as several of them
# SETTINGS with that one, and WINDOW_UPDATE of the connection (RFC 9113, 6.5 and 6.9).
_INITIAL_WINDOW = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04" + _WINDOW_BYTES.to_bytes(4)
_CONNECTION_WINDOW = b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + (4 * _WINDOW_BYTES).to_bytes(4)


@dataclass(frozen=True, slots=True)
class Request:
    """One call, ready to be sent."""

    method: bytes
    path: bytes
    body: bytes
    expected: tuple[bytes, ...]  # what a right answer holds


@dataclass(slots=True)
class Call:
    """One call in flight. `done` hears how it ended: OK, or what went wrong."""

    request: Request
    done: Callable[[Call, str], None]
    body: bytearray = field(default_factory=bytearray)
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)

    @property
    def answered_by(self) -> str:
        """Return who answered, where the server says so."""
        return dict(self.fields).get(ANSWERED_BY, b"").partition(b":")[0].decode()

    def end(self, code: str) -> None:
        """Tell how it ended; an answer without what it must hold is none."""
        if code == OK and not _has(self.body, self.request.expected):
            code = "WRONG_ANSWER"
        self.done(self, code)


def _has(body: bytearray, expected: Sequence[bytes]) -> bool:
    """Tell whether all that is expected is there, in this order: each is looked for behind the one before."""
    at = 0
    for part in expected:
        at = body.find(part, at)
        if at < 0:
            return False
    return True


class Connection(asyncio.Protocol, abc.ABC):
    """One connection to a server."""

    room: int  # how many calls it takes at a time

    def __init__(self, authority: bytes) -> None:
        self.leaving = False  # it takes no more calls
        self.in_flight = 0
        self._authority = authority
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def call(self, call: Call) -> None:
        """Begin a call; one on a connection that is closed is lost."""
        if self._transport is None or self._transport.is_closing():
            asyncio.get_running_loop().call_soon(call.end, "LOST")
        else:
            self.in_flight += 1
            self._begin(call)

    @abc.abstractmethod
    def _begin(self, call: Call) -> None:
        """Send what a call asks."""

    def close(self) -> None:
        """End the connection."""
        self.leaving = True
        if self._transport is not None:
            self._transport.close()


class GrpcConnection(Connection):
    """HTTP/2: many calls at a time, written together once a turn of the event loop."""

    room = 1000

    def __init__(self, authority: bytes) -> None:
        super().__init__(authority)
        self._engine = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
        self._calls: dict[int, Call] = {}
        self._opened = 0
        self._planned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._engine.initiate_connection()
        self._flush()
        assert self._transport is not None
        # What clients of gRPC open as soon as they see that there is much to come (C's and Go's by a probe): without
        # it, a reply of 100 KiB waits for its reader twice, and the benchmark would be about that.
        self._transport.write(_INITIAL_WINDOW + _CONNECTION_WINDOW)

    def connection_lost(self, error: Exception | None) -> None:
        self.leaving = True
        lost, self._calls, self.in_flight = self._calls, {}, 0
        for call in lost.values():
            call.end("LOST")

    def _begin(self, call: Call) -> None:
        self._opened += 1
        if self._opened >= STREAMS_MAX:
            self.leaving = True
        headers = [
            (b"host", self._authority),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"entresol-bench"),
            (b"grpc-timeout", b"10S"),
        ]
        stream = self._engine.send_request(b"POST", call.request.path, b"2", headers)
        stream.send_data(b"\x00" + len(call.request.body).to_bytes(4) + call.request.body)
        stream.end_message()
        self._calls[stream.stream_id] = call
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._planned = False
        if self._transport is not None and (data := self._engine.data_to_send()):
            self._transport.write(data)
        if self.leaving and not self._calls:
            self.close()

    def data_received(self, data: bytes) -> None:
        engine = self._engine
        engine.receive_data(data)
        while (event := engine.next_event()) is not zttp.NEED_DATA:
            kind: Any = type(event)
            if kind is zttp.Data:
                self._calls[event.stream_id].body += event.data
            elif kind is zttp.Response:
                self._calls[event.stream_id].fields += event.headers
            elif kind is zttp.EndOfMessage:
                self._calls[event.stream_id].fields += event.trailers
                self._end(event.stream_id)
            elif kind is zttp.GoAway:
                self.leaving = True
            elif kind is zttp.RstStream and event.stream_id in self._calls:
                self._end(event.stream_id, "RESET")
        self._flush()

    def _end(self, stream_id: int, code: str | None = None) -> None:
        call = self._calls.pop(stream_id)
        self.in_flight -= 1
        status = dict(call.fields).get(b"grpc-status", b"")
        call.end(code or CODES.get(status, "NO_STATUS"))


class JsonConnection(Connection):
    """HTTP/1.1, kept alive: one call at a time, as every client of such servers does it."""

    room = 1

    def __init__(self, authority: bytes) -> None:
        super().__init__(authority)
        self._engine = zttp.Connection(zttp.CLIENT)
        self._status = 0
        self._call: Call | None = None

    def connection_lost(self, error: Exception | None) -> None:
        self.leaving = True
        self._end("LOST")

    def _begin(self, call: Call) -> None:
        assert self._transport is not None
        self._call = call
        headers = [
            (b"host", self._authority),
            (b"accept", b"application/json"),
            (b"user-agent", b"entresol-bench"),
        ]
        if call.request.body:
            length = str(len(call.request.body)).encode()
            headers += [(b"content-type", b"application/json"), (b"content-length", length)]
        self._engine.send_request(call.request.method, call.request.path, b"1.1", headers)
        if call.request.body:
            self._engine.send_data(call.request.body)
        self._engine.end_message()
        self._transport.write(self._engine.data_to_send())

    def data_received(self, data: bytes) -> None:
        engine = self._engine
        engine.receive_data(data)
        while (event := engine.next_event()) is not zttp.NEED_DATA:
            kind: Any = type(event)
            if self._call is None:
                continue
            if kind is zttp.Data:
                self._call.body += event.data
            elif kind is zttp.Response:
                self._status = event.status_code
                self._call.fields += event.headers
            elif kind is zttp.EndOfMessage:
                if engine.should_close():
                    self.close()
                else:
                    engine.start_next_cycle()
                self._end(OK if 200 <= self._status < 300 else f"HTTP_{self._status}")
                return

    def _end(self, code: str) -> None:
        call, self._call = self._call, None
        if call is not None:
            self.in_flight -= 1
            call.end(code)
