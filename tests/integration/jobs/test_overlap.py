"""Runs that take longer than the period of their schedule, by real workers: skipped, queued, side by side, or ended."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest
from tests.integration.jobs.conftest import SERVICE, Workshop
from tests.integration.jobs.test_jobs import until
from tests.integration.jobs.test_schedules import rows

NAME = "schedules/slow"
RUNS = """
    SELECT start_time, done_time, outcome
    FROM entresol.ticks LEFT JOIN entresol.jobs_done ON id = job
    ORDER BY tick_time
"""


def play(workshop: Workshop, overlap: str) -> tuple[list[tuple[datetime, datetime, str]], int]:
    """Let runs of 1.2 s tick every 0.5 s; return when each began, when and how it ended, and how many were skipped."""
    schedule = {
        "method": f"{SERVICE}.RunTask",
        "timing": "every 500ms",
        "overlap": overlap,
        "request": {"label": "slow", "steps": 1, "pause": "1.2s"},
    }
    with workshop.worker():
        workshop.operate("CreateSchedule", schedule_id="slow", schedule=schedule)
        until(lambda: len(rows(workshop, RUNS)) >= 4, 30)
        workshop.operate("PauseSchedule", name=NAME)
        until(lambda: all(row["outcome"] for row in rows(workshop, RUNS)), 30)
    runs = [(row["start_time"], row["done_time"], row["outcome"]) for row in rows(workshop, RUNS)]
    ticks = workshop.operate("ListTicks", parent=NAME, page_size=1000).ticks
    return runs, sum(tick.count for tick in ticks if tick.reason == "overlap")


@pytest.mark.parametrize("overlap", ["skip", "queue"])
def test_runs_are_one_behind_the_other_and_what_did_not_fit_is_skipped(
    workshop: Workshop, overlap: str
) -> None:
    runs, skipped = play(workshop, overlap)
    assert all(before[1] <= after[0] for before, after in pairwise(runs))
    assert {outcome for _, _, outcome in runs} == {"succeeded"}
    assert skipped >= 2


def test_of_the_two_policies_only_queue_begins_ticks_that_come_while_a_run_is_not_over(
    workshop: Workshop,
) -> None:
    play(workshop, "queue")
    held = rows(
        workshop,
        "SELECT count(*) FROM entresol.ticks AS tick WHERE EXISTS (SELECT FROM entresol.ticks AS before "
        "JOIN entresol.jobs_done ON id = before.job WHERE before.tick_time < tick.tick_time "
        "AND start_time < tick.create_time AND done_time > tick.create_time)",
    )
    assert held[0][0] >= 2


def test_runs_are_side_by_side_where_that_is_allowed_and_none_is_skipped(workshop: Workshop) -> None:
    runs, skipped = play(workshop, "allow")
    assert any(before[1] > after[0] for before, after in pairwise(runs))
    assert {outcome for _, _, outcome in runs} == {"succeeded"}
    assert skipped == 0


def test_a_run_is_ended_by_the_next_one_where_that_is_asked_for(workshop: Workshop) -> None:
    runs, skipped = play(workshop, "cancel")
    outcomes = [outcome for _, _, outcome in runs]
    assert outcomes[-1] == "succeeded"
    assert set(outcomes[:-1]) == {"cancelled"}
    assert skipped == 0
