"""A value without a write is found, whether a read or the row at the end shows it."""

from __future__ import annotations

from hypothesis import given, settings
from tests.consistency.checks.examples import RightHistory, delete, read, right_histories, write
from tests.consistency.checks.inventions import invented

WELL = (write(1, 0, 1), write(2, 2, 3, outcome="unknown"), read(2, 4, 5), delete(6, 7), read(None, 8, 9))


def test_a_value_that_nobody_wrote_or_whose_write_failed_is_found() -> None:
    for others in ((), (write(7, 0, 1, outcome="failed"),)):
        (violation,) = invented([*WELL, *others, read(7, 4, 5)], {"story": 2})
        assert violation.sentence == (
            "story: reader read 7 from 4.000000 to 5.000000 s, but nobody wrote that"
        )
        (violation,) = invented([*WELL, *others], {"story": 7})
        assert violation.sentence == "story: in the end the row has 7, but nobody wrote that"


def test_a_value_of_another_key_is_found() -> None:
    assert len(invented(WELL, {"story": 2, "comment": 2})) == 1


@settings(deadline=None)
@given(right_histories())
def test_right_histories_invent_nothing(history: RightHistory) -> None:
    assert invented(history.operations, {"story": history.row}) == []
