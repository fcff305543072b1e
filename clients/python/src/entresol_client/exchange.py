"""One call, from its first attempt to its last: every decision of it, and no input or output.

Blocking and asynchronous connections are the same few lines around this; neither decides anything itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic

import grpc

from entresol_client.errors import EntresolError
from entresol_client.method import Method, ReplyT, RequestT
from entresol_client.options import (
    ANSWERED_BY_KEY,
    SESSION_KEY,
    TRACE_KEY,
    Defaults,
    Metadata,
    checked,
    metadata_of,
    values_of,
)
from entresol_client.retry import Throttle, is_transient
from entresol_client.session import Session
from entresol_client.status import error_of
from entresol_client.trace import CallTrace, finished


class Exchange(Generic[RequestT, ReplyT]):
    """One call. For each attempt: `attempt`, then `succeeded` or `failed`, until one of the two ends it.

    An attempt may be two, at two servers: `hedge` is the second, and what ends the one that counts ends both.
    """

    def __init__(
        self,
        method: Method[RequestT, ReplyT],
        request: RequestT,
        options: Mapping[str, Any],
        defaults: Defaults,
        session: Session,
        throttle: Throttle,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        options = checked(options)
        timeout = options.get("timeout")
        if timeout is None and not method.server_streaming:
            timeout = defaults.timeout
        self._method = method
        self._repeatable = method.repeatable(request)
        self._retry = options.get("retry") or defaults.retry
        self._metadata = [*defaults.metadata, *metadata_of(options), *method.metadata(request)]
        self._session = session
        self._throttle = throttle
        self._sent: tuple[str, ...] = ()
        self._monotonic_s = monotonic_s
        self._started_s = monotonic_s()
        self._deadline_s = None if timeout is None else self._started_s + timeout
        self._attempts = 0
        self._hedges = 0

    def attempt(self) -> tuple[float | None, Metadata]:
        """Return the seconds left and the metadata for the next attempt."""
        self._attempts += 1
        self._sent = self._session.tokens
        return self._sending()

    def hedge(self) -> tuple[float | None, Metadata]:
        """Return the same for a second server, while the first is still asked."""
        self._hedges += 1
        return self._sending()

    def succeeded(self, initial: Iterable[Any] | None, trailing: Iterable[Any] | None) -> None:
        """Take what came with the reply."""
        self._throttle.succeeded()
        self._end(grpc.StatusCode.OK, _pairs(initial) + _pairs(trailing))

    def failed(self, error: Any) -> float:
        """Return the seconds to wait before the next attempt after a `grpc.RpcError`.

        Raises:
            EntresolError: there is no next attempt.
        """
        trailing = _pairs(error.trailing_metadata())
        failure = error_of(error.code(), error.details(), trailing)
        delay_s = self._delay_s(failure)
        if delay_s is None:
            self._end(error.code(), _pairs(error.initial_metadata()) + trailing)
            raise failure from error
        return delay_s

    def _delay_s(self, failure: EntresolError) -> float | None:
        """Return the wait before the next attempt; None when there may be none before the deadline."""
        if is_transient(failure) and not self._throttle.failed():
            return None
        delay_s = self._retry.delay_s(failure, self._attempts) if self._repeatable else None
        left_s = self._left_s()
        return None if delay_s is None or (left_s is not None and delay_s >= left_s) else delay_s

    def _sending(self) -> tuple[float | None, Metadata]:
        return self._left_s(), [*self._metadata, *((SESSION_KEY, token) for token in self._sent)]

    def _left_s(self) -> float | None:
        return None if self._deadline_s is None else self._deadline_s - self._monotonic_s()

    def _end(self, code: Any, metadata: Metadata) -> None:
        self._session.received(values_of(metadata, SESSION_KEY), self._sent)
        finished(
            CallTrace(
                method=self._method.path,
                code=code,
                attempts=self._attempts,
                hedges=self._hedges,
                duration_s=self._monotonic_s() - self._started_s,
                answered_by=_last(metadata, ANSWERED_BY_KEY),
                trace_id=_last(metadata, TRACE_KEY),
            )
        )


def _pairs(metadata: Iterable[Any] | None) -> list[tuple[str, str | bytes]]:
    """Return metadata as pairs, whichever of grpc's two forms, or None, it came in."""
    return [(key, value) for key, value in metadata or ()]


def _last(metadata: Metadata, key: str) -> str:
    values = values_of(metadata, key)
    return str(values[-1]) if values else ""
