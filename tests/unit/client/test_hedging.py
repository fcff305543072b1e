"""When a read is sent a second time, and where: the decisions alone, with time in the test's hands."""

from __future__ import annotations

import grpc
import pytest

from entresol_client import Connection
from entresol_client.hedging import LATE_MAX, REST_S, SAVED_MAX, Hedging

OK, AWAY, MISSING = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND


AFTER_S = 0.0625  # exact, as sums of it are


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def hedging(servers: int = 3, share_max: float = 0.1) -> tuple[Hedging, Time]:
    clock = Time()
    return Hedging(AFTER_S, share_max, servers, clock), clock


def silence(made: Hedging, clock: Time, server: int) -> None:
    for _ in range(LATE_MAX + 1):
        made.late(server, server)
        clock.now_s += AFTER_S


def test_each_server_has_its_turn_and_the_second_attempt_goes_to_another() -> None:
    made, _ = hedging()
    assert [made.begin() for _ in range(4)] == [(0, 1), (1, 2), (2, 0), (0, 1)]


def test_of_one_target_grpc_chooses_both() -> None:
    made, clock = hedging(servers=1)
    silence(made, clock, 0)
    assert [made.begin() for _ in range(2)] == [(0, 0), (0, 0)]


def test_what_is_saved_bounds_a_moment_and_the_share_all_the_time() -> None:
    made, _ = hedging(share_max=0.1)
    hedged = 0
    for _ in range(1000):
        first, second = made.begin()
        hedged += made.late(first, second)
        made.ended(first, OK)
    assert hedged == pytest.approx(SAVED_MAX + 100, abs=1)


def test_what_waits_for_a_silent_server_is_not_counted_unless_the_other_is_silent_too() -> None:
    made, clock = hedging(servers=2)
    for _ in range(int(SAVED_MAX)):
        made.late(1, 0)
        made.ended(1, OK)
    assert not any(made.late(0, 1) for _ in range(10)), "many who wait at once are no silence"
    clock.now_s += LATE_MAX * AFTER_S
    assert made.late(0, 1)
    silence(made, clock, 1)
    assert not made.late(0, 1)


def test_what_was_refused_goes_on_to_another_server_at_once_as_long_as_something_is_saved() -> None:
    made, _ = hedging()
    assert not made.goes_on(0, 1, MISSING)
    assert not made.goes_on(0, 1, grpc.StatusCode.RESOURCE_EXHAUSTED), "it says when to come back"
    assert not made.goes_on(0, 0, AWAY), "the same server"
    assert [made.goes_on(0, 1, AWAY) for _ in range(int(SAVED_MAX) + 1)] == [True] * int(SAVED_MAX) + [False]


def test_a_silent_server_is_passed_over_but_for_one_read_in_a_while() -> None:
    made, clock = hedging()
    silence(made, clock, 1)
    assert {server for _ in range(6) for server in made.begin()} == {0, 2}
    clock.now_s += REST_S
    assert [made.begin()[0] for _ in range(6)].count(1) == 1


def test_who_answers_between_is_slow_and_not_silent() -> None:
    made, clock = hedging()
    for _ in range(5 * LATE_MAX):
        made.late(1, 2)
        clock.now_s += AFTER_S
        made.ended(1, MISSING)
    assert [made.begin()[0] for _ in range(3)] == [0, 1, 2]


def test_the_second_attempt_goes_to_another_even_if_that_rests() -> None:
    made, clock = hedging(servers=2)
    silence(made, clock, 1)
    assert made.begin() == (0, 1)


def test_a_silent_server_that_answers_is_back_at_once() -> None:
    made, clock = hedging()
    silence(made, clock, 1)
    made.ended(1, OK)
    assert [made.begin()[0] for _ in range(3)] == [0, 1, 2]


def test_a_server_that_is_away_is_passed_over_too() -> None:
    made, clock = hedging(servers=2)
    for _ in range(LATE_MAX + 1):
        assert not made.ended(0, AWAY)
        clock.now_s += AFTER_S
    assert [made.begin()[0] for _ in range(3)] == [1, 1, 1]


def test_if_all_are_silent_each_still_has_its_turn() -> None:
    made, clock = hedging(servers=2)
    for server in (0, 1):
        silence(made, clock, server)
    assert [made.begin()[0] for _ in range(4)] == [0, 1, 0, 1]


def test_errors_of_the_service_are_answers() -> None:
    made, _ = hedging()
    assert made.ended(0, MISSING)
    assert not made.ended(0, AWAY)
    assert not made.ended(0, grpc.StatusCode.RESOURCE_EXHAUSTED)


@pytest.mark.parametrize(("after_s", "share"), [(0.0, 0.1), (0.1, 0.0), (0.1, 1.5)])
def test_times_and_shares_that_make_no_sense_are_refused(after_s: float, share: float) -> None:
    with pytest.raises(ValueError, match="must be positive"):
        Connection("127.0.0.1:1", hedge_after_s=after_s, hedge_share_max=share)
