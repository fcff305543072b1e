"""Random concurrent histories on real servers: when they end, every entry is its row."""

from __future__ import annotations

import asyncio
import random

import pytest
from tests.consistency.history import RECORDS, History, Reader, Trouble, Writer
from tests.integration.cache.conftest import OpenStage

SECONDS = 3.0
PROCESSES = 2
TROUBLE_S_MAX = 0.2


@pytest.mark.parametrize("history_number", [1, 2])
async def test_when_writes_stop_every_entry_is_its_row(history_number: int, open_stage: OpenStage) -> None:
    seed = random.randrange(1 << 32)
    print(f"history {history_number}, seed {seed}")
    async with open_stage() as stage:
        history = History(stage, random.Random(seed))
        processes = [stage.another() for _ in range(PROCESSES)]
        replica_url = stage.database.read_urls[0]
        actors = []
        for number in range(4):
            entries = processes[number % PROCESSES]
            actors.append(Writer(history, entries, await stage.connect(), f"own{number}"))
            actors.append(Reader(history, entries, await stage.connect(), await stage.connect(replica_url)))
        history.ends_s = asyncio.get_running_loop().time() + SECONDS
        async with asyncio.TaskGroup() as group:
            acting = [group.create_task(history.repeat(actor.act)) for actor in actors]
            group.create_task(history.repeat(Trouble(history).act, TROUBLE_S_MAX))
            while not history.is_over():
                async with stage.relaying():
                    await asyncio.wait(acting, timeout=SECONDS / 3)
        async with stage.relaying():
            await stage.applied()
            for written in history.late:  # asleep until now
                await stage.put(written)
            stale = [name for name in RECORDS if not await stage.is_coherent(name)]
        await asyncio.gather(*(process.close() for process in processes))
    print(dict(history.counts))
    assert history.wrongs == []
    assert stale == []
    assert history.counts["hit"] > 0
    assert history.counts["own write seen"] > 0
