"""When a failed call is tried again: bounded, with exponential back-off and full jitter, and pure."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from entresol_client.errors import EntresolError, ResourceExhaustedError, UnavailableError


@dataclass(frozen=True, slots=True)
class Retry:
    """How often, and how soon, a call that may be repeated is tried again.

    Before attempt n + 1 it waits a random time below `initial_s * multiplier ** (n - 1)`, at most `max_s`
    (full jitter). When the server names a delay, the random time comes on top of it, so that callers who were
    refused together do not come back together.

    Only calls that change nothing, or carry a request id, are ever repeated, and only after UNAVAILABLE, or
    after RESOURCE_EXHAUSTED for which the server names a delay.
    """

    attempts: int = 5
    initial_s: float = 0.1
    multiplier: float = 2.0
    max_s: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or self.initial_s < 0 or self.multiplier < 1 or self.max_s < 0:
            raise ValueError(f"{self}: attempts and multiplier must be at least 1, and times not negative")

    def delay_s(
        self,
        error: EntresolError,
        attempts: int,
        draw: Callable[[], float] = random.random,
    ) -> float | None:
        """Return the wait after this many attempts, the last of which ended with `error`; None: give up.

        `draw` returns numbers from 0 to 1.
        """
        if attempts >= self.attempts or not is_transient(error):
            return None
        bound_s = min(self.max_s, self.initial_s * self.multiplier ** (attempts - 1))
        return (error.retry_after_s or 0.0) + draw() * bound_s


DEFAULT = Retry()
NEVER = Retry(attempts=1)
TOKENS_MAX, TOKENS_RATIO = 200.0, 0.5


def is_transient(error: EntresolError) -> bool:
    """Tell whether the same call may go well a moment later."""
    if isinstance(error, ResourceExhaustedError):
        return error.retry_after_s is not None
    return isinstance(error, UnavailableError)


class Throttle:
    """Ends retries where too much fails, for all calls of a connection (gRFC A6). Safe for threads.

    Each attempt that fails for a moment takes a token, each that goes well gives `ratio` of one back, and nothing is
    repeated while no more than half are left: a hundred attempts may be lost at once, and a third for good.
    """

    def __init__(self, tokens_max: float = TOKENS_MAX, ratio: float = TOKENS_RATIO) -> None:
        self._tokens_max = tokens_max
        self._ratio = ratio
        self._tokens = tokens_max
        self._lock = threading.Lock()

    def succeeded(self) -> None:
        """Give back what a call that went well does."""
        if self._tokens < self._tokens_max:
            with self._lock:
                self._tokens = min(self._tokens_max, self._tokens + self._ratio)

    def failed(self) -> bool:
        """Take a token, and tell whether the call may be repeated."""
        with self._lock:
            self._tokens = max(0.0, self._tokens - 1)
            return self._tokens > self._tokens_max / 2
