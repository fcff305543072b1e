"""Numbers in as few bytes as they need, as Protocol Buffers write them.

Seven bits a byte, the lowest first (https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations


def varint(number: int) -> bytes:
    """Return the base-128 encoding of a number that is not negative."""
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
