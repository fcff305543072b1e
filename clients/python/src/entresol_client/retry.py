"""When a failed call is tried again: bounded, with exponential back-off and full jitter, and pure."""

from __future__ import annotations

import random
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
        if attempts >= self.attempts or not _transient(error):
            return None
        bound_s = min(self.max_s, self.initial_s * self.multiplier ** (attempts - 1))
        return (error.retry_after_s or 0.0) + draw() * bound_s


DEFAULT = Retry()
NEVER = Retry(attempts=1)


def _transient(error: EntresolError) -> bool:
    if isinstance(error, ResourceExhaustedError):
        return error.retry_after_s is not None
    return isinstance(error, UnavailableError)
