"""What `make offline-faults` plays, and that it tells of what is lost, doubled or late."""

from __future__ import annotations

import pytest
from tests.offline.__main__ import run, table
from tests.offline.counts import Begun, Blow, Done, Rows
from tests.offline.findings import of, of_blows, of_failover, of_handing_back, of_moments
from tests.offline.systems import OURS

KILLED, OTHER = 1, 2


def done(job: str, pid: int, begun_s: float, done_s: float, attempt: int = 1) -> Done:
    return Done(job, attempt, pid, begun_s, done_s)


def rows(jobs: str, begun: list[Begun], dones: list[Done]) -> Rows:
    return Rows(frozenset(jobs), begun, dones)


async def test_ours_holds_when_a_worker_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = await run([OURS], ["kill"], is_quick=True, seed=1, seconds=60)
    assert line["held"], line
    assert line["to_begin_again"] > 0
    assert '"scenario": "kill", "system": "entresol"' in capsys.readouterr().out
    assert table([line]).splitlines()[1].split() == ["kill", "held", "yes"]


@pytest.mark.timeout(120)
async def test_ours_goes_on_with_the_standby_and_has_all_that_was_acknowledged() -> None:
    (line,) = await run([OURS], ["failover"], is_quick=True, seed=1, seconds=110)
    assert line["held"], line
    assert line["acknowledged"] > 0


def test_a_job_that_is_never_done_is_lost_and_one_that_is_done_twice_doubled() -> None:
    found = of(rows("abc", [], [done("a", OTHER, 0, 1), done("b", KILLED, 0, 1), done("b", OTHER, 5, 6)]))
    assert found.figures == {"jobs": 3, "lost": 1, "doubled": 1, "invented": 0}
    assert found.missed == ["lost: 1, not 0", "doubled: 1, not 0"]


def test_a_job_of_a_transaction_that_was_undone_is_invented() -> None:
    assert of(rows("a", [Begun("b", 1, OTHER, 0)], [done("a", OTHER, 0, 1)])).missed == ["invented: 1, not 0"]


@pytest.mark.parametrize(
    ("again", "never", "worst_s", "missed"),
    [
        ([Begun("a", 2, OTHER, 13)], 0, 3, []),
        ([Begun("a", 2, OTHER, 18)], 0, 8, ["again_s_max: 8.0, not at most 7"]),
        ([Begun("a", 2, KILLED, 13)], 1, None, ["never_again: 1, not 0", "again_s_max: None, not at most 7"]),
    ],
)
def test_what_was_in_flight_must_begin_elsewhere_and_soon(
    again: list[Begun], never: int, worst_s: float | None, missed: list[str]
) -> None:
    begun = [Begun("a", 1, KILLED, 9), Begun("b", 1, KILLED, 8), Begun("c", 1, OTHER, 9), *again]
    dones = [done("b", KILLED, 8, 9.5), done("c", OTHER, 9, 11), done("a", OTHER, 13, 15)]
    found = of_blows(rows("abc", begun, dones), [Blow(KILLED, 10, 10.1)])
    assert (found.figures["to_begin_again"], found.figures["never_again"]) == (1, never)
    assert found.figures["again_s_max"] == worst_s
    assert found.missed == missed


def test_an_attempt_that_others_took_over_before_is_not_hit_again() -> None:
    begun = [
        Begun("a", 1, KILLED, 1),
        Begun("a", 2, OTHER, 7),
        Begun("b", 1, KILLED, 9),
        Begun("b", 2, OTHER, 14),
    ]
    dones = [done("a", OTHER, 7, 12), done("b", OTHER, 14, 15)]
    assert of_blows(rows("ab", begun, dones), [Blow(KILLED, 10, 10.1)]).figures["to_begin_again"] == 1


