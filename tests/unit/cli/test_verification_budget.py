"""The budget gives so many tokens a second, and never more than a second's at once."""

from __future__ import annotations

from entresol.cli.verification.budget import Budget
from entresol.testing import ManualClock


def _taken(budget: Budget) -> int:
    return sum(budget.take() for _ in range(1000))


def test_tokens_come_with_time_and_no_more_than_a_seconds_are_stored() -> None:
    clock = ManualClock()
    budget = Budget(10, clock)
    assert _taken(budget) == 10
    clock.advance(0.5)
    assert _taken(budget) == 5
    clock.advance(100)
    assert _taken(budget) == 10


def test_a_request_needs_one_token_and_others_wait_for_its_rest() -> None:
    clock = ManualClock()
    budget = Budget(3, clock)
    assert budget.take(6)
    clock.advance(1)
    assert _taken(budget) == 0
    clock.advance(1)
    assert _taken(budget) == 3


def test_single_reads_that_take_every_token_leave_some_to_those_that_need_several() -> None:
    clock = ManualClock()
    budget = Budget(10, clock)
    taken = {1: 0, 2: 0}
    for number in range(1000):
        reads = 1 + number % 2
        taken[reads] += reads * budget.take(reads)
        clock.advance(0.025)
    assert taken[2] > 50
    assert abs(sum(taken.values()) - 10 - 250) <= 2, "in all no more than the rate"


def test_what_is_borrowed_is_paid_before_anything_else_is_taken() -> None:
    clock = ManualClock()
    budget = Budget(10, clock)
    _taken(budget)
    for _ in range(5):
        budget.borrow()
    clock.advance(0.5)
    assert _taken(budget) == 0
    clock.advance(0.5)
    assert _taken(budget) == 5


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = Budget(1, ManualClock())
    assert budget.take()
    budget.give_back()
    budget.give_back()
    assert _taken(budget) == 1
