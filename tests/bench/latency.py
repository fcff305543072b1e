"""How long a Get takes: with one in flight, with 32, and when half as many arrive as a system can take."""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
from collections.abc import Sequence
from typing import Any

from tests.bench import report
from tests.bench.operation import reads_of
from tests.bench.rounds import ROUND_MAX_S
from tests.bench.trial import Trial
from tests.bench.workloads import Rows, Table, single

NAME = "latency"
ONE_IN_FLIGHT = 1
MANY_IN_FLIGHT = 32
OF_SATURATION = 0.5
# However quick a system is: in a tenth of that, one pause of the machine is the slowest hundredth of the calls.
OPEN_LOOP_S = 1.0


async def measure(table: Table, trials: Sequence[Trial], arguments: argparse.Namespace) -> dict[str, Any]:
    """Return `latency_1`, `latency_32` and `latency_half`, each as a workload."""
    source = Rows(table, arguments.seed + 1)
    draw = single("get")
    draws = [draw(source, arguments.calls) for _ in range(arguments.rounds)]
    reads = reads_of(itertools.chain(*draws), table.first)
    able = [trial for trial in trials if "get" in trial.system.kinds]
    results: dict[str, Any] = {}
    for trial in able:
        await trial.warm(reads)
    for in_flight in (ONE_IN_FLIGHT, MANY_IN_FLIGHT):
        found: dict[str, list[dict[str, Any]]] = {trial.system.name: [] for trial in able}
        for index, drawn in enumerate(draws):
            calls = drawn[: len(drawn) // 2] if in_flight == ONE_IN_FLIGHT else drawn
            for trial in able if index % 2 == 0 else reversed(able):
                seen = await trial.measure(
                    calls, f"latency-{in_flight}-{index}", in_flight=in_flight, seconds_max=ROUND_MAX_S
                )
                found[trial.system.name].append(seen)
        results[f"latency_{in_flight}"] = report.workload(found)
        report.say(f"latency with {in_flight} in flight is measured")
    saturated = {
        name: statistics.median(one["per_s"] for one in figures["rounds"])
        for name, figures in results[f"latency_{MANY_IN_FLIGHT}"]["systems"].items()
    }
    halves: dict[str, list[dict[str, Any]]] = {trial.system.name: [] for trial in able}
    for index, drawn in enumerate(draws):
        for trial in able if index % 2 == 0 else reversed(able):
            rate = saturated[trial.system.name] * OF_SATURATION
            calls = list(itertools.islice(itertools.cycle(drawn), math.ceil(rate * OPEN_LOOP_S)))
            seen = await trial.measure(calls, f"latency-half-{index}", rate=rate)
            halves[trial.system.name].append(seen | {"rate": round(rate, 1)})
    report.say("latency at half of saturation is measured")
    return results | {"latency_half": report.workload(halves)}
