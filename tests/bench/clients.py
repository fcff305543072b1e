"""`make bench BENCH=clients`: what callers wait for and lose, by way to several servers and by what befalls one.

The calls are Gets at a fixed rate by our Python client, whose waits count from when each was due; the servers are
processes, as if each were a machine of its own. Of each way and fault the rounds take turns.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from entresol_stories.v1 import AsyncStoryServiceClient
from tests.bench import report
from tests.bench.growth.balancer import balanced
from tests.bench.growth.fleet import Machine, machines, prepare
from tests.bench.processes import Cores
from tests.bench.rows import name_of
from tests.bench.stores import start as start_stores
from tests.bench.systems import Entresol
from tests.bench.trial import Ground
from tests.bench.workloads import Rows, Table

from entresol_client import AsyncConnection, EntresolError, trace

SERVERS = 4
WHOLE, SLOW = 1.0, 0.02  # of a core; a slow server is held to less than its calls need
FAULT_S, STOPPED_S, END_S, QUICK_END_S = 2.0, 2.0, 8.0, 5.0
DEADLINE_S = 5.0
HEDGE_AFTER_S = 0.05  # about the 99th percentile of a busy machine
WARM_S = 1.0

Ways = Mapping[str, Callable[[Sequence[str], str], AsyncConnection]]
WAYS: Ways = {
    "one server": lambda addresses, balancer: AsyncConnection(addresses[0]),
    "round robin": lambda addresses, balancer: AsyncConnection(addresses),
    "round robin, hedged": lambda addresses, balancer: AsyncConnection(
        addresses, hedge_after_s=HEDGE_AFTER_S
    ),
    "HAProxy": lambda addresses, balancer: AsyncConnection(balancer),
    "HAProxy, hedged": lambda addresses, balancer: AsyncConnection(balancer, hedge_after_s=HEDGE_AFTER_S),
}


async def nothing(victim: Machine) -> None:
    """Let it be."""


async def killed(victim: Machine) -> None:
    """Kill it; it does not come back."""
    await victim.kill()


async def told_to_end(victim: Machine) -> None:
    """Let it end in order."""
    _process(victim).terminate()


async def stopped(victim: Machine) -> None:
    """Let it stand still for a while."""
    _process(victim).send_signal(signal.SIGSTOP)
    await asyncio.sleep(STOPPED_S)
    _process(victim).send_signal(signal.SIGCONT)


def _process(machine: Machine) -> asyncio.subprocess.Process:
    assert machine.process is not None, "it was started"
    return machine.process


FAULTS: Mapping[str, tuple[Callable[[Machine], Awaitable[None]], float]] = {
    "none": (nothing, WHOLE),
    "slow": (nothing, SLOW),
    "killed": (killed, WHOLE),
    "told to end": (told_to_end, WHOLE),
    "stopped": (stopped, WHOLE),
}


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("clients", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds of each way and fault (3; quick 1)")
    parser.add_argument("--per-s", type=int, default=200, help="calls that are due in a second (200)")
    parser.add_argument("--ways", nargs="+", choices=[*WAYS], default=[*WAYS], help="only these")
    parser.add_argument("--faults", nargs="+", choices=[*FAULTS], default=[*FAULTS], help="only these")
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.seconds = QUICK_END_S if arguments.quick else END_S
    return arguments


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores, measure, and return the whole report."""
    every = frozenset(os.sched_getaffinity(0))
    system = Entresol("clients")
    found: dict[str, Any] = {fault: {way: [] for way in arguments.ways} for fault in arguments.faults}
    async with start_stores(folder / "stores") as stores, stores.database(system.database):
        ground = Ground(stores, {}, Cores(every, every), folder, in_flight=1)
        await prepare(system, ground, arguments.rows, arguments.seed)
        for number in range(arguments.rounds):
            for fault in arguments.faults:
                for way in arguments.ways:
                    seen = await _measure(system, ground, way, fault, arguments, number)
                    found[fault][way].append(seen)
                    report.say(f"{fault}, {way}: {seen}")
    figures = ("p50_ms", "p99_ms", "max_ms", "lost", "repeated", "client_cpu_us")
    return {
        "bench": "clients",
        **report.place(),
        "rounds": arguments.rounds,
        "servers": SERVERS,
        "per_s": arguments.per_s,
        "faults": {
            fault: {
                way: {name: report.median([one[name] for one in seen]) for name in figures} | {"rounds": seen}
                for way, seen in ways.items()
            }
            for fault, ways in found.items()
        },
    }


