"""The breaker opens after failures in a row, and probes one call at a time."""

from __future__ import annotations

from entresol.cache.breaker import Breaker
from entresol.testing import ManualClock


def test_it_opens_after_failures_in_a_row_and_closes_with_a_success() -> None:
    clock = ManualClock()
    breaker = Breaker(3, 1.0, clock)
    breaker.fail()
    breaker.fail()
    breaker.succeed()
    for _ in range(3):
        assert breaker.allows()
        breaker.fail()
    assert breaker.is_open
    assert not breaker.allows()
    clock.advance(1.0)
    assert breaker.allows()
    assert not breaker.allows()  # one probe at a time
    breaker.fail()
    assert not breaker.allows()
    clock.advance(1.0)
    assert breaker.allows()
    breaker.succeed()
    assert not breaker.is_open
    assert breaker.allows()


def test_a_probe_that_never_ends_is_followed_by_another() -> None:
    clock = ManualClock()
    breaker = Breaker(1, 1.0, clock)
    breaker.fail()
    clock.advance(1.0)
    assert breaker.allows()
    clock.advance(1.0)
    assert breaker.allows()


def test_one_that_never_opens_always_allows() -> None:
    breaker = Breaker.never()
    for _ in range(100):
        breaker.fail()
    assert breaker.allows()
