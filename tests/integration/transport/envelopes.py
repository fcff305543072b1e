"""The envelopes that Connect and gRPC-Web put around each message: a flag, a length, the bytes."""

from __future__ import annotations


def envelope(message: bytes, flags: int = 0) -> bytes:
    return bytes((flags,)) + len(message).to_bytes(4) + message


def envelopes(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        size = int.from_bytes(data[1:5])
        found.append((data[0], data[5 : 5 + size]))
        data = data[5 + size :]
    return found
