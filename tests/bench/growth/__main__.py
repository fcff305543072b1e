"""`make bench BENCH=growth`: what one, two, four and eight machines answer, and what is lost with one that dies.

Servers and replicas are processes that a control group holds to a slice of a core each, behind one HAProxy. Where no
control groups can be made there are no figures.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.growth import loss, replicas, servers
from tests.bench.growth.fleet import prepare
from tests.bench.processes import Cores
from tests.bench.stores import CACHE_BYTES, Stores
from tests.bench.systems import Entresol
from tests.bench.targets import line_of, table
from tests.bench.trial import Ground
from tests.bench.workloads import Table

from entresol.embedded import EmbeddedServers

PARTS = ("servers", "server_loss", "replicas", "replica_loss")
TIMES_MIN = 7.5  # of eight servers
LOST_MORE = 0.03  # than a machine's share
CALLS_PER_S = 3000  # of one machine at most


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("growth", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds of each curve (3; quick 1)")
    parser.add_argument("--calls", type=int, help="calls of a round for each machine (8000; quick 3000)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="only these")
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    arguments.calls = arguments.calls or (3000 if arguments.quick else 8000)
    arguments.calls_max = int(loss.END_S * servers.COUNTS[-1] * CALLS_PER_S)
    return arguments


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores, measure, and return the whole report."""
    every, parts = frozenset(os.sched_getaffinity(0)), {}
    rows = Table(arguments.rows)
    count = replicas.COUNTS[-1] if {"replicas", "replica_loss"} & {*arguments.parts} else 1
    async with await EmbeddedServers.start(folder / "stores", replicas=count, durable=True) as stores:
        await stores.redis.command("CONFIG", "SET", "maxmemory", CACHE_BYTES)
        ground = Ground(
            Stores(stores.write_url, stores.read_urls[0], stores.cache_url),
            {},
            Cores(every, every),
            folder,
            servers.IN_FLIGHT,
        )
        plain, reading = Entresol("growth_servers"), replicas.Reading(stores, count)
        async with ground.stores.database(plain.database), ground.stores.database(reading.database):
            for system in (plain, reading):
                await prepare(system, ground, arguments.rows, arguments.seed)
            runs = {
                "servers": lambda: servers.curve(plain, ground, rows, arguments),
                "server_loss": lambda: servers.loss(plain, ground, rows, arguments),
                "replicas": lambda: replicas.curve(stores, ground, rows, arguments),
                "replica_loss": lambda: replicas.loss(stores, ground, rows, arguments),
            }
            for name in arguments.parts:
                parts[name] = await runs[name]()
    slices = {"server": servers.SLICE, "replica": replicas.SLICE}
    return {
        "bench": "growth",
        **report.place(),
        "rounds": arguments.rounds,
        "calls": arguments.calls,
        "slices_of_a_core": slices,
        "targets": judged(parts),
        "curves": {name: parts[name] for name in PARTS if name in parts},
    }


def judged(parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line for each figure that is held to something, or known."""
    lines = []
    for name in ("servers", "replicas"):
        if name in parts:
            times = {int(count): one for count, one in parts[name]["times"].items()}
            most = max(times)
            at_least = TIMES_MIN if name == "servers" else None
            lines.append(line_of(f"{most} {name}: times one", times[most], at_least=at_least))
    for name, count in (("server_loss", servers.COUNTS[-1]), ("replica_loss", replicas.COUNTS[-1])):
        if name in parts:
            found, what = parts[name], name.replace("_loss", "")
            share = round(1 / count + LOST_MORE, 4)
            lines += [
                line_of(f"one of {count} {what}s killed: share of calls lost", found["lost"], at_most=share),
                line_of(f"one of {count} {what}s killed: Gets that failed", found["failed"], at_most=0),
                line_of(f"one of {count} {what}s killed: Gets that clients repeated", found["repeated"]),
                line_of(f"one of {count} {what}s back: of what there was", found["regained"]),
            ]
    return lines


def summary(result: Mapping[str, Any]) -> str:
    """Return the curves and what is held to something, as lines for a person."""
    head = (
        f"{result['date'][:10]}, commit {str(result['commit'])[:8]}, {result['machine']['cores']} cores, "
        f"medians of {result['rounds']} rounds"
    )
    rows = [("machines", "number", "calls/s", "times one")]
    for name, found in result["curves"].items():
        for count, rate in found.get("per_s", {}).items():
            rows.append((name, str(count), f"{rate:.0f}", str(found["times"][count])))
    return f"{head}\n\n{report.aligned(rows)}\n\n{table(result['targets'])}"


def holds(result: Mapping[str, Any]) -> bool:
    """Tell whether all that was measured reached what it is held to."""
    return all(line["verdict"] != "short" for line in result["targets"])


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures, or when one is short."""
    return report.main(arguments_of(), run, summary, holds)


if __name__ == "__main__":
    sys.exit(main())