def test_what_was_done_while_the_blow_fell_was_not_hit() -> None:
    begun, dones = [Begun("a", 1, KILLED, 9)], [done("a", KILLED, 9, 10.05)]
    assert of_blows(rows("a", begun, dones), [Blow(KILLED, 10, 10.1)]).figures["to_begin_again"] == 0


@pytest.mark.parametrize(
    ("number", "others", "holds"),
    [(3, [Blow(OTHER, 14, 14.1)], True), (2, [Blow(OTHER, 14, 14.1)], False), (3, [], False)],
)
def test_only_who_was_hit_again_unseen_has_more_time(number: int, others: list[Blow], holds: bool) -> None:
    begun = [Begun("a", 1, KILLED, 9), Begun("a", number, 3, 19)]
    found = of_blows(rows("a", begun, [done("a", 3, 19, 20, number)]), [Blow(KILLED, 10, 10.1), *others])
    assert (not found.missed, not found.late) == (holds, holds)


def test_a_blow_that_meets_nothing_has_proved_nothing() -> None:
    assert of_blows(rows("a", [], [done("a", OTHER, 0, 1)]), [Blow(KILLED, 10, 10.1)]).missed


def test_a_queue_that_does_not_go_on_is_told_as_such() -> None:
    begun = [Begun("a", 1, OTHER, 1), Begun("b", 1, OTHER, 12.5)]
    dones = [done("a", OTHER, 1, 2), done("b", OTHER, 12.5, 13)]
    assert of_moments(rows("ab", begun, dones), [10]).missed == ["resumed_s_max: 2.5, not at most 2"]
    assert of_moments(rows("ab", begun, dones), [10, 20]).missed == ["resumed_s_max: None, not at most 2"]


def test_what_a_worker_lets_end_need_not_begin_again_and_what_it_hands_back_uses_no_attempt() -> None:
    begun = [Begun("a", 1, KILLED, 9), Begun("b", 1, KILLED, 9), Begun("b", 2, OTHER, 11.5)]
    dones = [done("a", KILLED, 9, 12), done("b", OTHER, 11.5, 14, attempt=2)]
    found = of_handing_back(rows("ab", begun, dones), [Blow(KILLED, 10, 10.1)])
    assert (found.figures["let_end"], found.figures["to_begin_again"]) == (1, 1)
    assert found.missed == ["attempts_used: 1, not 0"]


def test_what_peers_did_not_play_is_an_empty_cell() -> None:
    lines = [
        {"scenario": "kill", "system": "entresol", "held": True, "lost": 0},
        {"scenario": "kill", "system": "other", "held": True, "lost": 1},
        {"scenario": "failover", "system": "entresol", "held": True, "lost": 0},
    ]
    assert table(lines).splitlines()[-1].split() == ["lost", "0", "-"]


def test_what_was_acknowledged_and_is_no_more_is_lost_though_its_order_is_lost_with_it() -> None:
    kept = rows("a", [Begun("a", 1, OTHER, 11)], [done("a", OTHER, 11, 12)])
    assert not of_failover(kept, [10], "a", "called").missed
    assert of_failover(kept, [10], "ab", "called").missed == ["acknowledged_lost: 1, not 0"]


def test_a_call_that_was_acknowledged_must_be_done_and_calls_must_go_on_by_themselves() -> None:
    begun = [Begun("a", 1, OTHER, 11), Begun("called-0", 1, OTHER, 12.5)]
    kept = rows("a", begun, [done("a", OTHER, 11, 12), done("called-0", OTHER, 12.5, 13)])
    late = ["called_resumed_s_max: 2.5, not at most 2"]
    assert of_failover(kept, [10], ["a", "called-0"], "called").missed == late
    assert of_failover(kept, [10], ["a", "called-0", "called-1"], "called").missed == [
        "lost: 1, not 0",
        *late,
    ]


async def test_what_could_not_be_played_has_not_held() -> None:
    (line,) = await run([OURS], ["kill"], is_quick=False, seed=1, seconds=0.1)
    assert (line["held"], line["error"]) == (False, "out of time")
