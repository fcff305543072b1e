"""The harness plays a small scenario to its end, and sees what a naive strategy does wrong."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.ground import Cast
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.trial import play

SMALL = Cast(servers=1, relays=1, ways=("platform",), platforms=1, sessions=6, pause_s=0.02)


async def test_a_small_scenario_is_played_and_holds() -> None:
    scenario = replace(
        SCENARIOS["empty_redis"], cast=SMALL, seconds=1.5, calm_s=(0.1, 0.3), recovery_s_max=60.0
    )
    verdict = await play(scenario, 1, quick=False)
    assert verdict.held, verdict.line
    assert verdict.line["faults"]
    assert {"cache", "primary"} <= set(verdict.line["answered_by"])
    assert verdict.line["outcomes"]["write ok"] > 6


async def test_a_naive_strategy_is_seen_to_fail() -> None:
    cast = replace(SMALL, servers=0, relays=0, ways=("delete",))
    verdict = await play(replace(SCENARIOS["naive_delete"], cast=cast, seconds=2.5), 1, quick=False)
    assert verdict.line["violations"], verdict.line
    assert verdict.held
