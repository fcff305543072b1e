"""That ticks are told of which are lost, doubled or late, and that ours keeps its own while PostgreSQL restarts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.offline.__main__ import run
from tests.offline.counts import Away, Begun, Done, Rows
from tests.offline.findings import Findings, of_ticks
from tests.offline.systems import OURS

NOMINAL_S = (10.0, 12.0, 14.0)


def of_begun(
    *begun: tuple[int, float, int],
    runs: int = 1,
    away: tuple[Away, ...] = (),
    nominal_s: Sequence[float] = NOMINAL_S,
) -> Findings:
    """Return what is found of attempts (nominal time, lateness, number), each of them done so often."""
    attempts = [Begun(f"tick-{nominal}", number, 1, nominal + late_s) for nominal, late_s, number in begun]
    dones = [Done(row.job, row.attempt, 1, row.begun_s, row.begun_s + 0.5) for row in attempts]
    return of_ticks(Rows(frozenset(), attempts, dones * runs), nominal_s, away)


@pytest.mark.timeout(120)
async def test_ours_neither_loses_nor_doubles_a_tick_while_the_database_restarts() -> None:
    (line,) = await run([OURS], ["ticks_restart"], is_quick=True, seed=1, seconds=90)
    assert (line["lost"], line["doubled"]) == (0, 0), line
    assert line["ticks_while_away"] > 0, line


def test_ticks_that_began_in_time_hold() -> None:
    found = of_begun((10, 0.1, 1), (12, 0.2, 1), (14, 0.9, 1))
    assert found.figures == {"ticks": 3, "lost": 0, "doubled": 0, "late_s_p50": 0.2, "late_s_max": 0.9}
    assert not found.missed


def test_a_tick_that_never_ran_is_lost_and_one_that_ran_twice_doubled() -> None:
    assert of_begun((10, 0.1, 1), (14, 0.1, 1)).missed == ["lost: 1, not 0"]
    assert of_begun((10, 0.1, 1), (12, 0.1, 1), (14, 0.1, 1), runs=2).missed == ["doubled: 3, not 0"]


def test_ticks_that_began_too_late_are_told() -> None:
    found = of_begun((10, 0.1, 1), (12, 0.1, 1), (14, 1.5, 1))
    assert found.missed == ["late_s_max: 1.5, not at most 1"]
    assert found.late == ["tick-14: 1.50 s late"]


def test_a_median_is_a_bar_where_there_are_ticks_enough_for_one() -> None:
    nominal_s = [float(number) for number in range(10, 30, 2)]
    slow = [(int(one), 0.3, 1) for one in nominal_s]
    missed = ["late_s_p50: 0.3, not at most 0.2"]
    assert of_begun(*slow, nominal_s=nominal_s).missed == missed
    few = of_begun(*slow[1:], nominal_s=nominal_s[1:])
    assert (few.figures["late_s_p50"], few.missed) == (0.3, [])


def test_ticks_of_which_none_ran_have_missed_every_bar() -> None:
    assert of_begun().missed == ["lost: 3, not 0", "late_s_max: None, not at most 1"]


def test_a_tick_whose_worker_was_hit_before_it_could_say_so_begins_again_as_any_job() -> None:
    assert not of_begun((10, 0.1, 1), (12, 6.0, 2), (14, 0.1, 1)).missed
    missed = ["hit_late_s_max: 8.0, not at most 7"]
    assert of_begun((10, 0.1, 1), (12, 8.0, 2), (14, 0.1, 1)).missed == missed


def test_ticks_that_came_while_nothing_could_begin_count_from_its_end() -> None:
    away = (Away(11.0, 15.0),)
    held = of_begun((10, 0.1, 1), (12, 4.0, 1), (14, 2.0, 1), away=away)
    assert (held.figures["ticks_while_away"], held.figures["caught_up_s_max"]) == (2, 1.0)
    assert not held.missed
    late = of_begun((10, 0.1, 1), (12, 6.0, 1), (14, 2.0, 1), away=away)
    assert late.missed == ["caught_up_s_max: 3.0, not at most 2"]


def test_an_outage_that_no_tick_met_has_proved_nothing() -> None:
    found = of_begun((10, 0.1, 1), (12, 0.1, 1), (14, 0.1, 1), away=(Away(20.0, 21.0),))
    assert found.missed == ["caught_up_s_max: None, not at most 2"]
