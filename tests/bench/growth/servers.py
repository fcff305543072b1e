"""Servers: how many calls a second one, two, four and eight answer, and what is lost when one of eight dies.

The calls are Gets without a cache, which are the dearest of reads: of others, load and balancer would need more of a
small machine than the servers.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from tests.bench import report
from tests.bench.growth.fleet import Fleet, fleet
from tests.bench.growth.loss import BACK_S, DIES_S, END_S, told
from tests.bench.systems import Entresol
from tests.bench.trial import Ground
from tests.bench.workloads import Rows, Table, single

COUNTS = (1, 2, 4, 8)
SLICE = 0.08  # of a core, for each server: less, and a health check would wait too long for its turn
IN_FLIGHT = 12  # for each server: each has as much to do at a time, whatever their number
CONNECTIONS = 4  # of the load to the balancer
REPEATS_MAX = 2  # of a call that nobody answered, as clients of gRPC do
WARM = 300  # calls of each server before any is counted


async def curve(
    system: Entresol, ground: Ground, table: Table, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return calls a second by number of servers, medians of the rounds, and times one server."""
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    source = Rows(table, arguments.seed)
    for number in range(arguments.rounds):
        for count in COUNTS:
            operations = single("get")(source, arguments.calls * count)
            async with fleet(system, ground, count, SLICE, cached=False) as running:
                await _warm(running, source)
                seen = await running.trial.measure(
                    operations, f"servers-{count}", in_flight=IN_FLIGHT * count, connections=CONNECTIONS
                )
            rates[count].append(seen["per_s"])
        report.say(
            f"servers {number + 1}/{arguments.rounds}: { {count: one[-1] for count, one in rates.items()} }"
        )
    return report.grown(rates)


async def loss(
    system: Entresol, ground: Ground, table: Table, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return what eight servers answer before one is killed, without it, and with it back; and calls that failed."""
    count = COUNTS[-1]
    source = Rows(table, arguments.seed)
    operations = single("get")(source, arguments.calls_max)
    async with fleet(system, ground, count, SLICE, cached=False) as running:
        await _warm(running, source)
        attempt = asyncio.create_task(
            running.trial.attempt(
                operations,
                "loss",
                in_flight=IN_FLIGHT * count,
                connections=CONNECTIONS,
                seconds_max=END_S,
                repeats_max=REPEATS_MAX,
            )
        )
        victim = running.machines[count // 2]
        await asyncio.sleep(DIES_S)
        await victim.kill()
        await asyncio.sleep(BACK_S - DIES_S)
        await victim.start()
        answer = await attempt
    return told(f"one of {count} servers", answer)


async def _warm(running: Fleet, source: Rows) -> None:
    operations = single("get")(source, WARM * len(running.machines))
    await running.trial.measure(operations, "warm-up", in_flight=IN_FLIGHT, connections=CONNECTIONS)
