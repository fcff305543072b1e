"""How long something takes: a front end's call that puts a job in, and until a job of an idle queue begins."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from tests.bench import report
from tests.bench.operation import Operation
from tests.bench.queue import board
from tests.bench.queue.errands import CREATE, RUN
from tests.bench.queue.ground import Ground
from tests.bench.queue.rounds import Found, taking_turns
from tests.bench.queue.systems import OURS, SERVED
from tests.bench.trial import Ground as Place
from tests.bench.trial import on_trial

IN_FLIGHT = (1, 32)
PER_S = 20.0
WARM = 200


async def calls(ground: Ground, place: Place, rounds: int, count: int) -> dict[str, Found]:
    """Return what a call takes that puts a job in, and one that creates a record as large as it."""
    numbers = itertools.count()
    results: dict[str, Found] = {}
    async with on_trial(SERVED, place, cached=False) as trial:
        for in_flight in IN_FLIGHT:

            async def one(kind: str, in_flight: int = in_flight, count: int = count) -> dict[str, Any]:
                operations = [Operation(kind, (next(numbers),)) for _ in range(count)]
                return await trial.measure(operations, kind, in_flight=in_flight)

            name = f"calls_{in_flight}_in_flight"
            for kind in (RUN, CREATE):
                await one(kind, count=WARM)
            results[name] = await taking_turns(name, ground, [RUN, CREATE], rounds, one, "p99_ms")
    await ground.clear(OURS)
    return results


async def wake_ups(ground: Ground, rounds: int, seconds: float) -> dict[str, Found]:
    """Return how long it takes from the moment that a job's commit is sent until its handler begins."""
    async with contextlib.AsyncExitStack() as stack:
        every = {
            name: await stack.enter_async_context(ground.working(queue, 1, 10))
            for name, queue in ground.queues.items()
        }

        async def one(name: str) -> dict[str, Any]:
            workers = every[name]
            count = int(PER_S * seconds)
            first = workers.putter.take(count)
            workers.begun += count
            told = await workers.putter.ask("pace", first=first, count=count, batch=1, per_s=PER_S)
            await workers.check()
            began_s = dict(board.runs(workers.folder))
            waits_s = [began_s[first + index] - sent_s for index, sent_s in enumerate(told["sent_s"])]
            found = report.spread_ms(waits_s)
            return {"jobs": found.pop("count")} | {f"{figure}_ms": value for figure, value in found.items()}

        return {"wake_up": await taking_turns("wake_up", ground, [*every], rounds, one, "p99_ms")}
