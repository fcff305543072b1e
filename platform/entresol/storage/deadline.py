"""How long a call may still take: one moment, handed down, that every wait and every statement keeps."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

from entresol.errors import DeadlineExceededError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock."""

    at_s: float

    @classmethod
    def after(cls, timeout_s: float) -> Self:
        """Return the deadline this many seconds from now."""
        return cls(time.monotonic() + timeout_s)

    def left_s(self) -> float:
        """Return the seconds that are left, always more than none.

        Raises:
            DeadlineExceededError: the moment has passed.
        """
        left_s = self.at_s - time.monotonic()
        if left_s <= 0:
            raise DeadlineExceededError("the deadline passed before the database had answered")
        return left_s
