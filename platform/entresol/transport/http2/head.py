"""The headers of one call, as far as anybody asks for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from entresol.transport.wire import BINARY, IDENTITY, binary_value, timeout_s

# What is the wire's own, and no metadata of the call.
_WIRE = frozenset({b"te", b"host", b"grpc-accept-encoding"})


class Head(NamedTuple):
    """What a call begins with. Of a name that comes several times, the values with commas between."""

    metadata: dict[str, str]
    binary: dict[str, bytes]
    content_type: bytes
    encoding: str
    timeout_s: float | None

    @classmethod
    def of(cls, headers: Iterable[tuple[bytes, bytes]]) -> Head:
        """Return what these headers say.

        Raises:
            InvalidArgumentError: one of them cannot be read.
        """
        metadata: dict[str, str] = {}
        binary: dict[str, bytes] = {}
        content_type, encoding, allowed_s = b"", IDENTITY, None
        for name, value in headers:
            if name in _WIRE:
                continue
            if name == b"content-type":
                content_type = value
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
        return cls(metadata, binary, content_type, encoding, allowed_s)


def is_grpc(content_type: bytes) -> bool:
    """Tell whether a request is gRPC with protobuf; gRPC-Web, for one, is not."""
    kind = content_type.partition(b";")[0].strip()
    return kind in (b"application/grpc", b"application/grpc+proto")
