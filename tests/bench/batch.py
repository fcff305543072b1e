"""`make bench BENCH=batch`: what a batch costs on each engine beside the same SQL by hand, and how its result is read.

The figures go to a file, a summary to standard output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import clicks, report
from tests.bench.batch_reads import READERS, read
from tests.bench.batch_runs import PARTS, Field, measure
from tests.bench.processes import Cores
from tests.bench.stores import start as start_stores
from tests.bench.systems import Entresol

from entresol.app import load_served
from entresol.config import Settings


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("batch", __doc__)
    parser.add_argument("--clicks", type=int, help="clicks of the day (500000; quick 100000)")
    parser.add_argument("--rounds", type=int, help="runs on each engine (5; quick 3)")
    parser.add_argument("--reads", type=int, help="records that are read (2000; quick 500)")
    parser.add_argument("--stampedes", type=int, help="records that 64 readers ask for at once (20; quick 5)")
    arguments = parser.parse_args(words)
    quick = arguments.quick
    arguments.clicks = arguments.clicks or (100_000 if quick else 500_000)
    arguments.rounds = arguments.rounds or (3 if quick else 5)
    arguments.reads = arguments.reads or (500 if quick else 2000)
    arguments.stampedes = arguments.stampedes or (5 if quick else 20)
    return arguments


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores, measure, and return the whole report."""
    cores, system = Cores.share(), Entresol("entresol_batch")
    async with start_stores(folder / "stores") as stores, stores.database(system.database):
        settings = system.settings(stores, cached=True)
        field = Field(
            stores,
            system,
            settings,
            cores,
            folder,
            f"{datetime.now(UTC):%Y-%m-%d}",
            load_served(Settings.load(settings)),
        )
        await system.prepare(stores, clicks.STORIES, arguments.seed)
        async with stores.connect(field.write) as connection:
            await clicks.fill(connection, field.day, arguments.clicks, arguments.seed)
        await stores.wait_for_replica()
        report.say(f"{field.day} has {arguments.clicks} clicks")
        computed = await measure(field, arguments)
        await stores.wait_for_replica()
        shown = await read(field, arguments)
    asked = {name: getattr(arguments, name) for name in ("clicks", "rounds", "reads", "stampedes", "seed")}
    return {"bench": "batch", **report.place(), **asked, "batch": computed, "reads_of_result": shown}


def summary(result: Mapping[str, Any]) -> str:
    """Return the figures that matter as lines for a person."""
    batch, reads = result["batch"], result["reads_of_result"]
    rows = [("way", "seconds", "cpu s", "time / by hand", "cpu / by hand", *PARTS)]
    for name, found in batch["ways"].items():
        ratios = (batch[f"{kind}_ratio_to_by_hand"].get(name, 1) for kind in ("seconds", "cpu"))
        parts = (found["parts"][part]["seconds"] if "parts" in found else None for part in PARTS)
        cells = (found["seconds"], found["cpu_s"], *ratios, *parts)
        rows.append((name, *map(report.cell, cells)))
    lines = [
        f"{result['clicks']} clicks, {batch['rows']} records; seconds of each part at the right",
        report.aligned(rows),
        *(
            f"{name}: p50 {reads[name]['latency_ms']['p50']} ms, p99 {reads[name]['latency_ms']['p99']} ms, "
            f"answered by {reads[name]['answered_by']}"
            for name in ("cold", "warm", "stampede")
        ),
        f"{READERS} readers of one record that no cache has cost {reads['stampede']['scans_median']:g} scan(s)",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures."""
    return report.main(arguments_of(), run, summary)


if __name__ == "__main__":
    sys.exit(main())
