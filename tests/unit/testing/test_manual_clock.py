"""The clock that tests move."""

from __future__ import annotations

from entresol.testing import ManualClock


def test_time_stands_still_until_it_is_moved() -> None:
    clock = ManualClock()
    before = clock.now_s(), clock.monotonic_s()
    assert (clock.now_s(), clock.monotonic_s()) == before
    clock.advance(1.5)
    assert (clock.now_s(), clock.monotonic_s()) == (before[0] + 1.5, before[1] + 1.5)


def test_a_step_back_leaves_the_monotonic_clock_alone() -> None:
    clock = ManualClock()
    before = clock.now_s(), clock.monotonic_s()
    clock.advance(-60)
    assert (clock.now_s(), clock.monotonic_s()) == (before[0] - 60, before[1])
