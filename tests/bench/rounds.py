"""Rounds of a workload: the same operations on every system, the systems taking turns."""

from __future__ import annotations

import argparse
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any

from tests.bench import report, stores, targets
from tests.bench.graph import READ, READ_TRANSACTION
from tests.bench.operation import reads_of
from tests.bench.systems import System
from tests.bench.trial import Ground, Trial
from tests.bench.workloads import Rows, Table, Workload

WARM_OPERATIONS = 200
# A round lasts at least so long where its operations can be done again (a quick system's would be over at once), and no
# operation of it begins after ROUND_MAX_S, where nothing depends on all being done.
ROUND_S, QUICK_ROUND_S, ROUND_MAX_S = 0.5, 0.25, 1.0
REPEATS_MAX = 50
READS = frozenset({"get", "batch_get", "list", READ, READ_TRANSACTION})
BESIDE_ROUNDS = 3  # at most, of a workload that no target names
TARGETED = targets.named()


async def measure(
    workload: Workload, table: Table, trials: Sequence[Trial], arguments: argparse.Namespace
) -> dict[str, Any]:
    """Run the rounds of one workload on all systems that know its kinds, and return what they cost."""
    able = [trial for trial in trials if workload.kinds <= trial.system.kinds]
    source = Rows(table, arguments.seed, workload.hot)
    count = max(1, int(arguments.calls * workload.share))
    first = workload.draw(source, min(count, WARM_OPERATIONS))
    draws = [workload.draw(source, count) for _ in range(_rounds(workload, able[0].ground, arguments))]
    reads = reads_of(itertools.chain(first, *draws), table.first)
    seconds_max = None if "create" in workload.kinds else ROUND_MAX_S  # what is created is asked for later
    rounds: dict[str, list[dict[str, Any]]] = {trial.system.name: [] for trial in able}
    repeats: dict[str, int] = {}
    for trial in able:
        if workload.cached and reads:
            await trial.warm(reads)
        warm = await trial.measure(first, f"{workload.name}-warm")
        repeats[trial.system.name] = (
            _repeats(warm["per_s"], count, arguments.quick) if workload.kinds <= READS else 1
        )
    for index, draw in enumerate(draws):
        for trial in able if index % 2 == 0 else reversed(able):
            operations = draw * repeats[trial.system.name]
            seen = await trial.measure(operations, f"{workload.name}-{index}", seconds_max=seconds_max)
            rounds[trial.system.name].append(seen)
        costs = ", ".join(f"{name} {found[-1]['cpu_us']:.0f}" for name, found in rounds.items())
        report.say(f"{workload.name} {index + 1}/{len(draws)}, us: {costs}")
    return report.workload(rounds)


def _rounds(workload: Workload, ground: Ground, arguments: argparse.Namespace) -> int:
    """Return how many rounds there are: fewer of what no target names, and of that one when the run is late."""
    if workload.name in TARGETED:
        return int(arguments.rounds)
    return 1 if ground.is_late else min(arguments.rounds, BESIDE_ROUNDS)


def _repeats(per_s: float, count: int, is_quick: bool) -> int:
    """Return how often a system is to do its operations, which it does `per_s`."""
    round_s = QUICK_ROUND_S if is_quick else ROUND_S
    return min(max(1, round(round_s * per_s / count)), REPEATS_MAX)


@contextlib.asynccontextmanager
async def prepared(
    chosen: stores.Stores, systems: Sequence[System], arguments: argparse.Namespace
) -> AsyncIterator[None]:
    """Give every system its database with its rows for the length of the block."""
    async with contextlib.AsyncExitStack() as stack:
        for system in systems:
            await stack.enter_async_context(chosen.database(system.database))
            await system.prepare(chosen, arguments.rows, arguments.seed)
            report.say(f"{system.name} has {arguments.rows} rows")
        await chosen.wait_for_replica()
        yield
