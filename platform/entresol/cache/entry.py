"""What the cache holds of a record: a header that scripts compare as text, then the message as it is sent."""

from __future__ import annotations

import enum
import struct
from functools import lru_cache
from typing import NamedTuple

REVISION_BYTES = 8
_TEXT_BYTES = 50  # what the scripts look into, then the revision
_HISTORY = struct.Struct(">QQI")  # seen, expiry and cost: for readers only
# Generation, version, rank, position and revision as text, then the history.
_HEADER = struct.Struct(f">8s16sBx16s{REVISION_BYTES}sQQI")
_VALUE = ord("1")
HEADER_BYTES = _HEADER.size
assert _TEXT_BYTES + _HISTORY.size == HEADER_BYTES


class Rank(enum.IntEnum):
    """Whether the record was there."""

    VALUE = 1
    ABSENT = 2


class Entry(NamedTuple):
    """A hit. `message` reflects every change of the record up to the higher of `asof` and `watermark`.

    `version` is 0 when the record was looked for and not found, for then its last version is not known. The change that
    made the content committed at or before `seen`; 0 is not known. The entry ends at `expiry_ms` by the clock of its
    maker, whom it took `cost_ms`.
    """

    version: int
    rank: Rank
    asof: int
    watermark: int
    message: bytes
    seen: int = 0
    expiry_ms: int = 0
    cost_ms: int = 0


def hexed(number: int) -> bytes:
    """Return a position or version as the scripts compare it."""
    return b"%016x" % number


def stamp(version: int, rank: Rank) -> bytes:
    """Return version and rank as the scripts compare them: a deletion comes after the version it deleted."""
    return b"%016x%d" % (version, rank)


def body(revision: str, message: bytes, *, seen: int, expiry_ms: int, cost_ms: int) -> bytes:
    """Return the part of an entry that no script looks into, but for the revision."""
    return padded(revision) + _HISTORY.pack(seen, expiry_ms, cost_ms) + message


@lru_cache(maxsize=1024)
def padded(revision: str) -> bytes:
    """Return a schema revision in its fixed width."""
    return revision.rjust(REVISION_BYTES, "0").encode()


def parse(
    data: bytes | None, generation: bytes, watermark: int, revision: bytes, floor: bytes | None = None
) -> Entry | None:
    """Return the entry; None of what is none of ours, of another generation or revision, or below the floor."""
    if data is None or len(data) < HEADER_BYTES:
        return None
    of, version, kind, asof, by, seen, expiry_ms, cost_ms = _HEADER.unpack_from(data)
    if of != generation or by != revision or (floor is not None and asof < floor):
        return None
    rank = Rank.VALUE if kind == _VALUE else Rank.ABSENT
    message = data[HEADER_BYTES:]
    try:
        return Entry(int(version, 16), rank, int(asof, 16), watermark, message, seen, expiry_ms, cost_ms)
    except ValueError:  # somebody else has written there
        return None
