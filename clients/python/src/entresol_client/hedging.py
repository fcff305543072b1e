"""Hedging: a read that waits for too long is sent once more, to another server. Every decision of it, and no output."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc

# What is no answer: while another attempt may still have one, that is waited for.
_NO_ANSWER = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED})
SAVED_MAX = 50.0
LATE_MAX = 3
REST_S = 1.0


class Hedging:
    """When reads of one connection are sent a second time, and to which of its servers. Safe for threads.

    Of all reads at most the share `share_max` is, and `SAVED_MAX` at once: when all servers are slow, more calls
    would make them slower. A server that was waited for in vain `LATE_MAX` times, over as many times `after_s`, and
    answered nobody in between, is silent: it is passed over, but for one read in `REST_S`, until it answers. What
    waits for it may go to another without being counted, for it costs nobody twice.
    """

    def __init__(
        self,
        after_s: float,
        share_max: float,
        servers: int,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        if after_s <= 0 or not 0 < share_max <= 1:
            raise ValueError(f"hedge_after_s {after_s} must be positive, hedge_share_max {share_max} 0 to 1")
        self.after_s = after_s
        self._share_max = share_max
        self._saved = SAVED_MAX
        self._turn = -1
        self._late = [0] * servers
        self._late_since_s = [0.0] * servers
        self._rests_until_s = [0.0] * servers
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()

    def begin(self) -> tuple[int, int]:
        """Return the servers of a read: of its first attempt, and of the second. With one, gRPC chooses both."""
        with self._lock:
            self._saved = min(SAVED_MAX, self._saved + self._share_max)
            now_s = self._monotonic_s()
            first = self._turn = self._chosen(self._turn, now_s)
            if self._is_silent(first):  # this read looks whether the server is back; others do not
                self._rests_until_s[first] = now_s + REST_S
            return first, self._chosen(first, now_s, spare=1)

    def late(self, first: int, second: int) -> bool:
        """Tell whether the second attempt may be sent, now that the first was waited for once more."""
        with self._lock:
            self._missed(first)
            return self._may_ask(first, second)

    def goes_on(self, first: int, second: int, code: Any) -> bool:
        """Tell whether the second attempt may be sent at once, because the first one ended without an answer.

        Not of one that is overloaded, which says when to come back; and not to the same server.
        """
        with self._lock:
            return first != second and code is grpc.StatusCode.UNAVAILABLE and self._may_ask(first, second)

    def ended(self, server: int, code: Any) -> bool:
        """Tell whether an attempt that ended so has an answer; an error is one, too."""
        with self._lock:
            if code is grpc.StatusCode.UNAVAILABLE:
                self._missed(server)
            elif code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                self._late[server], self._rests_until_s[server] = 0, 0.0
        return code not in _NO_ANSWER

    def _may_ask(self, first: int, second: int) -> bool:
        if self._is_silent(first) and not self._is_silent(second):
            return True
        if self._saved < 1:
            return False
        self._saved -= 1
        return True

    def _is_silent(self, server: int) -> bool:
        waited_s = self._monotonic_s() - self._late_since_s[server]
        return self._late[server] >= LATE_MAX and waited_s >= LATE_MAX * self.after_s

    def _missed(self, server: int) -> None:
        if not self._late[server]:
            self._late_since_s[server] = self._monotonic_s()
        self._late[server] += 1
        if self._is_silent(server):
            self._rests_until_s[server] = self._monotonic_s() + REST_S

    def _chosen(self, last: int, now_s: float, spare: int = 0) -> int:
        """Return whose turn is after `last`: of who does not rest; if all do, whoever comes next.

        `spare` leaves out `last` itself.
        """
        count = len(self._late)
        following = [(last + step) % count for step in range(1, count + 1)]
        awake = (server for server in following[: count - spare] if now_s >= self._rests_until_s[server])
        return next(awake, following[0])
