"""The ledger knows which changes a read did not show, as long as it remembers them."""

from __future__ import annotations

import random

import pytest

from entresol.cli.verification.ledger import CHANGES_MAX, Change, Ledger, State, Watched

STORY = Watched("public.stories", "stories/a")
OTHER = Watched("public.stories", "stories/b")


def _change(version: int, told_s: float, record: Watched = STORY, *, is_delete: bool = False) -> Change:
    return Change(record, version, is_delete, told_s)


FIRST, SECOND = _change(5, 1.0), _change(7, 2.0)
DELETED = _change(7, 3.0, is_delete=True)
AGAIN = _change(9, 4.0)


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(records_max=2)
    ledger.watch(STORY)
    for change in (FIRST, SECOND, DELETED, AGAIN):
        ledger.add(change)
    return ledger


@pytest.mark.parametrize(
    ("state", "newer"),
    [
        (State(3, True), FIRST),
        (State(5, True), SECOND),
        (State(7, True), DELETED),
        (State(0, False), AGAIN),
        (State(7, False), AGAIN),
        (State(9, True), None),
        (State(11, True), None),
    ],
)
def test_the_first_change_that_a_read_did_not_show_is_found(
    ledger: Ledger, state: State, newer: Change | None
) -> None:
    assert ledger.first_newer(STORY, state) == newer


def test_a_deletion_explains_that_a_write_is_not_found_even_when_the_record_is_there_again(
    ledger: Ledger,
) -> None:
    assert ledger.was_deleted_since(FIRST)
    assert ledger.was_deleted_since(SECOND)
    assert ledger.was_deleted_since(DELETED)
    assert not ledger.was_deleted_since(AGAIN)
    assert not ledger.was_deleted_since(_change(1, 1.0, OTHER))


def test_a_record_that_was_not_found_before_its_first_change_is_older() -> None:
    ledger = Ledger()
    ledger.watch(STORY)
    ledger.add(FIRST)
    assert ledger.first_newer(STORY, State(0, False)) == FIRST


def test_only_watched_records_are_remembered_and_the_oldest_is_forgotten(ledger: Ledger) -> None:
    ledger.add(_change(1, 1.0, OTHER))
    assert not ledger.is_watched(OTHER)
    assert ledger.first_newer(OTHER, State(0, False)) is None
    for name in ("stories/b", "stories/c"):
        ledger.watch(Watched("public.stories", name))
    assert not ledger.is_watched(STORY)
    assert ledger.is_watched(OTHER)


def test_the_changes_of_a_record_are_bounded(ledger: Ledger) -> None:
    for version in range(10, 100):
        ledger.add(_change(version, version))
    newer = ledger.first_newer(STORY, State(3, True))
    assert newer is not None
    assert newer.version == 100 - CHANGES_MAX


def test_a_table_or_everything_is_forgotten(ledger: Ledger) -> None:
    ledger.watch(Watched("public.users", "users/a"))
    ledger.forget("public.stories")
    assert ledger.pick(random.Random(1)) == Watched("public.users", "users/a")
    ledger.forget()
    assert ledger.pick(random.Random(1)) is None
