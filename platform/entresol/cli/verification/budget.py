"""The load that verification may add: a token for each read, so many a second, and no more than a second's in store."""

from __future__ import annotations

from entresol.clock import Clock


class Budget:
    """A token bucket."""

    def __init__(self, reads_per_second: float, clock: Clock) -> None:
        self._rate = reads_per_second
        self._stored_max = max(1.0, reads_per_second)
        self._stored = self._stored_max
        self._clock = clock
        self._at_s = clock.monotonic_s()

    def take(self, reads: int = 1) -> bool:
        """Take a token for each of the reads, or none and return False.

        It is enough that one is there, and later reads wait for the rest: where single reads take each token as it
        comes, those that need several at once would never find them.
        """
        self._refill()
        if self._stored < 1:
            return False
        self._stored -= reads
        return True

    def borrow(self) -> None:
        """Take a token that may not be there yet: later reads wait for it."""
        self._refill()
        self._stored -= 1

    def give_back(self) -> None:
        """Return a token that was not used."""
        self._stored = min(self._stored_max, self._stored + 1)

    def _refill(self) -> None:
        now_s = self._clock.monotonic_s()
        self._stored = min(self._stored_max, self._stored + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
