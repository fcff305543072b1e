"""TAOBench's workload O when Redis has room for a fifth of the data: how much of it the cache answers all the same.

Reads of one row are counted; those of transactions, and the writes, are what the cache has to do besides. The server
keeps no copies of its own, whose room would come on top. Beside the share that was reached stands the largest that any
cache of that room can reach (`Graph.hit_ratio_max`): what the keys' skew leaves out of reach is no fault of a cache.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from typing import Any

from redis.asyncio import Redis
from tests.bench import report, stores
from tests.bench.graph import OVERALL, READ, Graph
from tests.bench.operation import Operation
from tests.bench.systems import SYSTEMS
from tests.bench.trial import Ground, on_trial

NAME = "tao_o_crowded"
SYSTEM = "graph_entresol"
ROOM = 0.2  # of what the entries of all rows take
POLICY = "volatile-lfu"  # as the README tells operators
TIMEOUT_S = 10.0
CALLS_OF_ROUND, WARM_ROUNDS = 2.5, 10  # in calls of a round that others have; rounds


async def measure(ground: Ground, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return `tao_o_crowded`: the share of reads that Redis answered, and the largest that it could.

    The stores are its own, for it takes most of Redis's memory away.
    """
    system, graph = SYSTEMS[SYSTEM], Graph(arguments.rows, arguments.seed)
    every = [Operation(READ, (number,)) for row in range(arguments.rows) for number in (row, -1 - row)]
    ratios: list[float] = []
    at_once = int(CALLS_OF_ROUND * arguments.calls)
    async with stores.start(ground.folder / "crowded") as own, own.database(system.database):
        own_ground = dataclasses.replace(ground, stores=own, servers={})
        await system.prepare(own, arguments.rows, arguments.seed)
        await own.wait_for_replica()
        async with (
            on_trial(system, own_ground, cached=True) as trial,
            Redis.from_url(own.cache, socket_timeout=TIMEOUT_S) as redis,
        ):
            await redis.config_set("maxmemory-policy", POLICY)
            empty_bytes = int((await redis.info("memory"))["used_memory"])
            for at in range(0, len(every), at_once):
                await trial.measure(every[at : at + at_once], f"{NAME}-fill")
            full_bytes = int((await redis.info("memory"))["used_memory"])
            room_bytes = int(empty_bytes + ROOM * (full_bytes - empty_bytes))
            await redis.config_set("maxmemory", room_bytes)
            for index in range(WARM_ROUNDS + arguments.rounds):
                operations = [graph.operation() for _ in range(at_once)]
                seen = await trial.measure(operations, f"{NAME}-{index}")
                ratios.append(seen["hit_ratio"])
    report.say(f"{NAME}: hit ratio {ratios} with {room_bytes} of {full_bytes} bytes")
    return {
        NAME: {
            "hit_ratio": round(statistics.median(ratios[WARM_ROUNDS:]), 4),
            "hit_ratio_max": round(graph.hit_ratio_max(OVERALL, int(ROOM * len(every))), 4),
            "hit_ratio_rounds": ratios,
            "redis_bytes": {"empty": empty_bytes, "full": full_bytes, "allowed": room_bytes},
        }
    }
