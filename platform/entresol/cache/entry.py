"""What the cache holds of a record: a header that scripts compare as text, then the message as it is sent."""

from __future__ import annotations

import enum
from typing import NamedTuple

HEADER_BYTES = 50
REVISION_BYTES = 8


class Rank(enum.IntEnum):
    """Whether the record was there."""

    VALUE = 1
    ABSENT = 2


class Entry(NamedTuple):
    """A hit. `message` reflects every change of the record up to the higher of `asof` and `watermark`.

    `version` is 0 when the record was looked for and not found, for then its last version is not known.
    """

    version: int
    rank: Rank
    asof: int
    watermark: int
    message: bytes


def hexed(number: int) -> bytes:
    """Return a position or version as the scripts compare it."""
    return b"%016x" % number


def stamp(version: int, rank: Rank) -> bytes:
    """Return version and rank as the scripts compare them: a deletion comes after the version it deleted."""
    return b"%016x%d" % (version, rank)


def body(revision: str, message: bytes) -> bytes:
    """Return the part of an entry that no script looks into."""
    return padded(revision) + message


def padded(revision: str) -> bytes:
    """Return a schema revision in its fixed width."""
    return revision.rjust(REVISION_BYTES, "0").encode()


def parse(data: bytes | None, generation: bytes, watermark: int, revision: bytes) -> Entry | None:
    """Return the entry, or None when there is none, or one of another generation or schema revision."""
    if data is None or not data.startswith(generation) or data[42:HEADER_BYTES] != revision:
        return None
    rank = Rank.VALUE if data[24] == 49 else Rank.ABSENT  # b"1"
    return Entry(int(data[8:24], 16), rank, int(data[26:42], 16), watermark, data[HEADER_BYTES:])
