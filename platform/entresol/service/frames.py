"""Replies assembled from serialized messages without parsing them.

A repeated message field is, on the wire, the concatenation of tag, length and bytes of each element, so a list of
records is a join (https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Iterable

from entresol.varint import varint

_LENGTH_DELIMITED = 2
_SHORT = [varint(number) for number in range(4096)]


def repeated(field_number: int, messages: Iterable[bytes]) -> bytes:
    """Return the encoding of a repeated message, string or bytes field with these elements."""
    tag = varint(field_number << 3 | _LENGTH_DELIMITED)
    parts: list[bytes] = []
    for message in messages:
        size = len(message)
        parts += (tag, _SHORT[size] if size < 4096 else varint(size), message)
    return b"".join(parts)
