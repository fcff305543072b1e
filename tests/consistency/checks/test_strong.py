"""A STRONG read that is older than it may be is found, and so is one that no order explains."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.consistency.checks.examples import RightHistory, delete, read, right_histories, write
from tests.consistency.checks.operation import Operation
from tests.consistency.checks.strong import StrongReads, strong


def _read(value: int | None, start_s: float, end_s: float) -> Operation:
    return read(value, start_s, end_s, level="STRONG")


def _proofs(*operations: Operation) -> list[tuple[Operation, ...]]:
    return [violation.operations for violation in strong(operations).violations]


FIRST, SECOND = write(1, 0, 1), write(2, 2, 3)


def test_an_older_value_than_was_acknowledged_is_found_whoever_wrote_it() -> None:
    old = _read(1, 4, 5)
    assert _proofs(FIRST, SECOND, old) == [(SECOND, old)]
    assert _proofs(write(9, 0, 8, "another"), FIRST, SECOND, old) == [(SECOND, old)]
    gone = delete(6, 7)
    shown = _read(2, 8, 9)
    assert _proofs(FIRST, SECOND, gone, shown) == [(gone, shown)]


def test_a_write_that_is_under_way_may_show_or_not() -> None:
    assert _proofs(FIRST, write(2, 2, 9), _read(1, 4, 5), _read(2, 6, 7)) == []
    assert _proofs(FIRST, SECOND, _read(2, 4, 5), _read(2, 6, 7)) == []


def test_other_levels_may_be_older() -> None:
    assert _proofs(FIRST, SECOND, read(1, 4, 5)) == []


def test_new_then_old_within_one_write_is_found_although_no_acknowledgement_says_so() -> None:
    old = _read(1, 6, 7)
    (violation,) = strong([FIRST, write(2, 2, 9), _read(2, 4, 5), old]).violations
    assert violation.operations == (old,)
    assert violation.sentence == (
        "story: no order of its writes and STRONG reads explains that reader read 1 from 6.000000 to 7.000000 s"
    )


def test_a_write_whose_client_gave_up_may_show_late_but_not_come_back() -> None:
    lost = write(2, 2, 3, outcome="unknown")
    assert _proofs(FIRST, lost, _read(1, 4, 5), _read(2, 6, 7)) == []
    assert _proofs(FIRST, lost, _read(1, 4, 5), _read(2, 6, 7), _read(1, 8, 9)) != []


def test_what_failed_or_was_never_written_is_not_shown() -> None:
    assert _proofs(FIRST, write(2, 2, 3, outcome="failed"), _read(2, 4, 5)) != []
    assert _proofs(_read(7, 4, 5)) != []
    assert strong([_read(7, 4, 5)], {"story": 7}) == StrongReads([], [])


def test_a_write_in_doubt_may_come_after_a_later_one_of_its_session() -> None:
    late = (FIRST, write(2, 2, 3, outcome="unknown"), write(3, 4, 5), _read(3, 6, 7), _read(2, 8, 9))
    assert _proofs(*late) == []
    assert _proofs(*late, _read(3, 10, 11)) == [(_read(3, 10, 11),)]


def test_what_is_too_much_to_search_is_said_and_no_verdict() -> None:
    writes = [replace(write(number, 0, 10), session=f"writer{number}") for number in range(12)]
    back = [*writes, _read(1, 11, 12), _read(2, 13, 14)]
    assert strong(back, states_max=100) == StrongReads([], ["story"])
    other = [replace(operation, key="comment") for operation in (FIRST, SECOND, _read(1, 4, 5))]
    found = strong([*back, *other], states_max=100)
    assert (len(found.violations), found.undecided) == (1, ["story"])
    assert len(strong(back).violations) == 1


def test_many_writes_in_doubt_at_once_are_decided_when_what_they_wrote_was_shown() -> None:
    lost = [write(number, 0, 1, f"writer{number}", "unknown") for number in range(40)]
    shown = [_read(number, 2 * number + 2, 2 * number + 3) for number in range(40)]
    assert strong([*lost, *shown], states_max=100) == StrongReads([], [])


@settings(deadline=None)
@given(right_histories())
def test_right_histories_are_strong(history: RightHistory) -> None:
    assert strong(history.operations) == StrongReads([], [])


@settings(deadline=None)
@given(right_histories(), st.data())
def test_a_read_of_what_nobody_wrote_is_found(history: RightHistory, data: st.DataObject) -> None:
    operations = history.operations
    reads = [number for number, operation in enumerate(operations) if operation.level == "STRONG"]
    assume(reads)
    changed = data.draw(st.sampled_from(reads))
    wrong = replace(operations[changed], value=-1)
    assert strong((*operations[:changed], wrong, *operations[changed + 1 :])).violations != []
