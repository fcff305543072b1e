"""What `make chaos` plays, and when it stops."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chaos import __main__ as chaos
from tests.chaos.ground import ChaosError
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.verdict import Verdict

Played = list[tuple[str, int]]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    """Give what is played, without playing it: 45,000 operations each."""
    names: Played = []

    async def play(scenario: Scenario, seed: int, **_: Any) -> Verdict:
        names.append((scenario.name, seed))
        if scenario.name == "psql" and seed == 13:
            raise ChaosError("psql is not there")
        line = {"scenario": scenario.name, "seed": seed, "held": True, "operations": 45_000}
        return Verdict({**line, "faults": {"kill": 1}, "violations": {}}, held=True)

    monkeypatch.setattr(chaos, "play", play)
    return names


async def test_the_storm_goes_on_until_there_were_enough_operations(
    played: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await chaos.run([*SCENARIOS.values()], 1, quick=False, is_sample=False, keep=None)
    assert [name for name, _ in played[: len(SCENARIOS)]] == [*SCENARIOS]
    more = played[len(SCENARIOS) :]
    counted = len(SCENARIOS) - 2  # without the naive ones
    assert more == [("storm", 1 + number) for number in range(1, -(-1_000_000 // 45_000) - counted + 1)]
    assert "1,035,000" in capsys.readouterr().err


async def test_the_storm_does_not_go_on_when_no_time_is_left(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos.Programme, "longest_s", chaos.ALL_S_MAX + 1)
    assert await chaos.run([*SCENARIOS.values()], 1, quick=False, is_sample=False, keep=None)
    assert len(played) == len(SCENARIOS)


async def test_a_sample_or_one_scenario_is_played_once(played: Played) -> None:
    assert await chaos.run([SCENARIOS["psql"]], 1, quick=False, is_sample=False, keep=None)
    assert played == [("psql", 1)]


async def test_what_could_not_be_played_has_not_held(
    played: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not await chaos.run([SCENARIOS["psql"]], 13, quick=False, is_sample=False, keep=None)
    assert "psql is not there" in capsys.readouterr().out
