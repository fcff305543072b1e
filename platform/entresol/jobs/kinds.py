"""What a worker knows of a kind of job: how one attempt of it is made, and what a failure of it means."""

from __future__ import annotations

import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from entresol.errors import Code, EntresolError
from entresol.schema.model import JobLimit
from entresol.storage.jobs import Claimed

RETRY_FIRST_S = 1.0
RETRY_MAX_S = 3600.0
RETRY_AFTER_MAX_S = 366 * 86400.0
# What another attempt would only meet again.
_FINAL = frozenset(
    {
        Code.INVALID_ARGUMENT,
        Code.NOT_FOUND,
        Code.ALREADY_EXISTS,
        Code.PERMISSION_DENIED,
        Code.FAILED_PRECONDITION,
        Code.UNIMPLEMENTED,
        Code.UNAUTHENTICATED,
    }
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of job. `run` makes one attempt and returns its result; `describe` tells a failure in bytes.

    `is_isolated` tells that a worker makes its attempts in processes of their own.
    """

    name: str
    run: Callable[[Claimed, Reports], Awaitable[bytes]]
    describe: Callable[[Exception, Claimed | None], bytes]
    is_isolated: bool = False
    limit: JobLimit | None = None


class DescribedError(Exception):
    """An attempt failed elsewhere, where its error was described; another is made in `pause_s`, or none."""

    def __init__(self, failure: bytes, pause_s: float | None) -> None:
        super().__init__("an attempt failed in its process")
        self.failure = failure
        self.pause_s = pause_s


Kinds = Mapping[str, Kind]


class Reports:
    """What an attempt has told of itself and nobody has written down yet. The last word of each thing counts.

    An attempt may tell from any thread.
    """

    __slots__ = ("_lock", "checkpoint", "is_left", "is_new", "percent", "step")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.percent = 0
        self.step: str | None = None
        self.checkpoint: bytes | None = None
        self.is_new = False
        self.is_left = False  # the attempt goes on though it is over: nothing that it writes counts

    def tell(
        self, percent: int | None = None, step: str | None = None, checkpoint: bytes | None = None
    ) -> None:
        """Note how far the attempt is; percent never falls."""
        with self._lock:
            self.percent = max(self.percent, min(percent or 0, 100))
            self.step = self.step if step is None else step
            self.checkpoint = self.checkpoint if checkpoint is None else checkpoint
            self.is_new = True

    def take(self) -> bool:
        """Tell whether there is something to write down, which is then taken to be."""
        with self._lock:
            was, self.is_new = self.is_new, False
        return was


def retry_s(error: Exception, number: int, attempts_max: int) -> float | None:
    """Return in how many seconds the attempt after the one of this number is made; None when there is none.

    The pauses double and half of each is random, so that what failed together does not come back together. An error
    that says when to come again is not met before: it may be long, and where it is short (what is away says 0.2 s)
    attempts are not used up in a moment.
    """
    if number >= attempts_max or (isinstance(error, EntresolError) and error.code in _FINAL):
        return None
    longest_s = min(RETRY_FIRST_S * 2.0 ** min(number - 1, 30), RETRY_MAX_S)
    pause_s = longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - a pause, not a secret
    after_s = error.retry_after_s if isinstance(error, EntresolError) else None
    return max(pause_s, min(after_s or 0.0, RETRY_AFTER_MAX_S))
