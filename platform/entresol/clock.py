"""Time and identifiers as one value, so that tests can own both."""

from __future__ import annotations

import re
import secrets
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(slots=True)
class Clock:
    """The time of this process. Tests use `entresol.testing.ManualClock`, which moves only when told."""

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return seconds on a clock that never goes back."""
        return time.monotonic()


# Crockford's alphabet in lower case: no i, l, o, u, so ids survive being read aloud.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_BASE32 = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")  # as `int` reads it
_ID = re.compile(f"r[0-7][{_ALPHABET}]{{24}}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Identifiers:
    """Source of new resource ids, uids and lease owners."""

    clock: Clock = field(default_factory=Clock)

    def resource_id(self) -> str:
        """Return a new id of 26 characters that starts with a letter and sorts by time of creation.

        The layout is like ULID's (48 bits of milliseconds, then 75 random bits) behind a letter, because AIP-122 wants
        an id to start with one.
        """
        number = (int(self.clock.now_s() * 1000) << 75) | secrets.randbits(75)
        digits = [_ALPHABET[(number >> shift) & 31] for shift in range(120, -1, -5)]
        return "r" + "".join(digits)

    def uid(self) -> str:
        """Return a new UUID4 in its canonical form."""
        return str(uuid.uuid4())


def time_of_id(resource_id: str) -> datetime | None:
    """Return when `Identifiers.resource_id` made this id, to the millisecond; None when it did not make it."""
    if not _ID.fullmatch(resource_id):
        return None
    try:
        return _EPOCH + timedelta(milliseconds=int(resource_id[1:11].translate(_BASE32), 32))
    except OverflowError:  # 48 bits reach beyond the year 9999
        return None
