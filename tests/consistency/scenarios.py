"""Scenarios for random histories, and how one is played: when writes stop, every entry must be its row."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tests.consistency.history import RECORDS, History, Reader, Trouble, Writer
from tests.integration.cache.stage import Stage

PROCESSES = 2
CLIENTS = 4  # writers, and as many readers
TROUBLE_S_MAX = 0.2
RELAY_S = 1.0  # how long a relay lives, where it is started again


@dataclass(frozen=True)
class Scenario:
    """What goes wrong in a history, each time another of `troubles`, and whether the relay ends now and then."""

    name: str
    troubles: Sequence[str]
    restarts: bool = True


SCENARIOS = (
    Scenario("evictions", ("evict", "put_late"), restarts=False),
    Scenario("relay restarts", ("evict", "put_late")),
    Scenario(
        "failovers of Redis", ("evict", "put_late", "copy_redis", "copy_redis", "fail_over"), restarts=False
    ),
    Scenario("losses of Redis", ("evict", "put_late", "forget"), restarts=False),
    Scenario("everything", ("evict", "evict", "put_late", "copy_redis", "fail_over", "forget")),
)


@dataclass(frozen=True)
class Verdict:
    """What a history showed: sessions that were shown less than they wrote, entries that are not their rows."""

    scenario: str
    seed: int
    seconds: float
    wrongs: Sequence[str]
    stale: Sequence[str]
    counts: dict[str, int]

    @property
    def is_good(self) -> bool:
        """Tell whether nothing was wrong, and something was looked at."""
        seen = self.counts.get("hit", 0) > 0 and self.counts.get("own write seen", 0) > 0
        return seen and not self.wrongs and not self.stale


async def play(stage: Stage, scenario: Scenario, seed: int, seconds: float) -> Verdict:
    """Play one history on the stage, and look at every entry when it is over."""
    history = History(stage, random.Random(seed))
    processes = [stage.another() for _ in range(PROCESSES)]
    replica_url = stage.database.read_urls[0]
    actors: list[Writer | Reader] = []
    for number in range(CLIENTS):
        entries = processes[number % PROCESSES]
        actors.append(Writer(history, entries, await stage.connect(), f"own{number}"))
        actors.append(Reader(history, entries, await stage.connect(), await stage.connect(replica_url)))
    history.ends_s = asyncio.get_running_loop().time() + seconds
    async with asyncio.TaskGroup() as group:
        acting = [group.create_task(history.repeat(actor.act)) for actor in actors]
        group.create_task(history.repeat(Trouble(history, scenario.troubles).act, TROUBLE_S_MAX))
        while not history.is_over():
            async with stage.relaying():
                await asyncio.wait(acting, timeout=RELAY_S if scenario.restarts else seconds)
    async with stage.relaying():
        await stage.applied()
        for written in history.late:  # asleep until now
            await stage.put(written)
        stale = [name for name in RECORDS if not await stage.is_coherent(name)]
    await asyncio.gather(*(process.close() for process in processes))
    return Verdict(scenario.name, seed, seconds, history.wrongs, stale, dict(history.counts))
