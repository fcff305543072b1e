"""`make bench BENCH=queue`: our job queue beside two others and one that is written by hand, in one run.

Exits with 0 only if ours reached what it is to reach; what the others reach decides nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.processes import Cores
from tests.bench.queue import drains, held, puts, targets, waits
from tests.bench.queue.ground import Ground
from tests.bench.queue.systems import OURS, QUEUES
from tests.bench.stores import Stores
from tests.bench.targets import table
from tests.bench.trial import Ground as Place

from entresol.embedded import EmbeddedServers

PARTS = ("drain", "wake_up", "enqueue", "front_ends", "calls", "pollers", "held_snapshot")
ONLY_OURS = frozenset({"calls", "pollers"})


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("queue", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds of each part (5; quick 2)")
    parser.add_argument("--jobs", type=int, help="jobs of a drain (20000; quick 8000)")
    parser.add_argument("--seconds", type=float, help="of what is done at a rate (10; quick 3)")
    parser.add_argument(
        "--minutes", type=float, help="after which there is one round of each (12; quick 1.5)"
    )
    parser.add_argument(
        "--marks",
        type=int,
        nargs="+",
        help="jobs beside whose rows a drain is told of (40000 120000; quick 20000)",
    )
    parser.add_argument("--front-ends", type=int, default=64, help="that put jobs in at once (64)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    parser.add_argument("--systems", nargs="+", choices=list(QUEUES), default=list(QUEUES), help="only these")
    arguments = parser.parse_args(words)
    quick = arguments.quick
    arguments.rounds = arguments.rounds or (2 if quick else 5)
    arguments.jobs = arguments.jobs or (8_000 if quick else 20_000)
    arguments.seconds = arguments.seconds or (3.0 if quick else 10.0)
    arguments.minutes = arguments.minutes or (1.5 if quick else 12.0)
    arguments.marks = arguments.marks or (held.QUICK_MARKS if quick else held.MARKS)
    return arguments


async def measure(ground: Ground, place: Place, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of every part that is asked for; the longest comes last."""
    rounds, jobs, seconds, quick = arguments.rounds, arguments.jobs, arguments.seconds, arguments.quick
    fewer = 1 if quick else min(rounds, 3)
    has_ours = OURS.name in ground.queues
    runs = {
        "drain": lambda: drains.measure(ground, rounds, jobs, (1,) if quick else drains.WORKERS),
        "wake_up": lambda: waits.wake_ups(ground, fewer, seconds),
        "enqueue": lambda: puts.measure(ground, fewer, jobs // 20),
        "front_ends": lambda: puts.orders(ground, fewer, seconds / 2, arguments.front_ends),
        "calls": lambda: waits.calls(ground, place, rounds, jobs // 5),
        "pollers": lambda: drains.polled(ground, place, rounds, jobs),
        "held_snapshot": lambda: held.measure(
            ground, jobs, 3 * seconds, 15.0 if quick else 60.0, arguments.marks
        ),
    }
    results: dict[str, Any] = {}
    for name, run in runs.items():
        if name not in arguments.parts or (not has_ours and name in ONLY_OURS):
            continue
        if ground.is_too_late:
            report.say(f"no time is left for {name}")
        else:
            results |= await run()
    return results


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start PostgreSQL, measure, and return the whole report."""
    late_s = time.monotonic() + 60 * arguments.minutes
    missing = {name: reason for name in arguments.systems if (reason := QUEUES[name].missing())}
    for name, reason in missing.items():
        report.say(f"{name} is left out: {reason}")
    queues = {name: QUEUES[name] for name in arguments.systems if name not in missing}
    every = frozenset(os.sched_getaffinity(0))
    async with await EmbeddedServers.start(folder / "stores", replicas=0, durable=True) as servers:
        stores = Stores(servers.write_url, servers.write_url, servers.cache_url)
        postgres = (await stores.servers())["primary"]
        ground = Ground(stores, postgres, every, folder, queues, late_s)
        place = Place(stores, {"primary": postgres}, Cores(every, every), folder, in_flight=1)
        async with contextlib.AsyncExitStack() as stack:
            for queue in queues.values():
                await stack.enter_async_context(stores.database(queue.database))
                await ground.prepare(queue)
            parts = await measure(ground, place, arguments)
    settings = {
        name: getattr(arguments, name) for name in ("rounds", "jobs", "front_ends", "seconds", "minutes")
    }
    why = "not asked for, or no time was left"
    names = {target.part for target in targets.TARGETS}
    reasons = dict.fromkeys(names - set(parts), why) | missing
    return {
        "bench": "queue",
        **report.place(),
        **settings,
        "left_out": missing,
        "targets": targets.judged(parts, reasons),
        "parts": parts,
    }


def summary(result: Mapping[str, Any]) -> str:
    """Return where and how it was measured, and the targets, as lines for a person."""
    place = result["machine"]
    head = (
        f"{result['date'][:10]}, commit {str(result['commit'])[:8]}, {place['cores']} cores of "
        f"{place['processor']}, medians of up to {result['rounds']} rounds, {result['jobs']} jobs"
    )
    return f"{head}\n\n{table(result['targets'])}"


def holds(result: Mapping[str, Any]) -> bool:
    """Tell whether ours reached all that was measured."""
    return all(line["verdict"] != "short" for line in result["targets"])


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures, or when ours is short of one."""
    return report.main(arguments_of(), run, summary, holds)


if __name__ == "__main__":
    sys.exit(main())
