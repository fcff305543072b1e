"""`make bench`: what calls cost on Entresol and on services that were written by hand, in one run on one machine.

Writes one JSON document with every raw figure, and prints what was to be reached and what was.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import ceilings, crowded, imports, latency, report, scale, sizes, stores, targets
from tests.bench.processes import Cores
from tests.bench.rounds import TARGETED, measure, prepared
from tests.bench.systems import SYSTEMS, System
from tests.bench.trial import Ground, on_trial
from tests.bench.workloads import WORKLOADS, Table

# What is measured beside the workloads that all systems have: each has a place of its own in the report.
PARTS = (scale, crowded, sizes, ceilings)
# After so long what is not done yet is done with fewer rounds and points, so that a run ends within half an hour.
MINUTES = 25.0


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds per workload (5; quick 3)")
    parser.add_argument("--calls", type=int, help="calls per round and system (2000; quick 400)")
    parser.add_argument("--in-flight", type=int, default=64, help="calls in flight at any time")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which less is measured")
    names = [workload.name for workload in WORKLOADS]
    names += [latency.NAME, imports.NAME, *(part.NAME for part in PARTS)]
    only = "only these (all; quick: those that targets name)"
    parser.add_argument("--workloads", nargs="+", choices=names, help=only)
    parser.add_argument("--systems", nargs="+", choices=sorted(SYSTEMS), help=only)
    parser.add_argument("--scale-workers", type=int, nargs="+", help="points of that curve (1, 2, 4, 8)")
    parser.add_argument("--sizes-rows", type=int, nargs="+", help="points of that curve (10^4, 10^5, 10^6)")
    parser.add_argument(
        "--stores", nargs=3, metavar=("PRIMARY", "REPLICA", "REDIS"), help="URLs of running servers"
    )
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 5)
    arguments.calls = arguments.calls or (400 if arguments.quick else 2000)
    named = targets.named() if arguments.quick else {*names, *SYSTEMS}
    arguments.workloads = arguments.workloads or [name for name in names if name in named]
    arguments.systems = arguments.systems or [name for name in SYSTEMS if name in named]
    return arguments


async def measure_all(
    ground: Ground, systems: Sequence[System], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Run every workload, with the systems started once for all that share a cache setting; the longest come last."""
    results: dict[str, Any] = {}
    table = Table(arguments.rows)
    ordered = sorted(WORKLOADS, key=lambda workload: workload.name not in TARGETED)
    for cached in (True, False):
        chosen = [one for one in ordered if one.cached == cached and one.name in arguments.workloads]
        timed = cached and latency.NAME in arguments.workloads
        if not chosen and not timed:
            continue
        asked = frozenset().union(*(workload.kinds for workload in chosen), {"get"} if timed else ())
        async with contextlib.AsyncExitStack() as stack:
            trials = [
                await stack.enter_async_context(on_trial(system, ground, cached=cached))
                for system in systems
                if system.kinds & asked
            ]
            for trial in trials:
                await trial.warm_up(table)
            kinds = [trial.system.kinds for trial in trials]
            for workload in (one for one in chosen if any(one.kinds <= known for known in kinds)):
                results[workload.name] = await measure(workload, table, trials, arguments)
            if timed:
                results |= await latency.measure(table, trials, arguments)
    if ceilings.NAME in arguments.workloads and systems:
        results |= await ceilings.measure(ground, systems[0].database, arguments.rows, arguments.calls)
    if imports.NAME in arguments.workloads:
        results |= await imports.measure(ground, arguments)
    names = {system.name for system in systems}
    if crowded.NAME in arguments.workloads and crowded.SYSTEM in names:
        results |= await crowded.measure(ground, arguments)
    if scale.NAME in arguments.workloads and scale.SYSTEM in names:
        results |= await scale.measure(ground, table, arguments)
    if sizes.NAME in arguments.workloads:
        results |= await sizes.measure(ground, arguments)
    return results


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores, measure, and return the whole report."""
    shared, late_s = Cores.share(), time.monotonic() + 60 * arguments.minutes
    missing = {name: reason for name in arguments.systems if (reason := SYSTEMS[name].missing())}
    for name, reason in missing.items():
        report.say(f"{name} is left out: {reason}")
    systems = [SYSTEMS[name] for name in arguments.systems if name not in missing]
    opened = (
        contextlib.nullcontext(stores.Stores(*arguments.stores))
        if arguments.stores
        else stores.start(folder / "stores")
    )
    async with opened as chosen, prepared(chosen, systems, arguments):
        ground = Ground(chosen, await chosen.servers(), shared, folder, arguments.in_flight, late_s)
        workloads = await measure_all(ground, systems, arguments)
    settings = {
        name: getattr(arguments, name) for name in ("rounds", "calls", "rows", "in_flight", "minutes", "seed")
    }
    cores = {"server": sorted(shared.server), "stores_and_load": sorted(shared.others)}
    return {
        "bench": "calls",
        **report.place(),
        **settings,
        "cores": cores,
        "left_out": missing,
        "targets": targets.judged(workloads, reasons(workloads, missing, arguments)),
        **{part.NAME: workloads.pop(part.NAME, None) for part in PARTS},
        "workloads": workloads,
    }


def reasons(
    workloads: Mapping[str, Any], missing: Mapping[str, str], arguments: argparse.Namespace
) -> dict[str, str]:
    """Return why there are no figures, by the names of workloads, systems and parts that have none."""
    parts = {part.NAME: workloads.get(part.NAME, {}) for part in PARTS}
    found = {**parts, **parts[ceilings.NAME]}
    left_out = {
        name: figures[report.LEFT_OUT] for name, figures in found.items() if report.LEFT_OUT in figures
    }
    every = {*(workload.name for workload in WORKLOADS), latency.NAME, *parts, *SYSTEMS}
    asked = {*arguments.workloads, *arguments.systems}
    why = "--quick leaves it out" if arguments.quick else "not asked for"
    return dict.fromkeys(every - asked, why) | left_out | dict(missing)


def summary(result: Mapping[str, Any]) -> str:
    """Return where and how it was measured, the medians, and the targets, as lines for a person."""
    place = result["machine"]
    head = (
        f"{result['date'][:10]}, commit {str(result['commit'])[:8]}, {place['cores']} cores of {place['processor']}, "
        f"medians of up to {result['rounds']} rounds, {result['in_flight']} in flight, {result['rows']} rows"
    )
    return "\n\n".join((head, report.table(result["workloads"]), targets.table(result["targets"])))


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures."""
    return report.main(arguments_of(), run, summary)


if __name__ == "__main__":
    sys.exit(main())
