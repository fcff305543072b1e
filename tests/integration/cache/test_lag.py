"""How old hits may be, as a process knows it: from the relay's beat, and from its silence."""

from __future__ import annotations

import math

from tests.integration.cache.conftest import OpenStage

from entresol.cache.lag import RelayLag
from entresol.embedded.polling import until
from entresol.testing.clock import ManualClock


async def test_hits_are_as_old_as_the_relay_says_and_as_it_has_been_silent(open_stage: OpenStage) -> None:
    clock = ManualClock()
    async with open_stage() as stage:
        lag = RelayLag(stage.entries.connection, stage.entries.layout, clock)
        assert lag.seconds == math.inf

        async def is_heard() -> bool:
            await lag.poll()
            return lag.seconds < 1

        async with stage.relaying():
            assert await until(is_heard, 5)
        await lag.poll()
        clock.advance(7)
        await lag.poll()
        assert 7 <= lag.seconds < 8
        async with stage.relaying():
            assert await until(is_heard, 5)


async def test_what_a_relay_said_before_this_process_came_says_nothing(open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        lag = RelayLag(stage.entries.connection, stage.entries.layout)
        for _ in range(3):
            await lag.poll()
        assert lag.seconds == math.inf


async def test_a_cache_that_is_away_ages(open_stage: OpenStage) -> None:
    clock = ManualClock()
    async with open_stage() as stage:
        nowhere = stage.another(cache_url="redis://127.0.0.1:1/0")
        lag = RelayLag(nowhere.connection, stage.entries.layout, clock)
        await lag.poll()
        assert lag.seconds == math.inf
        await nowhere.close()
