"""How quickly jobs are put in: one by one, a thousand at a time, and by many front ends, with an order each."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from tests.bench.processes import cpu_s
from tests.bench.queue.ground import Ground, Putter
from tests.bench.queue.rounds import Found, taking_turns
from tests.bench.queue.systems import OURS, VARIANTS, Queue

BATCHES = {"enqueue_one_by_one": 1, "enqueue_batches_of_1000": 1000}
ORDERS = "front_ends"
PROCESSES = 2
WARM, WARM_S = 10, 1.5  # a connection's first transactions are for its server to know the tables


async def measure(ground: Ground, rounds: int, jobs: int) -> dict[str, Found]:
    """Return what it costs to put in a number of jobs by one front end."""
    results: dict[str, Found] = {}
    async with contextlib.AsyncExitStack() as stack:
        putters = {
            name: await stack.enter_async_context(ground.putter(queue))
            for name, queue in ground.queues.items()
        }
        for name, batch in BATCHES.items():
            count = jobs if batch == 1 else 10 * batch
            for putter in putters.values():
                await putter.ask("put", first=putter.take(WARM * batch), count=WARM * batch, batch=batch)

            async def one(queue: str, count: int = count, batch: int = batch) -> dict[str, Any]:
                putter = putters[queue]
                before_s, stores_before_s = cpu_s([putter.pid]), cpu_s([ground.postgres])
                told = await putter.ask("put", first=putter.take(count), count=count, batch=batch)
                found = {
                    "per_s": round(count / told["elapsed_s"], 1),
                    "server_cpu_ms": round((cpu_s([ground.postgres]) - stores_before_s) / count * 1000, 4),
                    "client_cpu_ms": round((cpu_s([putter.pid]) - before_s) / count * 1000, 4),
                }
                await ground.clear(ground.queues[queue])
                return found

            results[name] = await taking_turns(name, ground, [*putters], rounds, one, "per_s")
    return results


async def orders(ground: Ground, rounds: int, seconds: float, front_ends: int) -> dict[str, Found]:
    """Return how many transactions with an order and its job are committed in a second by front ends that each do so.

    `bare` writes what ours does without telling anybody, `notify` tells in the transaction: what one's own is held to.
    """
    queues = {**ground.queues, **(VARIANTS if OURS.name in ground.queues else {})}
    async with contextlib.AsyncExitStack() as stack:
        putters = {
            name: [
                await stack.enter_async_context(ground.putter(queue, front_ends=0)) for _ in range(PROCESSES)
            ]
            for name, queue in queues.items()
        }

        async def one(name: str) -> dict[str, Any]:
            await _open(putters[name], front_ends // PROCESSES)
            return await _orders(ground, queues[name], putters[name], seconds)

        return {ORDERS: await taking_turns(ORDERS, ground, [*queues], rounds, one, "per_s")}


async def _orders(ground: Ground, queue: Queue, putters: list[Putter], seconds: float) -> dict[str, Any]:
    await _ask(putters, WARM_S)
    pids = [putter.pid for putter in putters]
    before_s, stores_before_s = cpu_s(pids), cpu_s([ground.postgres])
    told = await _ask(putters, seconds)
    count = sum(one["count"] for one in told)
    found = {
        "per_s": round(sum(one["count"] / one["elapsed_s"] for one in told), 1),
        "server_cpu_ms": round((cpu_s([ground.postgres]) - stores_before_s) / count * 1000, 4),
        "client_cpu_ms": round((cpu_s(pids) - before_s) / count * 1000, 4),
    }
    await _open(putters, 0)
    await ground.clear(queue)
    return found


async def _ask(putters: list[Putter], seconds: float) -> list[dict[str, Any]]:
    return await asyncio.gather(*(putter.ask("orders", first=0, seconds=seconds) for putter in putters))


async def _open(putters: list[Putter], front_ends: int) -> None:
    await asyncio.gather(*(putter.ask("open", count=front_ends) for putter in putters))
