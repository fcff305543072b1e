"""A clock that moves only when told."""

from __future__ import annotations

from dataclasses import dataclass

from entresol.clock import Clock


@dataclass(slots=True)
class ManualClock(Clock):
    """Time that stands still until `advance`; both clocks move together."""

    epoch_s: float = 1_700_000_000.0
    elapsed_s: float = 0.0

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self.epoch_s + self.elapsed_s

    def monotonic_s(self) -> float:
        """Return seconds since the clock was made."""
        return self.elapsed_s

    def advance(self, seconds: float) -> None:
        """Move on; a negative step sets back what people call the time, and the monotonic clock ignores it."""
        if seconds < 0:
            self.epoch_s += seconds
        else:
            self.elapsed_s += seconds
