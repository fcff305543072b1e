"""The checks see what is planted in a history, and nothing in one that is well."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.chaos import checks
from tests.chaos.checks import History
from tests.chaos.operation import Operation

KEY = "users/a"


def write(value: int, start_s: float, *, outcome: str = "ok", session: str = "ann") -> Operation:
    """Write for 0.5 s."""
    return Operation(session, KEY, "write", "SESSION", value, start_s, start_s + 0.5, outcome, "primary")


def delete(start_s: float) -> Operation:
    return replace(write(0, start_s), kind="delete", value=None)


def read(
    value: int | None, start_s: float, *, level: str = "SESSION", session: str = "ann", source: str = "cache"
) -> Operation:
    """Read for 0.5 s."""
    return Operation(session, KEY, "read", level, value, start_s, start_s + 0.5, "ok", source)


def kinds(*operations: Operation, row: int | None = 2) -> list[str]:
    history = History(operations)
    found = [
        *checks.invented(history),
        *checks.session_order(history),
        *checks.strong(history),
        *checks.lost(history, {KEY: row}, 100.0),
    ]
    return [violation.kind for violation in found]


WELL = (
    write(1, 0),
    read(1, 1),
    read(1, 2, level="STRONG", session="bob"),
    write(2, 3),
    read(1, 3.2, level="STRONG", session="bob"),  # it began before the write was answered
    read(1, 4, level="BOUNDED", session="bob"),
    read(2, 4),
)


def test_a_history_that_is_well_shows_nothing() -> None:
    assert kinds(*WELL) == []


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        (read(1, 5), "own write missed"),
        (read(None, 5), "own write missed"),
        (read(1, 5, level="STRONG", session="bob"), "strong read old"),
        (read(None, 5, level="STRONG", session="bob"), "strong read old"),
        (read(7, 5, level="EVENTUAL"), "invented"),
    ],
)
def test_a_planted_violation_is_seen(planted: Operation, kind: str) -> None:
    assert kinds(*WELL, planted) == [kind]


def test_a_read_of_what_was_refused_is_seen() -> None:
    refused = write(3, 5, outcome="failed")
    assert kinds(*WELL, refused, read(3, 6, level="EVENTUAL")) == ["invented"]


def test_a_session_that_goes_back_is_seen_and_others_may_be_behind_it() -> None:
    assert kinds(*WELL, read(2, 5, session="bob"), read(1, 6, session="bob")) == ["read went back"]
    assert kinds(*WELL, read(2, 5, session="bob"), read(1, 6, session="eve")) == []


def test_a_lost_write_is_seen_and_one_in_doubt_is_not_lost() -> None:
    assert kinds(*WELL, row=1) == ["acknowledged write lost"]
    assert kinds(*WELL, row=None) == ["acknowledged write lost"]
    assert kinds(*WELL, write(3, 5, outcome="unknown")) == []
    assert kinds(*WELL, write(3, 5, outcome="unknown"), row=3) == []
    assert kinds(*WELL, write(3, 5, outcome="failed"), row=3) == ["invented"]


def test_after_a_delete_nothing_may_be_found() -> None:
    gone = (*WELL, delete(5))
    assert kinds(*gone, read(None, 6), row=None) == []
    assert kinds(*gone, read(2, 6), row=None) == ["own write missed"]
    assert kinds(*gone, row=2) == ["acknowledged write lost"]


def test_what_a_server_still_answers_in_the_end_must_be_the_row() -> None:
    after = [read(2, 20), read(1, 20), replace(read(2, 20), outcome="failed")]
    found = [violation.kind for violation in checks.stale_for_good(after, {KEY: 2})]
    assert found == ["stale for good", "no answer in the end"]


def test_an_answer_is_as_old_as_the_first_newer_write_that_was_answered() -> None:
    history = History([*WELL, write(3, 5), read(1, 8, level="BOUNDED"), read(3, 8, level="BOUNDED")])
    assert checks.ages_s(history, "BOUNDED", "cache") == [0.5, 4.5, 0.0]


def test_a_promotion_may_lose_what_was_just_acknowledged_and_nothing_else() -> None:
    late = write(2, 3)
    operations = checks.without([write(1, 0), late, read(1, 6)], 3.2, 5.0)
    history = History(operations)
    assert list(checks.session_order(history)) == []
    assert list(checks.lost(history, {KEY: 1}, 9.0)) == []
    early = checks.without([write(1, 0), late], 3.6, 5.0)
    assert [one.kind for one in checks.lost(History(early), {KEY: 1}, 9.0)] == ["acknowledged write lost"]
