"""At rest, a lost write and a read that is not its row are found."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from tests.consistency.checks.endings import lost_writes, stale_for_good
from tests.consistency.checks.examples import RightHistory, delete, read, right_histories, write
from tests.consistency.checks.operation import Operation

FIRST, SECOND = write(1, 0, 1), write(2, 2, 3)


@pytest.mark.parametrize("others", [(), (write(9, 0, 20, "another"),)], ids=["one writer", "several"])
@pytest.mark.parametrize("row", [1, None, 7])
def test_a_row_older_than_an_acknowledged_write_is_found(
    others: tuple[Operation, ...], row: int | None
) -> None:
    (violation,) = lost_writes([*others, FIRST, SECOND], {"story": row})
    assert violation.operations == (SECOND,)
    assert "but in the end" in violation.sentence


def test_the_newest_acknowledged_write_and_any_that_may_follow_it_are_not_lost() -> None:
    assert lost_writes([FIRST, SECOND], {"story": 2}) == []
    assert lost_writes([FIRST, write(2, 2, 3, outcome="unknown")], {"story": 2}) == []
    assert lost_writes([FIRST, write(2, 2, 3, outcome="unknown")], {"story": 1}) == []
    assert lost_writes([FIRST, delete(2, 3, outcome="unknown")], {"story": None}) == []
    assert lost_writes([write(1, 0, 1, outcome="unknown"), SECOND], {"story": 1}) == []  # it came late
    assert lost_writes([FIRST, write(2, 0, 1, "another")], {"story": 1}) == []


def test_a_delete_that_was_lost_is_found() -> None:
    gone = delete(4, 5)
    (violation,) = lost_writes([FIRST, SECOND, gone], {"story": 2})
    assert violation.operations == (gone,)


def test_a_key_without_a_final_row_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="story"):
        lost_writes([FIRST], {})


def test_a_read_at_rest_that_is_not_its_row_is_found() -> None:
    stale, found = read(1, 9, 10), replace(read(None, 9, 10), key="comment")
    (violation,) = stale_for_good([stale, found], {"story": 2, "comment": None})
    assert violation.operations == (stale,)
    assert (
        violation.sentence == "story: at rest reader read 1 from 9.000000 to 10.000000 s, but the row has 2"
    )
    assert stale_for_good([replace(stale, outcome="failed")], {"story": 2}) == []


@settings(deadline=None)
@given(right_histories())
def test_right_histories_lose_nothing_and_end_with_their_row(history: RightHistory) -> None:
    assert lost_writes(history.operations, {"story": history.row}) == []
    assert stale_for_good([read(history.row, 1000, 1001)], {"story": history.row}) == []
