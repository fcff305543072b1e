"""What becomes of ticks: each begins or is skipped for a reason that is told, and none is forgotten."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from entresol.schedules.advance import Advance, advance, jitter_s, job_of
from entresol.storage.schedules import Due

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DUE = Due(
    "s", "k", "every 1m", "UTC", "allow", "latest", 100, 0.0, False, NOON, NOON + timedelta(seconds=0.1)
)


def after(**changes: object) -> Advance:
    return advance(replace(DUE, **changes))  # type: ignore[arg-type]


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


def skipped(found: Advance) -> dict[str, int]:
    return {skip.reason: skip.number for skip in found.skipped}


def test_a_tick_that_has_come_begins_and_the_cursor_is_behind_it() -> None:
    assert after() == Advance(DUE, minutes(1), begun=(NOON,))


@pytest.mark.parametrize(
    ("missed", "begun", "lost"),
    [("latest", [5], 5), ("skip", [], 6), ("all", [0, 1, 2, 3, 4, 5], 0)],
)
def test_ticks_that_nobody_was_there_for(missed: str, begun: list[int], lost: int) -> None:
    found = after(missed=missed, now=minutes(5.5))
    assert list(found.begun) == [minutes(count) for count in begun]
    assert skipped(found) == ({"missed": lost} if lost else {})
    assert found.next_time == minutes(6)


def test_an_outage_of_days_is_bounded_and_every_tick_is_counted() -> None:
    found = after(missed="all", missed_max=100, now=minutes(3 * 1440))
    assert len(found.begun) == 100
    assert found.begun[-1] == minutes(3 * 1440)
    assert skipped(found) == {"missed": 3 * 1440 + 1 - 100}


@pytest.mark.parametrize(
    ("overlap", "is_held", "begun", "held", "lost"),
    [("skip", False, 0, 0, 1), ("allow", False, 1, 0, 0), ("cancel", False, 1, 0, 0),
     ("queue", False, 0, 1, 0), ("queue", True, 0, 0, 1)],
)  # fmt: skip
def test_a_tick_while_the_run_before_it_is_not_over(
    overlap: str, is_held: bool, begun: int, held: int, lost: int
) -> None:
    found = after(overlap=overlap, is_running=True, is_held=is_held)
    assert (len(found.begun), len(found.held), skipped(found).get("overlap", 0)) == (begun, held, lost)


def test_a_tick_does_not_overtake_the_one_that_is_held_when_the_run_before_it_ends() -> None:
    found = after(overlap="queue", is_running=False, is_held=True)
    assert (found.begun, found.held, skipped(found)) == ((), (), {"overlap": 1})


def test_ticks_of_a_schedule_that_is_paused_are_skipped_and_counted() -> None:
    found = after(is_paused=True, now=minutes(2.5))
    assert (found.begun, skipped(found), found.next_time) == ((), {"paused": 3}, minutes(3))


def test_a_tick_has_one_job_and_one_jitter_whoever_asks() -> None:
    assert job_of("s", NOON) == job_of("s", NOON) != job_of("t", NOON)
    assert job_of("s", NOON).version == 7
    assert jitter_s("s", NOON, 30) == jitter_s("s", NOON, 30)
    assert 0 <= jitter_s("s", NOON, 30) < 30
