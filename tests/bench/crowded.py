"""TAOBench's workload O when Redis has room for a fifth of the data: how much of it the cache answers all the same."""

from __future__ import annotations

import argparse
import dataclasses
import statistics
from collections import Counter
from typing import Any

from redis.asyncio import Redis
from tests.bench import report, stores
from tests.bench.graph import READ, Graph
from tests.bench.operation import Operation
from tests.bench.systems import SYSTEMS
from tests.bench.trial import Ground, on_trial

NAME = "tao_o_crowded"
SYSTEM = "graph_entresol_near"
ROOM = 0.2  # of what the entries of all rows take
TIMEOUT_S = 10.0
HITS = ("near", "cache")
DONE_AT_ONCE, WARM_ROUNDS = 5000, 10


async def measure(ground: Ground, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return `tao_o_crowded`: the share of reads that this process's copies and Redis answered.

    The stores are its own, for it takes most of Redis's memory away.
    """
    system, graph = SYSTEMS[SYSTEM], Graph(arguments.rows, arguments.seed)
    every = [Operation(READ, (number,)) for row in range(arguments.rows) for number in (row, -1 - row)]
    ratios: list[float] = []
    async with stores.start(ground.folder / "crowded") as own, own.database(system.database):
        own_ground = dataclasses.replace(ground, stores=own, servers={})
        await system.prepare(own, arguments.rows, arguments.seed)
        await own.wait_for_replica()
        async with (
            on_trial(system, own_ground, cached=True) as trial,
            Redis.from_url(own.cache, socket_timeout=TIMEOUT_S) as redis,
        ):
            empty_bytes = int((await redis.info("memory"))["used_memory"])
            for at in range(0, len(every), DONE_AT_ONCE):
                await trial.measure(every[at : at + DONE_AT_ONCE], f"{NAME}-fill")
            full_bytes = int((await redis.info("memory"))["used_memory"])
            room_bytes = int(empty_bytes + ROOM * (full_bytes - empty_bytes))
            await redis.config_set("maxmemory", room_bytes)
            for index in range(WARM_ROUNDS + arguments.rounds):
                operations = [graph.operation() for _ in range(DONE_AT_ONCE)]
                seen = await trial.measure(operations, f"{NAME}-{index}")
                ratios.append(_hit_ratio(seen["answered_by"]))
    report.say(f"{NAME}: hit ratio {ratios} with {room_bytes} of {full_bytes} bytes")
    return {
        NAME: {
            "hit_ratio": round(statistics.median(ratios[WARM_ROUNDS:]), 4),
            "hit_ratio_rounds": ratios,
            "redis_bytes": {"empty": empty_bytes, "full": full_bytes, "allowed": room_bytes},
        }
    }


def _hit_ratio(answered_by: dict[str, int]) -> float:
    """Return the share of calls that copies or Redis answered, of all that read."""
    reads = Counter(answered_by)
    del reads["primary"]  # writes
    return round(sum(reads[name] for name in HITS) / reads.total(), 4)
