"""Ids of jobs, which begin with the time at which they were made."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime


def new_id() -> uuid.UUID:
    """Return an id that begins with the time (RFC 9562, version 7), so that neighbours in time are so on disk."""
    millis = int(datetime.now(UTC).timestamp() * 1000)
    return uuid.UUID(int=millis << 80 | 7 << 76 | (uuid.uuid4().int & (2**76 - 1) & ~(3 << 62)) | 2 << 62)


def time_of(id_: uuid.UUID) -> datetime:
    """Return the time that an id begins with."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)
