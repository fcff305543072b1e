"""`make bench BENCH=read`: what a Get of a hot story, of any that is cached and of one that is not, and an Update cost.

Prints one JSON document to standard output and its medians as a table to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import report, stores
from tests.bench.keys import Keys
from tests.bench.processes import Cores
from tests.bench.systems import SYSTEMS, System
from tests.bench.trial import Ground, Trial, on_trial

WARM_CALLS = 300


@dataclass(frozen=True)
class Workload:
    """What is called, and whether the system has a cache while it is."""

    name: str
    method: str
    cached: bool
    hot: int | None = None  # so many stories are asked for, again and again; None: all of them


WORKLOADS = (
    Workload("hot_get", "GetStory", cached=True, hot=50),
    Workload("cached_get", "GetStory", cached=True),
    Workload("update", "UpdateStory", cached=True),
    Workload("replica_get", "GetStory", cached=False),
)


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("read", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds per workload (5; quick 3)")
    parser.add_argument("--calls", type=int, help="calls per round and system (4000; quick 800)")
    parser.add_argument("--in-flight", type=int, default=32, help="calls in flight at any time")
    parser.add_argument("--systems", nargs="+", choices=sorted(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument(
        "--stores", nargs=3, metavar=("PRIMARY", "REPLICA", "REDIS"), help="URLs of running servers"
    )
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 5)
    arguments.calls = arguments.calls or (800 if arguments.quick else 4000)
    return arguments


async def measure(
    workload: Workload, trials: Sequence[Trial], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Run the rounds of one workload, the systems taking turns at being first."""
    keys = Keys(min(arguments.rows, workload.hot or arguments.rows), arguments.seed)
    draws = [keys.draw(arguments.calls) for _ in range(arguments.rounds)]
    rounds: dict[str, list[dict[str, Any]]] = {trial.system.name: [] for trial in trials}
    for trial in trials:
        if workload.cached:
            await trial.warm([number for draw in draws for number in draw])
        await trial.measure(workload.method, keys.draw(WARM_CALLS), f"{workload.name}-warm")
    for index, draw in enumerate(draws):
        for trial in trials if index % 2 == 0 else reversed(trials):
            seen = await trial.measure(workload.method, draw, f"{workload.name}-{index}")
            rounds[trial.system.name].append(seen)
            report.say(
                f"{workload.name} round {index + 1}/{len(draws)} {trial.system.name}: {seen['cpu_us']:.0f} us"
            )
    return report.workload(rounds)


async def measure_all(
    ground: Ground, systems: Sequence[System], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Run every workload, with the systems started once for all that share a cache setting."""
    results: dict[str, Any] = {}
    for cached in (True, False):
        async with contextlib.AsyncExitStack() as stack:
            trials = [
                await stack.enter_async_context(on_trial(system, ground, cached=cached)) for system in systems
            ]
            for workload in WORKLOADS:
                if workload.cached == cached:
                    results[workload.name] = await measure(workload, trials, arguments)
    return results


@contextlib.asynccontextmanager
async def prepared(
    chosen: stores.Stores, systems: Sequence[System], arguments: argparse.Namespace
) -> AsyncIterator[None]:
    """Give every system its database with its rows for the length of the block."""
    async with contextlib.AsyncExitStack() as stack:
        for system in systems:
            report.say(f"filling {system.name} with {arguments.rows} stories")
            await stack.enter_async_context(chosen.database(system.database))
            await system.prepare(chosen, arguments.rows, arguments.seed)
        await chosen.wait_for_replica()
        yield


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores, measure, and return the whole report."""
    shared = Cores.share()
    systems = [SYSTEMS[name] for name in arguments.systems]
    opened = (
        contextlib.nullcontext(stores.Stores(*arguments.stores))
        if arguments.stores
        else stores.start(folder / "stores")
    )
    async with opened as chosen, prepared(chosen, systems, arguments):
        workloads = await measure_all(Ground(chosen, shared, folder, arguments.in_flight), systems, arguments)
    settings = {name: getattr(arguments, name) for name in ("rounds", "calls", "rows", "in_flight", "seed")}
    cores = {"server": sorted(shared.server), "stores_and_load": sorted(shared.others)}
    return {"bench": "read", **report.place(), **settings, "cores": cores, "workloads": workloads}


def summary(result: Mapping[str, Any]) -> str:
    """Return the medians as lines for a person."""
    return report.table(result["workloads"])


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures."""
    return report.main(arguments_of(), run, summary)


if __name__ == "__main__":
    sys.exit(main())
