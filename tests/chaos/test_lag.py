"""How far the cache was behind, from samples."""

from __future__ import annotations

from tests.chaos.lag import Lag

COMMITTED = [(float(second), 100 * second) for second in range(10)]


def test_the_lag_is_the_time_since_all_was_committed_that_the_cache_has() -> None:
    lag = Lag(COMMITTED, [(5.0, 500), (7.0, 450), (9.0, 900)])
    assert lag.seconds(5.1, 5.1, 5.1) == 5.1 - 5.0
    assert lag.seconds(7.0, 7.0, 7.0) == 7.0 - 4.0
    assert lag.seconds(9.2, 9.2, 9.2) == 9.2 - 9.0


def test_of_samples_nearby_the_one_furthest_behind_counts() -> None:
    lag = Lag(COMMITTED, [(4.9, 480), (5.0, 200), (5.1, 510)])
    assert lag.seconds(5.05, 5.05, 5.05) == 5.05 - 2.0


def test_a_moment_within_a_call_or_the_age_of_a_copy_counts() -> None:
    """The cache was taken back to 200 at 5.5 s, and a second later had all again."""
    lag = Lag(COMMITTED, [(4.5, 450), (5.5, 200), (6.5, 650), (7.5, 750)])
    assert lag.seconds(7.5, 7.5, 7.5) == 7.5 - 7.0
    assert lag.seconds(6.5, 5.5, 6.5) == 6.5 - 2.0
    assert lag.seconds(4.5, 4.5, 6.0) == 4.5 - 2.0


def test_without_samples_nearby_nothing_is_known() -> None:
    assert Lag(COMMITTED, [(1.0, 100)]).seconds(5.0, 5.0, 5.0) is None
    assert Lag((), [(5.0, 100)]).seconds(5.0, 5.0, 5.0) is None
    assert Lag(COMMITTED[3:], [(5.0, 100)]).seconds(5.0, 5.0, 5.0) is None
