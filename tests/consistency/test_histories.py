"""Random concurrent histories on real servers: when they end, every entry is its row."""

from __future__ import annotations

import random

import pytest
from tests.consistency.scenarios import SCENARIOS, Scenario, play
from tests.integration.cache.conftest import OpenStage

SECONDS = 3.0


@pytest.mark.parametrize("scenario", [SCENARIOS[2], SCENARIOS[-1]], ids=lambda scenario: scenario.name)
async def test_when_writes_stop_every_entry_is_its_row(scenario: Scenario, open_stage: OpenStage) -> None:
    seed = random.randrange(1 << 32)
    print(f"{scenario.name}, seed {seed}")
    async with open_stage() as stage:
        verdict = await play(stage, scenario, seed, SECONDS)
    print(verdict.counts)
    assert verdict.wrongs == []
    assert verdict.stale == []
    assert verdict.is_good
