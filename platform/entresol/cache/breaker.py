"""A breaker: after some failures in a row it says no at once, and tries again one call at a time."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from entresol.clock import Clock


@dataclass(slots=True)
class Breaker:
    """Closed until `failures_max` failures in a row; then one call per `reset_s` goes through, until one succeeds."""

    failures_max: int
    reset_s: float
    clock: Clock = field(default_factory=Clock)
    opened_s: float = 0.0  # since the epoch, when it opened last
    _failures: int = 0
    _retry_at_s: float = 0.0

    @classmethod
    def never(cls) -> Breaker:
        """Return one that never opens, for who has nothing else to do than to try again."""
        return cls(sys.maxsize, 0.0)

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, all but the probes."""
        return self._failures >= self.failures_max

    def allows(self) -> bool:
        """Tell whether to make the call. While open, a True is the only one until `reset_s` have passed."""
        if self._failures < self.failures_max:
            return True
        now_s = self.clock.monotonic_s()
        if now_s < self._retry_at_s:
            return False
        self._retry_at_s = now_s + self.reset_s
        return True

    def succeed(self) -> None:
        """Note an answer."""
        self._failures = 0

    def fail(self) -> None:
        """Note a failure."""
        self._failures += 1
        if self._failures == self.failures_max:
            self.opened_s = self.clock.now_s()
        if self._failures >= self.failures_max:
            self._retry_at_s = self.clock.monotonic_s() + self.reset_s
