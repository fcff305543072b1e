"""The headers of one call, as far as anybody asks for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from entresol.clock import Clock
from entresol.schema.model import Method
from entresol.service.call import Call
from entresol.service.quick import token_of
from entresol.transport.wire import BINARY, IDENTITY, binary_value, timeout_s

_HEADERS_KNOWN_MAX = 16  # of a call whose headers are kept for the next
# What is the wire's own, and no metadata of the call.
_WIRE = frozenset({b"te", b"host", b"grpc-accept-encoding"})
_GRPC = (b"application/grpc", b"application/grpc+proto")


class Head(NamedTuple):
    """What a call begins with. Of a name that comes several times, the values with commas between."""

    metadata: Mapping[str, str]
    binary: Mapping[str, bytes]
    is_grpc: bool  # with protobuf; gRPC-Web, for one, is not
    encoding: str
    timeout_s: float | None
    token: str | None  # of the session, "" without one; None when the call is not plain (`service/quick.py`)

    @classmethod
    def of(cls, headers: Sequence[tuple[bytes, bytes]]) -> Head:
        """Return what these headers say; a client's are mostly those of its last call.

        Raises:
            InvalidArgumentError: one of them cannot be read.
        """
        return _known(tuple(headers)) if len(headers) <= _HEADERS_KNOWN_MAX else cls.read(headers)

    @classmethod
    def read(cls, headers: Iterable[tuple[bytes, bytes]]) -> Head:
        """Return the same, without having looked whether they are known."""
        metadata: dict[str, str] = {}
        binary: dict[str, bytes] = {}
        encoding, allowed_s, is_grpc = IDENTITY, None, False
        for name, value in headers:
            if name in _WIRE:
                continue
            if name == b"content-type":
                is_grpc = value.partition(b";")[0].strip() in _GRPC
            elif name == b"grpc-timeout":
                allowed_s = timeout_s(value.decode("latin-1"))
            elif name == b"grpc-encoding":
                encoding = value.decode("latin-1")
            else:
                key = name.decode("latin-1")
                if key.endswith(BINARY):
                    binary[key] = binary_value(key, value)
                elif key in metadata:
                    metadata[key] += "," + value.decode("latin-1")
                else:
                    metadata[key] = value.decode("latin-1")
        return cls(metadata, binary, is_grpc, encoding, allowed_s, token_of(metadata))

    def call(self, method: Method, clock: Clock) -> Call:
        """Return the call of a method that these headers begin."""
        return Call(method, self.metadata, clock, self.timeout_s, binary=self.binary)


@lru_cache(maxsize=256)
def _known(headers: tuple[tuple[bytes, bytes], ...]) -> Head:
    return Head.read(headers)
