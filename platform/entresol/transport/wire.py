"""gRPC over HTTP/2, the encodings: message frames, timeouts, status texts, binary metadata.

They are those of https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md. Pure: nothing here sends or waits.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from urllib.parse import quote

from entresol.errors import (
    CardinalityError,
    FrameError,
    InvalidArgumentError,
    MessageTooLargeError,
    UnimplementedError,
)

PREFIX_BYTES = 5  # one for the flag of compression, four for the length
IDENTITY = "identity"
# What zlib calls its formats; gRPC's "deflate" has zlib's own header.
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}
ENCODINGS = (IDENTITY, *_WINDOWS)
BINARY = "-bin"

_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_DIGITS_MAX = 8
# What may stand in a status text as it is: printable ASCII but for the percent sign.
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def timeout_s(text: str) -> float:
    """Return the seconds that a `grpc-timeout` allows.

    Raises:
        InvalidArgumentError: it is not at most eight digits and a unit.
    """
    digits, unit = text[:-1], text[-1:]
    if unit not in _UNITS_S or not digits.isascii() or not digits.isdigit() or len(digits) > _DIGITS_MAX:
        raise InvalidArgumentError.of("grpc-timeout", f"{text!r} is not digits and one of H, M, S, m, u, n")
    return int(digits) * _UNITS_S[unit]


def status_text(text: str) -> bytes:
    """Return an error's text as `grpc-message` holds it."""
    written = quote(text, safe=_PLAIN)
    inner = written.strip(" ")  # HTTP knows no space at either end of a value
    before = len(written) - len(written.lstrip(" "))
    return ("%20" * before + inner + "%20" * (len(written) - before - len(inner))).encode()


def binary_text(value: bytes) -> bytes:
    """Return a binary value as metadata holds it: base64 without padding."""
    return b64encode(value).rstrip(b"=")


def binary_value(name: str, text: bytes) -> bytes:
    """Return what a metadata value whose name ends with `-bin` holds; several have commas between them.

    Raises:
        InvalidArgumentError: it is not base64.
    """
    try:
        parts = [b64decode(part + b"=" * (-len(part) % 4), validate=True) for part in text.split(b",")]
    except Base64Error as error:
        raise InvalidArgumentError.of(name, "is not base64") from error
    return b",".join(parts)


def framed(message: bytes, encoding: str = IDENTITY) -> bytes:
    """Return `message` with its prefix, compressed when `encoding` says so."""
    prefix, body = parts(message, encoding)
    return prefix + body


def parts(message: bytes, encoding: str) -> tuple[bytes, bytes]:
    """Return the prefix of a message and its bytes, compressed when `encoding` says so; nothing else is copied."""
    if encoding in _WINDOWS:
        packer = zlib.compressobj(wbits=_WINDOWS[encoding])
        message = packer.compress(message) + packer.flush()
        return b"\x01" + len(message).to_bytes(4), message
    return b"\x00" + len(message).to_bytes(4), message


def only_message(body: bytes | bytearray, size_bytes_max: int) -> tuple[int, bytes]:
    """Return the flag and the bytes of the one message that the body of a call holds, still packed.

    Raises:
        CardinalityError: there is none, or more behind it.
        MessageTooLargeError: it is larger than allowed.
        InvalidArgumentError: the body ends in the middle of it.
    """
    if not body:
        raise CardinalityError("the call has no request; this method takes one")
    size = int.from_bytes(body[1:PREFIX_BYTES])
    if size > size_bytes_max:
        raise MessageTooLargeError(size, size_bytes_max)
    if len(body) < PREFIX_BYTES + size:
        raise InvalidArgumentError.of("request", "ends in the middle of a message")
    if len(body) > PREFIX_BYTES + size:
        raise CardinalityError("the call has several requests; this method takes one")
    return body[0], bytes(body[PREFIX_BYTES:])


class Unframer:
    """Takes the bytes of one stream as they come and gives the messages that are whole, still packed."""

    def __init__(self, size_bytes_max: int) -> None:
        """Hold messages of at most `size_bytes_max`."""
        self._size_bytes_max = size_bytes_max
        self._buffer = bytearray()

    @property
    def size_bytes(self) -> int:
        """Return how many bytes wait for the rest of their message."""
        return len(self._buffer)

    def take(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the messages that `data` completes, each with the flag that tells whether it is packed.

        Raises:
            MessageTooLargeError: a message is larger than allowed.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= PREFIX_BYTES:
            size = int.from_bytes(buffer[1:PREFIX_BYTES])
            if size > self._size_bytes_max:
                raise MessageTooLargeError(size, self._size_bytes_max)
            if len(buffer) < PREFIX_BYTES + size:
                return
            flag, message = buffer[0], bytes(buffer[PREFIX_BYTES : PREFIX_BYTES + size])
            del buffer[: PREFIX_BYTES + size]
            yield flag, message


def unpacked(flag: int, message: bytes, encoding: str, size_bytes_max: int) -> bytes:
    """Return a message as its sender had it.

    Raises:
        MessageTooLargeError: it unpacks to more than is allowed.
        FrameError: it is compressed, and nothing says how.
        UnimplementedError: it is compressed in a way that this server does not know.
        InvalidArgumentError: it cannot be unpacked.
    """
    if not flag:
        return message
    if flag != 1 or encoding in ("", IDENTITY):
        told = encoding or IDENTITY
        raise FrameError(
            f"a message has the flag {flag}, and the encoding of its call is {told}",
            metadata={"flag": str(flag), "encoding": told},
        )
    window = _WINDOWS.get(encoding)
    if window is None:
        raise _unknown(encoding)
    unpacker = zlib.decompressobj(wbits=window)
    try:
        result = unpacker.decompress(message, size_bytes_max)
    except zlib.error as error:
        raise InvalidArgumentError.of("request", f"cannot be unpacked by {encoding}") from error
    if unpacker.unconsumed_tail:
        raise MessageTooLargeError(None, size_bytes_max)
    if not unpacker.eof:
        raise InvalidArgumentError.of("request", "ends before what is packed does")
    return result


def check_encoding(encoding: str) -> None:
    """Raise UnimplementedError for an encoding that this server does not know, whether a message makes use of it."""
    if encoding not in ENCODINGS:
        raise _unknown(encoding)


def _unknown(encoding: str) -> UnimplementedError:
    return UnimplementedError(
        f"{encoding!r} is not among the encodings {', '.join(ENCODINGS)}", metadata={"encoding": encoding}
    )
