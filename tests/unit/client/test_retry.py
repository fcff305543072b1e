"""When calls are tried again: the policy alone, with chance and time in the test's hands."""

from __future__ import annotations

import pytest

from entresol_client import NEVER, AbortedError, ResourceExhaustedError, Retry, UnavailableError
from entresol_client.retry import Throttle

RETRY = Retry(attempts=4, initial_s=0.1, multiplier=2.0, max_s=0.3)


def most() -> float:
    return 1.0


def least() -> float:
    return 0.0


def test_the_bound_of_the_wait_doubles_up_to_its_maximum() -> None:
    waits = [RETRY.delay_s(UnavailableError("away"), attempts, most) for attempts in (1, 2, 3)]
    assert waits == [0.1, 0.2, 0.3]


def test_the_jitter_is_full() -> None:
    assert RETRY.delay_s(UnavailableError("away"), 3, least) == 0.0


def test_attempts_are_bounded() -> None:
    assert RETRY.delay_s(UnavailableError("away"), 4, most) is None
    assert NEVER.delay_s(UnavailableError("away"), 1, most) is None


def test_the_servers_delay_is_the_least_wait() -> None:
    assert RETRY.delay_s(UnavailableError("away", retry_after_s=2.0), 1, least) == 2.0
    assert RETRY.delay_s(UnavailableError("away", retry_after_s=2.0), 1, most) == pytest.approx(2.1)


def test_an_exhausted_server_is_asked_again_only_when_it_names_a_delay() -> None:
    assert RETRY.delay_s(ResourceExhaustedError("quota"), 1) is None
    assert RETRY.delay_s(ResourceExhaustedError("quota", retry_after_s=1.0), 1, least) == 1.0


def test_other_errors_are_final() -> None:
    assert RETRY.delay_s(AbortedError("stale", retry_after_s=1.0), 1) is None


@pytest.mark.parametrize(
    "wrong", [{"attempts": 0}, {"initial_s": -1.0}, {"multiplier": 0.5}, {"max_s": -1.0}]
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Retry(**wrong)


def test_what_is_lost_in_one_moment_is_repeated_and_an_outage_is_not() -> None:
    throttle = Throttle(tokens_max=200)
    assert [throttle.failed() for _ in range(150)] == [True] * 99 + [False] * 51


def test_retries_begin_again_when_calls_go_well() -> None:
    throttle = Throttle(tokens_max=20, ratio=0.5)
    while throttle.failed():
        pass
    for _ in range(3):
        throttle.succeeded()
    assert throttle.failed()


def test_a_third_of_all_attempts_may_fail_for_good() -> None:
    steady, sick = Throttle(), Throttle()
    for _ in range(1000):
        for _ in range(2):
            steady.succeeded()
        assert steady.failed()
        sick.succeeded()
        hurt = sick.failed()
    assert not hurt
