"""A session that was shown less than it wrote, or less than it was shown before, is found."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from tests.consistency.checks.examples import RightHistory, delete, read, right_histories, write
from tests.consistency.checks.operation import Operation
from tests.consistency.checks.sessions import monotonic_reads, read_your_writes

FIRST, SECOND, THIRD = write(1, 0, 1, "me"), write(2, 2, 3, "me"), write(3, 4, 5, "me")
OTHERS = write(9, 0, 6, "another")  # takes the order of one writer away


def _proofs(operations: list[Operation]) -> list[tuple[Operation, ...]]:
    return [violation.operations for violation in read_your_writes(operations)]


def _backwards(*operations: Operation) -> list[tuple[Operation, ...]]:
    return [violation.operations for violation in monotonic_reads(operations)]


def test_a_read_older_than_the_own_write_is_found_with_one_writer_and_with_several() -> None:
    old, fine = read(1, 6, 7, "me"), read(2, 6, 7, "me")
    for others in ([], [OTHERS]):
        assert _proofs([*others, FIRST, SECOND, old, fine]) == [(SECOND, old)]
        assert _proofs([*others, FIRST, SECOND, read(None, 6, 7, "me")])
    (violation,) = read_your_writes([FIRST, SECOND, old])
    assert violation.sentence == (
        "story: me wrote 2 from 2.000000 to 3.000000 s, but then me read 1 from 6.000000 to 7.000000 s"
    )


def test_a_record_that_its_session_deleted_is_not_shown_again() -> None:
    deleted = delete(2, 3, "me")
    shown = read(1, 4, 5, "me")
    assert _proofs([FIRST, deleted, shown, read(None, 6, 7, "me")]) == [(deleted, shown)]


def test_a_delete_explains_that_a_record_is_not_found() -> None:
    assert _proofs([FIRST, delete(2, 3, "another"), read(None, 4, 5, "me")]) == []
    assert _proofs([FIRST, delete(2, 3, "me", "unknown"), read(None, 4, 5, "me")]) == []
    assert _proofs([FIRST, delete(2, 3, "me", "failed"), read(None, 4, 5, "me")])
    assert _proofs([FIRST, delete(6, 7, "me"), read(None, 4, 5, "me")])


def test_only_acknowledged_writes_of_the_same_session_and_reads_after_them_count() -> None:
    late = replace(SECOND, outcome="unknown")
    assert _proofs([FIRST, late, read(1, 6, 7, "me")]) == []
    assert _proofs([FIRST, SECOND, read(1, 6, 7, "another")]) == []
    assert _proofs([FIRST, SECOND, read(1, 2.5, 7, "me")]) == []
    assert _proofs([FIRST, SECOND, read(1, 6, 7, "me", "BOUNDED")]) == []
    assert _proofs([FIRST, SECOND, replace(read(1, 6, 7, "me"), key="comment")]) == []


def test_a_read_that_goes_back_is_found_with_one_writer_and_with_several() -> None:
    new, old = read(3, 6, 7), read(1, 8, 9)
    assert _backwards(FIRST, SECOND, THIRD, new, old) == [(new, old)]
    assert _backwards(OTHERS, FIRST, SECOND, THIRD, new, old) == [(new, old)]
    assert _backwards(FIRST, SECOND, THIRD, new, read(None, 8, 9))
    assert _backwards(FIRST, SECOND, THIRD, read(1, 6, 7), read(2, 7.5, 8), read(3, 8.5, 9)) == []


def test_other_sessions_overlapping_reads_and_other_levels_do_not_go_back() -> None:
    new = read(3, 6, 7)
    assert _backwards(FIRST, SECOND, THIRD, new, read(1, 8, 9, "another")) == []
    assert _backwards(FIRST, SECOND, THIRD, new, read(1, 6.5, 9)) == []
    assert _backwards(FIRST, SECOND, THIRD, new, read(1, 8, 9, level="BOUNDED")) == []


def test_after_a_delete_was_seen_nothing_before_it_is_shown() -> None:
    gone = read(None, 6, 7)
    operations = [FIRST, delete(2, 3, "me"), THIRD, read(1, 3.5, 4), gone]
    (violation,) = monotonic_reads([*operations[:3], read(1, 3.5, 4), gone, read(1, 8, 9)])
    assert violation.operations[0] == gone
    assert _backwards(*operations, read(3, 8, 9)) == []


def test_not_found_is_from_the_first_delete_that_it_may_be_from() -> None:
    deleted, again = delete(4, 5, "me"), write(3, 6, 7, "me")
    gone, old = read(None, 9, 10), read(2, 11, 12)
    assert _backwards(FIRST, SECOND, deleted, again, read(1, 2, 3), gone, old) == [(gone, old)]
    assert _backwards(FIRST, SECOND, deleted, again, gone, read(1, 11, 12)) == []  # from before all writes
    twice = [FIRST, deleted, again, delete(8, 9, "me"), read(1, 2, 3), read(None, 10, 11)]
    assert _backwards(*twice, read(None, 12, 13), read(3, 14, 15)) == []


def test_a_value_that_was_seen_to_be_replaced_does_not_come_back() -> None:
    concurrent = (write(1, 0, 5, "one"), write(2, 0, 5, "two"))
    replaced, old = read(2, 3, 4), read(1, 6, 7)
    assert _backwards(*concurrent, read(1, 1, 2), replaced, old) == [(replaced, old)]
    assert _backwards(*concurrent, read(1, 1, 2), read(1, 3, 4), read(2, 6, 7)) == []


@settings(deadline=None)
@given(right_histories())
def test_right_histories_keep_what_sessions_are_promised(history: RightHistory) -> None:
    assert read_your_writes(history.operations) == []
    assert monotonic_reads(history.operations) == []
