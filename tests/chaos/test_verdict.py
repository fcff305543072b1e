"""A verdict sees what is planted in a scenario that is well, and what is documented is no violation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from tests.chaos.ground import Fault
from tests.chaos.lag import Lag
from tests.chaos.scenarios import Scenario
from tests.chaos.verdict import Evidence, judge
from tests.chaos.workload import Failure
from tests.consistency.checks.operation import Operation

from entresol.errors import Code

KEY = "users/a"
QUIET_S = 100.0


def write(value: int, start_s: float, *, outcome: str = "ok", session: str = "ann") -> Operation:
    """Write for 0.5 s."""
    return Operation(session, KEY, "write", "SESSION", value, start_s, start_s + 0.5, outcome, "primary")


def read(
    value: int | None, start_s: float, *, level: str = "SESSION", session: str = "ann", source: str = "cache"
) -> Operation:
    """Read for 0.5 s."""
    return Operation(session, KEY, "read", level, value, start_s, start_s + 0.5, "ok", source)


WELL = (
    write(1, 0),
    read(1, 1),
    read(1, 2, level="STRONG", session="bob", source="primary"),
    write(2, 3),
    read(1, 3.2, level="STRONG", session="bob", source="primary"),  # it began before the write was answered
    read(1, 4, level="BOUNDED", session="bob"),
    read(2, 4),
)


def line(
    *operations: Operation,
    row: int | None = 2,
    after: Operation | None = None,
    failures: tuple[Failure, ...] = (),
    loss: tuple[tuple[float, float], ...] = (),
    faults: Sequence[Fault] = (),
    lag: Lag | None = None,
    scenario: Scenario | None = None,
) -> Mapping[str, Any]:
    at_rest = read(row, QUIET_S, level="EVENTUAL", session="quiet") if after is None else after
    evidence = Evidence(operations, [at_rest], failures, faults, {KEY: row}, 0.5, loss, lag or Lag())
    verdict = judge(scenario or Scenario("planted", ()), 1, evidence)
    assert verdict.held == verdict.line["held"]
    return verdict.line


def test_a_scenario_that_is_well_holds() -> None:
    found = line(*WELL)
    assert (found["held"], found["violations"], found["undecided"], found["examples"]) == (True, {}, 0, [])


@pytest.mark.parametrize(
    ("planted", "kind"),
    [
        ((read(1, 5),), "read your writes"),
        ((read(None, 5),), "read your writes"),
        ((read(2, 5, session="bob"), read(1, 6, session="bob")), "monotonic reads"),
        ((read(1, 5, level="STRONG", session="bob"),), "strong"),
        ((read(7, 5, level="EVENTUAL"),), "invented"),
        ((write(3, 5, outcome="failed"), read(3, 6, level="EVENTUAL")), "invented"),
        ((write(3, 5),), "lost writes"),
    ],
)
def test_a_planted_violation_is_seen(planted: tuple[Operation, ...], kind: str) -> None:
    found = line(*WELL, *planted)
    assert not found["held"]
    assert kind in found["violations"]
    assert any(example.startswith(f"{kind}: {KEY}: ") for example in found["examples"])


def test_strong_reads_in_no_one_order_are_seen_though_none_is_older_than_an_answered_write() -> None:
    late = replace(write(3, 5), end_s=9.0)
    shown = [read(value, at_s, level="STRONG", session="bob") for value, at_s in ((3, 6), (2, 7))]
    found = line(*WELL, late, *shown, row=3)
    assert found["violations"] == {"strong": 1}
    assert line(*WELL, late, *reversed([replace(shown[0], start_s=8.0, end_s=8.5), shown[1]]), row=3)["held"]


def test_an_order_that_is_too_much_to_search_is_counted_and_no_violation() -> None:
    crowd = [replace(write(number, 10), session=f"w{number}") for number in range(10, 34)]
    shown = [read(value, at_s, level="STRONG", session="bob") for value, at_s in ((10, 11), (11, 12))]
    found = line(*WELL, *crowd, *shown, row=11)
    assert (found["held"], found["violations"], found["undecided"]) == (True, {}, 1)


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (read(1, QUIET_S), "stale for good"),
        (replace(read(2, QUIET_S), outcome="failed"), "no answer in the end"),
    ],
)
def test_what_a_server_still_answers_in_the_end_must_be_the_row(after: Operation, kind: str) -> None:
    assert line(*WELL, after=after)["violations"] == {kind: 1}


def test_a_fault_that_a_server_calls_its_own_mistake_is_seen() -> None:
    mistake = Failure("read", 5.0, 5.1, Code.INTERNAL, "INTERNAL", None, "KeyError")
    assert line(*WELL, failures=(mistake,))["violations"] == {"internal error": 1}
    assert line(*WELL, failures=(replace(mistake, code=Code.UNAVAILABLE),))["held"]


def test_a_promotion_may_lose_what_was_just_acknowledged_and_nothing_else() -> None:
    operations = (write(1, 0), write(2, 3), read(1, 6))
    assert set(line(*operations, row=1)["violations"]) == {"lost writes", "read your writes"}
    assert line(*operations, row=1, loss=((3.2, 5.0),))["held"]
    assert set(line(*operations, row=1, loss=((3.6, 5.0),))["violations"]) == {"lost writes"}


def test_the_age_of_answers_is_told_by_level_and_source_and_has_a_bound() -> None:
    operations = (
        *WELL,
        write(3, 5),
        read(1, 8, level="BOUNDED", source="near"),
        read(2, 8, level="EVENTUAL"),
    )
    found = line(*operations, row=3)["staleness_s"]
    assert {name: spread["max"] for name, spread in found.items()} == {
        "BOUNDED cache": 0.5, "BOUNDED near": 4.5, "EVENTUAL cache": 2.5, "SESSION cache": 0.0
    }  # fmt: skip
    strict = Scenario("planted", (), hit_age_s_max=4.0)
    assert line(*operations, row=3, scenario=strict)["missed"] == ["a BOUNDED hit was 4.5 s old, not 4"]


def test_refusals_that_keep_callers_waiting_are_seen() -> None:
    refused = Failure("write", 5.0, 5.3, Code.UNAVAILABLE, "DATABASE_UNAVAILABLE", 0.2, "away")
    strict = Scenario("planted", (), refused_ms_max=100.0)
    assert line(*WELL, failures=(refused,), scenario=strict)["missed"] == [
        "p99 of refusals 300 ms, of hits 0 ms"
    ]
    assert line(*WELL, failures=(replace(refused, end_s=5.09),), scenario=strict)["held"]


def test_a_bounded_hit_may_be_as_old_as_the_cache_is_behind_and_no_older() -> None:
    operations = (*WELL, write(3, 5), read(2, 8, level="BOUNDED"))  # 2.5 s old
    committed = [(second / 2, 50 * second) for second in range(20)]
    behind = Lag(committed, [(8.0, 520)])
    found = line(*operations, row=3, lag=behind)
    assert (found["missed"], found["bounded_beyond_lag_s"]["max"]) == ([], 0.0)
    abreast = Lag(committed, [(8.0, 750)])
    (missed,) = line(*operations, row=3, lag=abreast)["missed"]
    assert "2.00 s older than the relay's lag" in missed
    assert line(*operations, row=3, lag=abreast, loss=((90.0, 91.0),))["missed"] == []


def test_how_long_hits_stay_away_after_a_fault_is_told_and_has_a_bound() -> None:
    operations = [write(2, 0)]
    for tenth in range(300):
        at_s = 1 + tenth / 10
        source = "primary" if 10 <= at_s < 16 else "cache"
        operations.append(read(2, at_s, level="BOUNDED", source=source))
    faults = [Fault("kill redis", "redis", 10.0, 12.0)]
    strict = Scenario("planted", (), hits_back_s_max=3.0)
    found = line(*operations, faults=faults, scenario=strict)
    assert found["hits_back_s"] == {"kill redis": pytest.approx(4.0, abs=0.3)}
    assert found["missed"] == [f"hits were as before after {found['hits_back_s']['kill redis']:g} s, not 3"]
    assert line(*operations, scenario=strict)["not_measured"] == ["hits_back_s"]
    never = [one for one in operations if one.start_s < 16]
    assert line(*never, faults=faults, scenario=strict)["hits_back_s"] == {
        "kill redis": pytest.approx(4.0, abs=0.3)
    }


def test_a_naive_strategy_holds_only_if_it_is_seen_to_fail() -> None:
    naive = Scenario("naive", (), is_naive=True)
    assert not line(*WELL, scenario=naive)["held"]
    assert line(*WELL, read(1, 5), scenario=naive)["held"]
