"""A peer that says whatever it likes: HTTP/2 frames by hand over a socket, to try what a proper client never sends."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, ENHANCE_YOUR_CALM, REFUSED_STREAM, CANCEL = 0, 11, 7, 8
LAST_STREAM = 2**31 - 1
Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Frame:
    """One frame as it came."""

    kind: int
    flags: int
    stream: int
    payload: bytes


@dataclass
class Peer:
    """One connection; `greet` makes it an HTTP/2 one. Used as a block, it is closed at its end."""

    address: str
    timeout_s: float = 10.0
    socket: socket.socket = field(init=False)
    _received: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        host, _, port = self.address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), self.timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.socket.close()

    def greet(self, settings: Iterable[tuple[int, int]] = ()) -> Self:
        """Send the preface and settings, by their numbers."""
        payload = b"".join(key.to_bytes(2) + value.to_bytes(4) for key, value in settings)
        self.write(PREFACE + frame(SETTINGS, 0, 0, payload))
        return self

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def call(self, stream: int, path: str, message: bytes, extra: Headers = ()) -> None:
        """Send one whole unary call."""
        self.write(call(stream, path, message, extra))

    def frames(self, timeout_s: float = 5.0) -> Iterator[Frame]:
        """Yield frames until the server closes, or says nothing for so long."""
        self.socket.settimeout(timeout_s)
        while True:
            while len(self._received) >= 9:
                size = int.from_bytes(self._received[:3])
                if len(self._received) < 9 + size:
                    break
                head, payload = self._received[:9], bytes(self._received[9 : 9 + size])
                del self._received[: 9 + size]
                yield Frame(head[3], head[4], int.from_bytes(head[5:9]) & LAST_STREAM, payload)
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, ConnectionError):
                return
            if not data:
                return
            self._received += data

    def until(self, kind: int, timeout_s: float = 5.0) -> Frame:
        """Return the next frame of this kind."""
        for item in self.frames(timeout_s):
            if item.kind == kind:
                return item
        raise AssertionError(f"no frame of kind {kind} came")

    def is_gone(self, timeout_s: float = 5.0, says: bytes = b"") -> bool:
        """Tell whether the server ends the connection within this time, without reading what it sends.

        Meanwhile `says` is sent again and again, else answers to pings that were none.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            try:
                self.write(says or frame(PING, ACK, 0, bytes(8)))
            except OSError:
                return True
            time.sleep(0.1)
        return False

    def is_closed(self, timeout_s: float = 5.0) -> bool:
        """Tell whether the server closes within this time, whatever it says before."""
        until = time.monotonic() + timeout_s
        self.socket.settimeout(0.1)
        while time.monotonic() < until:
            try:
                if not self.socket.recv(1 << 20):
                    return True
            except TimeoutError:
                continue
            except ConnectionError:
                return True
        return False


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def block(headers: Headers) -> bytes:
    """Return a field block: every field a literal, none to be remembered (RFC 7541, 6.2.2)."""
    return b"".join(b"\x00" + text(name) + text(value) for name, value in headers)


def text(value: bytes) -> bytes:
    """Return a string literal without Huffman's code."""
    size = len(value)
    if size < 127:
        return bytes((size,)) + value
    size -= 127
    parts = bytearray((127,))
    while size >= 128:
        parts.append(size % 128 + 128)
        size //= 128
    parts.append(size)
    return bytes(parts) + value


def request(path: str, extra: Headers = (), method: bytes = b"POST") -> Headers:
    """Return the headers of a call."""
    return [
        (b":method", method),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
        *extra,
    ]


def call(stream: int, path: str, message: bytes, extra: Headers = ()) -> bytes:
    """Return the frames of one whole unary call."""
    body = b"\x00" + len(message).to_bytes(4) + message
    head = frame(HEADERS, END_HEADERS, stream, block(request(path, extra)))
    return head + frame(DATA, END_STREAM, stream, body)
