"""Replicas: how many rows a second one, two and four of them give two servers, and what is lost when one dies."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from tests.bench import report
from tests.bench.growth.fleet import fleet
from tests.bench.growth.loss import BACK_S, DIES_S, END_S, told
from tests.bench.growth.servers import CONNECTIONS, REPEATS_MAX
from tests.bench.operation import Operation
from tests.bench.slices import held
from tests.bench.systems import Entresol
from tests.bench.trial import Ground
from tests.bench.workloads import Rows, Table, single

from entresol.embedded import EmbeddedServers
from entresol.embedded.replica import Replica

COUNTS = (1, 2, 4)
SLICE = 0.05  # of a core, for each replica
SERVERS, OF_A_SERVER = 2, 0.8  # so that replicas are what there is too little of
IN_FLIGHT = 32


class Reading(Entresol):
    """The platform over the first of several replicas."""

    def __init__(self, servers: EmbeddedServers, count: int) -> None:
        super().__init__("growth_replicas")
        self._servers = servers
        self.count = count

    def settings(self, stores: Any, *, cached: bool) -> dict[str, str]:
        urls = [replica.url(self.database) for replica in self._servers.replicas[: self.count]]
        return {**super().settings(stores, cached=cached), "ENTRESOL_DATABASE_READ": " ".join(urls)}


async def curve(
    servers: EmbeddedServers, ground: Ground, table: Table, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return rows a second by number of replicas, medians of the rounds, and times one replica."""
    rates: dict[int, list[float]] = {count: [] for count in COUNTS}
    source = Rows(table, arguments.seed)
    for number in range(arguments.rounds):
        for count in COUNTS:
            operations = single("get")(source, arguments.calls * count)
            system = Reading(servers, count)
            with _held(servers.replicas[:count]):
                async with fleet(system, ground, SERVERS, OF_A_SERVER, cached=False) as running:
                    seen = await running.trial.measure(
                        operations, f"replicas-{count}", in_flight=IN_FLIGHT * count, connections=CONNECTIONS
                    )
            rates[count].append(seen["per_s"])
        report.say(
            f"replicas {number + 1}/{arguments.rounds}: { {count: one[-1] for count, one in rates.items()} }"
        )
    return report.grown(rates)


async def loss(
    servers: EmbeddedServers, ground: Ground, table: Table, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return what the replicas answer before one is killed, without it, and with it back; and calls that failed."""
    count = COUNTS[-1]
    operations: Sequence[Operation] = single("get")(Rows(table, arguments.seed), arguments.calls_max)
    victim: Replica = servers.replicas[1]
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_held([one for one in servers.replicas[:count] if one is not victim]))
        with _held([victim]):
            running = await stack.enter_async_context(
                fleet(Reading(servers, count), ground, SERVERS, OF_A_SERVER, cached=False)
            )
            attempt = asyncio.create_task(
                running.trial.attempt(
                    operations,
                    "replica-loss",
                    in_flight=IN_FLIGHT * count,
                    connections=CONNECTIONS,
                    seconds_max=END_S,
                    repeats_max=REPEATS_MAX,
                )
            )
            await asyncio.sleep(DIES_S)
            await victim.kill()
        await asyncio.sleep(BACK_S - DIES_S)
        await victim.start()
        stack.enter_context(_held([victim]))
        answer = await attempt
    return told(f"one of {count} replicas", answer)


def _held(replicas: Sequence[Replica]) -> contextlib.AbstractContextManager[None]:
    """Hold replicas to their slices, and the sessions that they begin from now on."""
    return held([_pid(replica) for replica in replicas], SLICE)


def _pid(replica: Replica) -> int:
    return int((replica.data / "postmaster.pid").read_text().split()[0])
