"""The age of a hit is counted from the acknowledgement of the first newer write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from tests.consistency.checks.examples import RightHistory, delete, read, right_histories, write
from tests.consistency.checks.operation import Operation
from tests.consistency.checks.staleness import ages, bounded_staleness, hits

WRITES = [write(1, 0, 1), write(2, 2, 3), write(3, 4, 5)]


def _hit(value: int | None, start_s: float, level: str = "BOUNDED") -> Operation:
    return read(value, start_s, start_s + 1, level=level)


@pytest.mark.parametrize("others", [(), (write(9, 0, 20, "another"),)], ids=["one writer", "several"])
def test_the_first_newer_write_counts_not_the_last(others: tuple[Operation, ...]) -> None:
    old = _hit(1, 10)
    found = ages([*others, *WRITES, old, _hit(3, 10)])["BOUNDED"]
    assert (found.hits, found.stale) == (2, 1)
    assert (found.worst.age_s, found.worst.read, found.worst.newer) == (7.0, old, WRITES[1])


def test_a_newer_write_acknowledged_before_an_older_one_counts() -> None:
    slow = write(2, 2, 9, "another")
    assert ages([WRITES[0], slow, WRITES[2], _hit(1, 10)])["BOUNDED"].worst.age_s == 5.0


def test_a_hit_is_not_stale_while_the_newer_write_is_under_way_or_in_doubt() -> None:
    assert ages([WRITES[0], write(2, 2, 12), _hit(1, 10)])["BOUNDED"].stale == 0
    assert ages([WRITES[0], write(2, 2, 3, outcome="unknown"), _hit(1, 10)])["BOUNDED"].stale == 0


def test_a_deleted_record_that_shows_is_stale_and_one_not_found_may_be_from_the_delete() -> None:
    gone = delete(2, 3)
    assert ages([WRITES[0], gone, _hit(1, 10)])["BOUNDED"].worst.age_s == 7.0
    assert ages([WRITES[0], gone, _hit(None, 10)])["BOUNDED"].worst.age_s == 0.0
    assert ages([WRITES[0], gone, WRITES[2], _hit(None, 10)])["BOUNDED"].worst.age_s == 5.0
    assert ages([WRITES[0], _hit(None, 10)])["BOUNDED"].worst.age_s == 9.0


def test_only_hits_count_by_level() -> None:
    from_replica = replace(_hit(1, 10), answered_by="replica:one")
    failed = replace(_hit(1, 10), outcome="failed")
    near = replace(_hit(1, 10), answered_by="near")
    operations = [*WRITES, from_replica, failed, near, _hit(1, 4), _hit(2, 10, "SESSION")]
    found = ages(operations)
    assert {level: (item.hits, item.worst.age_s) for level, item in found.items()} == {
        "BOUNDED": (2, 7.0),
        "SESSION": (1, 5.0),
    }
    assert [hit.read for hit in hits(operations, ["replica:one"])] == [from_replica]


def test_the_99th_percentile_is_over_all_hits() -> None:
    fresh = [_hit(3, 10) for _ in range(98)]
    assert ages([*WRITES, *fresh, _hit(2, 10)])["BOUNDED"].p99_s == 5.0
    assert ages([*WRITES, *fresh, _hit(3, 10), _hit(2, 10)])["BOUNDED"].p99_s == 0.0


def test_a_hit_older_than_its_levels_bound_is_found() -> None:
    stale = _hit(2, 10)
    operations = [*WRITES, stale, _hit(1, 10, "EVENTUAL")]
    (violation,) = bounded_staleness(operations, {"BOUNDED": 4.9})
    assert violation.operations == (WRITES[2], stale)
    assert "5.000000 s later, at BOUNDED which allows 4.9 s" in violation.sentence
    assert bounded_staleness(operations, {"BOUNDED": 5.0}) == []


def test_several_writers_are_ordered_by_what_is_known_and_no_further() -> None:
    slow, quick = write(1, 0, 20, "one"), write(2, 3, 4, "two")
    seen = _hit(1, 1)
    assert ages([slow, quick, _hit(1, 10)])["BOUNDED"].stale == 0
    assert ages([slow, quick, seen, _hit(1, 10)])["BOUNDED"].worst.age_s == 6.0
    given_up = write(1, 0, 1, "one", "unknown")
    assert ages([given_up, quick, _hit(1, 10)])["BOUNDED"].stale == 0
    assert ages([given_up, quick, seen, _hit(1, 10)])["BOUNDED"].worst.age_s == 6.0


def test_not_found_is_from_the_newest_delete_that_it_may_be_from() -> None:
    slow, quick = delete(0, 20, "one"), delete(3, 4, "two")
    assert ages([slow, quick, write(2, 5, 6, "two"), _hit(None, 10)])["BOUNDED"].stale == 0


def test_writes_of_one_session_that_overlap_have_no_order() -> None:
    assert ages([write(1, 0, 8), write(2, 1, 3), _hit(1, 10)])["BOUNDED"].stale == 0


@settings(deadline=None)
@given(right_histories())
def test_right_histories_have_no_stale_hit(history: RightHistory) -> None:
    assert all(found.stale == 0 for found in ages(history.operations).values())
    assert bounded_staleness(history.operations, {"SESSION": 0.0, "BOUNDED": 0.0}) == []
