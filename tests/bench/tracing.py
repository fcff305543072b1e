"""`make bench BENCH=tracing`: what traces and metrics cost a call, sent to a collector that answers at once.

Each system is the platform; they differ in what is recorded. The collector's CPU is not counted, the exporter's is.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench import report
from tests.bench.operation import reads_of
from tests.bench.processes import Cores, free_address, started
from tests.bench.stores import Stores
from tests.bench.stores import start as start_stores
from tests.bench.systems import Entresol
from tests.bench.targets import line_of, table
from tests.bench.trial import Ground, Trial, on_trial
from tests.bench.workloads import Rows, Table, single

RECORDED: Mapping[str, Mapping[str, str]] = {
    "nothing": {},
    "metrics": {"OTEL_TRACES_SAMPLER": "always_off"},
    "one_percent": {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.01"},
    "all": {"OTEL_TRACES_SAMPLER": "always_on"},
}
WORKLOADS = {"hot_get": ("get", 50), "get": ("get", None), "update": ("update", None)}
AT_MOST = {"one_percent": 1.03, "all": 1.25}
# The queue holds all spans of a round and its warm-up: one that is lost costs less than one that is sent.
QUEUE = {"OTEL_BSP_MAX_QUEUE_SIZE": "16384", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "4096"}
DATABASE = "bench_tracing"


class Observed(Entresol):
    """The platform, of which so much is recorded."""

    def __init__(self, recorded: str, collector: str, near_age_s: float) -> None:
        super().__init__(f"{recorded}_{'near' if near_age_s else 'redis'}", near_age_s=near_age_s)
        self.recorded = recorded
        self._collector = collector

    @property
    def database(self) -> str:
        return DATABASE

    def settings(self, stores: Stores, *, cached: bool) -> dict[str, str]:
        settings = super().settings(stores, cached=cached)
        if not RECORDED[self.recorded]:
            return settings
        return {
            **settings,
            "ENTRESOL_TELEMETRY": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{self._collector}",
            "OTEL_EXPORTER_OTLP_INSECURE": "true",
            **QUEUE,
            **RECORDED[self.recorded],
        }


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("tracing", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds of each workload (7; quick 3)")
    parser.add_argument("--calls", type=int, help="calls of a round (4000; quick 1000)")
    parser.add_argument("--workloads", nargs="+", choices=[*WORKLOADS], default=[*WORKLOADS])
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 7)
    arguments.calls = arguments.calls or (1000 if arguments.quick else 4000)
    return arguments


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores and the collector, measure, and return the whole report."""
    cores, collector = Cores.share(), free_address()
    sink = (sys.executable, "-m", "tests.bench.sink", "--address", collector)
    found: dict[str, Any] = {}
    async with (
        start_stores(folder / "stores") as stores,
        stores.database(DATABASE),
        started(sink, {}, folder / "sink.log", cores.others),
    ):
        ground = Ground(stores, await stores.servers(), cores, folder, in_flight=64)
        await Observed("nothing", collector, 0.0).prepare(stores, arguments.rows, arguments.seed)
        await stores.wait_for_replica()
        for name in arguments.workloads:
            found[name] = await _measure(name, ground, collector, arguments)
    return {
        "bench": "tracing",
        **report.place(),
        "rounds": arguments.rounds,
        "calls": arguments.calls,
        "targets": judged(found),
        "recorded": found,
    }


async def _measure(
    name: str, ground: Ground, collector: str, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Return the figures of a workload by what is recorded; the systems take turns."""
    kind, hot = WORKLOADS[name]
    rows = Table(arguments.rows)
    source = Rows(rows, arguments.seed, hot)
    rounds: dict[str, list[dict[str, Any]]] = {recorded: [] for recorded in RECORDED}
    async with contextlib.AsyncExitStack() as stack:
        trials: dict[str, Trial] = {}
        for recorded in RECORDED:
            system = Observed(recorded, collector, 1.0 if name == "hot_get" else 0.0)
            trials[recorded] = await stack.enter_async_context(on_trial(system, ground, cached=True))
        for number in range(arguments.rounds):
            operations = single(kind)(source, arguments.calls)
            for recorded in RECORDED if number % 2 == 0 else reversed(RECORDED):
                if kind == "get":
                    await trials[recorded].warm(reads_of(operations, rows.first))
                seen = await trials[recorded].measure(operations, f"{name}-{recorded}-{number}")
                rounds[recorded].append(seen)
            report.say(f"{name}, us: { ({one: seen[-1]['cpu_us'] for one, seen in rounds.items()}) }")
    return {recorded: report.summary(seen) for recorded, seen in rounds.items()}


def judged(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a line for each workload and what is recorded of it, beside metrics alone, and beside nothing."""
    lines = []
    for name, by_recorded in found.items():
        cpu_us = {recorded: figures["cpu_us"] for recorded, figures in by_recorded.items()}
        for recorded, bound in AT_MOST.items():
            line = line_of(
                f"{name}: traces of {recorded}, beside metrics",
                cpu_us[recorded],
                cpu_us["metrics"],
                at_most=bound,
            )
            lines.append(line)
        lines += [
            line_of(f"{name}: {recorded}, beside nothing", cpu_us[recorded], cpu_us["nothing"])
            for recorded in ("metrics", *AT_MOST)
        ]
    return lines


def summary(result: Mapping[str, Any]) -> str:
    """Return what was found, as lines for a person."""
    head = f"{result['date'][:10]}, commit {str(result['commit'])[:8]}, medians of {result['rounds']} rounds, CPU us"
    return f"{head}\n\n{table(result['targets'])}"


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures."""
    return report.main(arguments_of(), run, summary)


if __name__ == "__main__":
    sys.exit(main())
