"""One call over several attempts: deadline, tokens and the record of it, with time in the test's hands."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from entresol_stories.v1 import GetStoryRequest, Story

from entresol_client import Method, Retry, Session, UnavailableError, trace
from entresol_client.exchange import Exchange
from entresol_client.options import Defaults
from entresol_client.retry import Throttle

GET = Method("/s/Get", GetStoryRequest, Story, first="name", idempotent=True)
WATCH = Method("/s/Watch", GetStoryRequest, Story, server_streaming=True)
DEFAULTS = Defaults(timeout=10.0, retry=Retry(attempts=3, initial_s=0.0), metadata=(("authorization", "me"),))
REQUEST = GetStoryRequest(name="stories/1")


class Away(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """What grpc raises when a server is away."""

    def __init__(self, *trailing: tuple[str, str]) -> None:
        self._trailing = trailing

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "away"

    def initial_metadata(self) -> None:
        return None

    def trailing_metadata(self) -> tuple[tuple[str, str], ...]:
        return self._trailing


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def exchange(
    method: Method[Any, Any] = GET,
    session: Session | None = None,
    throttle: Throttle | None = None,
    **options: Any,
) -> tuple[Any, Time]:
    clock = Time()
    made = Exchange(method, REQUEST, options, DEFAULTS, session or Session(), throttle or Throttle(), clock)
    return made, clock


def test_the_deadline_is_one_for_all_attempts() -> None:
    call, clock = exchange(timeout=3.0)
    assert call.attempt()[0] == 3.0
    clock.now_s += 1.0
    assert call.failed(Away()) == 0.0
    assert call.attempt()[0] == 2.0


def test_a_wait_that_would_outlast_the_deadline_is_not_begun() -> None:
    call, clock = exchange(timeout=3.0)
    call.attempt()
    clock.now_s += 3.0
    with pytest.raises(UnavailableError, match="away"):
        call.failed(Away())


def test_streams_have_no_deadline_of_their_own_and_one_attempt() -> None:
    call, _ = exchange(WATCH)
    assert call.attempt()[0] is None
    with pytest.raises(UnavailableError):
        call.failed(Away())
    assert exchange(WATCH, timeout=2.0)[0].attempt()[0] == 2.0


def test_each_attempt_is_sent_the_tokens_of_its_time() -> None:
    session = Session("a")
    call, _ = exchange(session=session)
    assert ("entresol-session", "a") in call.attempt()[1]
    session.received(["b"], sent=())
    call.failed(Away())
    sent = [value for key, value in call.attempt()[1] if key == "entresol-session"]
    assert sent == ["a", "b"]
    call.succeeded((), (("entresol-session", "c"),))
    assert session.tokens == ("c",)


def test_options_travel_as_metadata_beside_the_connections() -> None:
    call, _ = exchange(read_mask=["title", "score"], consistency="strong", metadata=[("x", "y")])
    assert call.attempt()[1] == [
        ("authorization", "me"),
        ("x", "y"),
        ("entresol-read-mask", "title,score"),
        ("entresol-consistency", "strong"),
    ]


def test_options_that_do_not_exist_are_refused_by_name() -> None:
    with pytest.raises(
        TypeError, match="'read_masks' is neither a field of the request nor one of timeout, retry"
    ):
        exchange(read_masks="title")
    with pytest.raises(ValueError, match="'newest' is not a valid Consistency"):
        exchange(consistency="newest")


def test_a_trace_tells_who_answered_after_how_many_attempts() -> None:
    call, clock = exchange()
    with trace() as calls:
        call.attempt()
        call.failed(Away())
        call.attempt()
        clock.now_s += 0.5
        call.succeeded((), (("entresol-answered-by", "cache"), ("entresol-trace", "t1")))
    (found,) = calls
    assert (found.method, found.code, found.attempts) == ("/s/Get", grpc.StatusCode.OK, 2)
    assert (found.answered_by, found.trace_id, found.duration_s) == ("cache", "t1", 0.5)


def test_a_failed_call_is_traced_too() -> None:
    call, _ = exchange(retry=Retry(attempts=1))
    call.attempt()
    with trace() as calls, pytest.raises(UnavailableError):
        call.failed(Away(("entresol-answered-by", "primary")))
    assert [(found.code, found.answered_by) for found in calls] == [(grpc.StatusCode.UNAVAILABLE, "primary")]


def test_a_trace_keeps_the_last_calls_only() -> None:
    with trace(limit=1) as calls:
        for name in ("first", "second"):
            call, _ = exchange()
            call.attempt()
            call.succeeded((), (("entresol-trace", name),))
    assert [found.trace_id for found in calls] == ["second"]


def test_a_second_attempt_has_the_time_that_is_left_and_the_tokens_of_the_first() -> None:
    session = Session("a")
    call, clock = exchange(session=session, timeout=3.0)
    _, metadata = call.attempt()
    session.received(["b"], sent=())
    clock.now_s += 1.0
    assert call.hedge() == (2.0, metadata)
    with trace() as calls:
        call.succeeded((), ())
    assert [(found.attempts, found.hedges) for found in calls] == [(1, 1)]


def test_calls_of_a_connection_share_what_ends_their_retries() -> None:
    throttle = Throttle(tokens_max=4)
    for wait_s in (0.0, None):
        call, _ = exchange(throttle=throttle)
        call.attempt()
        if wait_s is None:
            with pytest.raises(UnavailableError):
                call.failed(Away())
        else:
            assert call.failed(Away()) == wait_s
