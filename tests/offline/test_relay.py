"""By way of RabbitMQ, too, nothing is lost and nothing done twice, whatever is killed on the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from signal import SIGKILL

import pytest
from tests.offline.findings import of
from tests.offline.ground import Ground
from tests.offline.systems import OURS, Relayed
from tests.offline.work import LEASE_S
from tests.rabbitmq import RabbitMQ

from entresol.embedded import CacheKind, EmbeddedServers

ROUNDS, JOBS, PER_S = 3, 700, 20
SETTLED = 60  # jobs until the first blow: this version keeps a new queue over a kill only after some seconds
PATIENCE_S = 30.0


@asynccontextmanager
async def ground_of(broker: RabbitMQ, seed: int) -> AsyncIterator[Ground]:
    system = Relayed(OURS.name, OURS.python, OURS.program, broker.url)
    dice = random.Random(seed)
    async with (
        await EmbeddedServers.start(replicas=0, cache=CacheKind.NONE) as servers,
        Ground.opened(system, servers, "relayed", workers=2, dice=dice) as ground,
    ):
        yield ground


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1])
async def test_relay_broker_and_worker_are_killed_in_turn_and_nothing_is_lost_or_doubled(seed: int) -> None:
    broker = await RabbitMQ.open()
    try:
        async with ground_of(broker, seed) as ground:
            await ground.start("relay", "relay")
            producer = await ground.put("job", count=JOBS, per_s=PER_S, seconds=0.3)
            assert await ground.until(lambda rows: len(rows.done) >= SETTLED, PATIENCE_S)
            for _ in range(ROUNDS):
                await ground.strike("relay", SIGKILL)
                await ground.start("relay", "relay")
                await _work_goes_on(ground)
                await broker.kill()
                await asyncio.sleep(ground.dice.uniform(0.0, 1.0))
                await broker.start()
                await _work_goes_on(ground)
                await ground.strike(await ground.busiest(), SIGKILL)
                await _work_goes_on(ground)
            await ground.end_of(producer, 2 * JOBS / PER_S)
            found = of(await ground.done(PATIENCE_S, job_s=LEASE_S))
        assert not found.missed, found
        assert found.figures["jobs"] == JOBS
    finally:
        await broker.close()


async def _work_goes_on(ground: Ground) -> None:
    """Wait until some more jobs were done."""
    done = len((await ground.rows()).done)
    assert await ground.until(lambda rows: len(rows.done) >= done + 5, PATIENCE_S)
    await asyncio.sleep(ground.dice.uniform(0.0, 1.0))
