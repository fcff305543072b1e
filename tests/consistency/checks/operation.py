"""What one client asked once, and what came of it: the line of a history that checks read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One call of one session. Times are of the machine's monotonic clock, which all its processes share.

    A key's values are unique, and each writer's increase. A write or delete whose outcome is `unknown` may have
    happened, or happen still; one that `failed` never did.
    """

    session: str
    key: str
    kind: str  # "read" | "write" | "delete"
    level: str
    value: int | None  # what was written, or what was read (None: not found)
    start_s: float
    end_s: float
    outcome: str  # "ok" | "failed" | "unknown"
    answered_by: str
