"""How an operation is waited for: the pace alone, with time in the test's hands."""

from __future__ import annotations

import pytest

from entresol_client.operations import WAIT_S, Patience


class Time:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_server_that_waits_is_asked_again_at_once() -> None:
    clock = Time()
    patience = Patience(None, clock)
    for _ in range(3):
        assert patience.ask_s("operations/1") == WAIT_S
        clock.now_s += WAIT_S
        assert patience.pause_s() == 0.0


def test_a_server_that_does_not_wait_is_asked_less_and_less_often() -> None:
    patience = Patience(None, Time())
    pauses = []
    for _ in range(8):
        patience.ask_s("operations/1")
        pauses.append(patience.pause_s())
    assert pauses[:3] == [0.2, 0.4, 0.8]
    assert pauses[-1] == 10.0


def test_nothing_outlasts_the_time_that_is_given() -> None:
    clock = Time()
    patience = Patience(WAIT_S + 5.0, clock)
    assert patience.ask_s("operations/1") == WAIT_S
    clock.now_s += WAIT_S
    assert patience.ask_s("operations/1") == 5.0
    clock.now_s += 1.0
    assert patience.pause_s() == 0.2
    clock.now_s += 3.9
    patience.ask_s("operations/1")
    assert patience.pause_s() == pytest.approx(0.1)
    clock.now_s += 0.1
    with pytest.raises(TimeoutError, match="operations/1 is not done yet, and goes on"):
        patience.ask_s("operations/1")
