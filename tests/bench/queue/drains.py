"""How quickly jobs that do nothing are run, at what cost; and how much slower while many ask how far jobs are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from tests.bench.operation import Operation
from tests.bench.queue.errands import POLL
from tests.bench.queue.ground import Ground, Workers
from tests.bench.queue.rounds import Found, taking_turns
from tests.bench.queue.systems import OURS, SERVED
from tests.bench.trial import Ground as Place
from tests.bench.trial import Trial, on_trial

WORKERS = (1, 2)
BATCHES = (100, 10)
POLLED = 1000  # operations that are asked for, again and again
POLLS_PER_S = 1000.0


def name_of(workers: int, batch: int) -> str:
    """Return what a drain is called."""
    return f"drain_{workers}_{'workers' if workers > 1 else 'worker'}_batch_{batch}"


async def measure(ground: Ground, rounds: int, jobs: int, workers: Sequence[int]) -> dict[str, Found]:
    """Return what drains cost, by so many workers, in batches of each size."""
    results: dict[str, Found] = {}
    for count in workers:
        for batch in BATCHES:
            name = name_of(count, batch)
            async with contextlib.AsyncExitStack() as stack:
                every = {
                    queue.name: await stack.enter_async_context(ground.working(queue, count, batch))
                    for queue in ground.queues.values()
                }

                async def one(queue: str, every: Mapping[str, Workers] = every) -> dict[str, Any]:
                    found = await every[queue].drain(int(jobs * ground.queues[queue].share))
                    await every[queue].check()
                    return found

                results[name] = await taking_turns(name, ground, [*every], rounds, one, "per_s")
    return results


async def polled(ground: Ground, place: Place, rounds: int, jobs: int) -> dict[str, Found]:
    """Return what a drain of ours costs while nobody asks for operations, and while many do."""
    async with ground.working(OURS, 1, BATCHES[0]) as workers, on_trial(SERVED, place, cached=False) as trial:
        ids = await workers.connection.fetch(f"SELECT id FROM entresol.jobs_done LIMIT {POLLED}")
        asked = [Operation(POLL, (record["id"].int,)) for record in ids]
        seconds = 1.0

        async def one(how: str) -> dict[str, Any]:
            nonlocal seconds
            if how == "alone":
                found = await workers.drain(jobs)
                seconds = 2 * found["jobs"] / found["per_s"]
                return found
            found, seen = await asyncio.gather(workers.drain(jobs), _poll(trial, asked, seconds))
            return {**found, "polls_per_s": seen["per_s"], "poll_p99_ms": seen["p99_ms"]}

        results = await taking_turns("pollers", ground, ["alone", "polled"], rounds, one, "per_s")
        await workers.check()
    return {"pollers": results}


async def _poll(trial: Trial, asked: Sequence[Operation], seconds: float) -> dict[str, Any]:
    count = int(POLLS_PER_S * seconds)
    operations = [asked[number % len(asked)] for number in range(count)]
    return await trial.measure(operations, "pollers", rate=POLLS_PER_S)