async def _measure(
    system: Entresol, ground: Ground, way: str, fault: str, arguments: argparse.Namespace, number: int
) -> dict[str, Any]:
    """Return what callers by one way saw of one fault."""
    strike, share = FAULTS[fault]
    shares = [share, *[WHOLE] * (SERVERS - 1)]
    rows = Rows(Table(arguments.rows), arguments.seed + number)
    names = [name_of(row) for row in rows.some(round(arguments.per_s * arguments.seconds))]
    async with _served(system, ground, shares) as (servers, balancer):
        addresses = [server.address for server in servers]
        async with WAYS[way](addresses, balancer) as connection:
            stories = AsyncStoryServiceClient(connection)
            await _call(stories, names[: round(arguments.per_s * WARM_S)], arguments.per_s)
            loading = asyncio.create_task(_call(stories, names, arguments.per_s))
            await asyncio.sleep(FAULT_S)
            await strike(servers[0])
            return await loading


@contextlib.asynccontextmanager
async def _served(
    system: Entresol, ground: Ground, shares: Sequence[float]
) -> AsyncIterator[tuple[list[Machine], str]]:
    async with machines(system, ground, shares, cached=True) as servers:
        environment = servers[0].command.environment
        async with balanced([server.address for server in servers], environment, ground) as balancer:
            yield servers, balancer


async def _call(stories: AsyncStoryServiceClient, names: Sequence[str], per_s: float) -> dict[str, Any]:
    """Read each when it is due, and return what became of the calls; a wait counts from that moment."""
    waits_s: list[float] = []
    lost: Counter[str] = Counter()

    async def call(name: str, due_s: float) -> int:
        with trace() as calls:
            try:
                await stories.get_story(name, timeout=DEADLINE_S)
            except EntresolError as error:
                lost[type(error).__name__] += 1
        waits_s.append(time.perf_counter() - due_s)
        return sum(one.attempts - 1 for one in calls)

    began_s, cpu_s = time.perf_counter(), time.process_time()
    tasks = []
    for number, name in enumerate(names):
        due_s = began_s + number / per_s
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        tasks.append(asyncio.create_task(call(name, due_s)))
    repeated = sum(await asyncio.gather(*tasks))
    spread = report.spread_ms(waits_s)
    return {
        **{f"{name}_ms": spread[name] for name in ("p50", "p99", "max")},
        "lost": sum(lost.values()),
        "errors": dict(lost),
        "repeated": repeated,
        "client_cpu_us": round((time.process_time() - cpu_s) / len(names) * 1e6, 1),
    }


def summary(result: Mapping[str, Any]) -> str:
    """Return where and how it was measured, and the medians, as lines for a person."""
    head = (
        f"{result['date'][:10]}, commit {str(result['commit'])[:8]}, {result['machine']['cores']} cores, "
        f"{result['servers']} servers, {result['per_s']} Gets a second, medians of {result['rounds']} rounds"
    )
    names = ("p50_ms", "p99_ms", "max_ms", "lost", "repeated", "client_cpu_us")
    rows = [("fault", "way", *names)]
    for fault, ways in result["faults"].items():
        rows += [(fault, way, *(report.cell(found[name]) for name in names)) for way, found in ways.items()]
    return f"{head}\n\n{report.aligned(rows)}"


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures."""
    return report.main(arguments_of(), run, summary)


if __name__ == "__main__":
    sys.exit(main())
