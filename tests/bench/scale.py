"""How throughput grows with workers, each held to a slice of a core by a control group, so that few cores are enough.

A machine that lets nobody make control groups gives no figures.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import AsyncIterator
from typing import Any

from tests.bench import report
from tests.bench.operation import reads_of
from tests.bench.processes import BenchError, children
from tests.bench.slices import held
from tests.bench.stores import Stores
from tests.bench.systems import Command, Entresol
from tests.bench.trial import Ground, Trial, on_trial
from tests.bench.workloads import Rows, Table, single

from entresol.embedded.polling import until

NAME = "scale"
SYSTEM = "entresol_near"
WORKERS = (1, 2, 4, 8)
SLICE = 0.03  # of a core, for each worker
CONNECTIONS = 8  # for each worker; the kernel spreads them over all
IN_FLIGHT = 32  # likewise: each has as much to do at a time, whatever their number
HOT = 50
READY_S = 60.0


class Workers(Entresol):
    """The platform with its own copies, served by several workers."""

    def __init__(self, count: int) -> None:
        super().__init__(SYSTEM, near_age_s=1.0)
        self.count = count

    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        serve, *others = super().commands(stores, address, cached=cached)
        words = (*serve.arguments, "--workers", str(self.count))
        return (Command(serve.role, words, serve.environment), *others)


async def measure(ground: Ground, table: Table, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return `scale`: calls a second by number of workers, and the part of linear growth that was reached.

    A run that is late has one round.
    """
    workers = sorted(arguments.scale_workers or WORKERS)
    rates: dict[int, list[float]] = {count: [] for count in workers}
    source = Rows(table, arguments.seed, HOT)
    draw = single("get")
    try:
        for round_number in range(arguments.rounds):
            if round_number and ground.is_late:
                break
            for count in workers:
                operations = draw(source, 2 * arguments.calls * count)
                async with _capped(count, ground) as trial:
                    await trial.warm(reads_of(operations, table.first))
                    seen = await trial.measure(
                        operations,
                        f"scale-{count}",
                        in_flight=IN_FLIGHT * count,
                        connections=CONNECTIONS * count,
                    )
                rates[count].append(seen["per_s"])
            report.say(
                f"scale {round_number + 1}/{arguments.rounds}: {[found[-1] for found in rates.values()]}"
            )
    except BenchError as error:
        report.say(f"scale is left out: {error}")
        return {NAME: {report.LEFT_OUT: str(error)}}
    medians = {count: statistics.median(found) for count, found in rates.items()}
    return {
        NAME: {
            "slice_of_a_core": SLICE,
            "per_s": medians,
            "per_s_rounds": rates,
            "times_one_worker": {
                count: round(rate / medians[workers[0]], 2) for count, rate in medians.items()
            },
        }
    }


@contextlib.asynccontextmanager
async def _capped(count: int, ground: Ground) -> AsyncIterator[Trial]:
    system = Workers(count)
    async with on_trial(system, ground, cached=True) as trial:
        serve = trial.processes["serve"]

        async def all_serve() -> bool:
            log = ground.folder / f"{system.name}-cached-serve.log"
            return count == 1 or f"serving with {count} workers" in log.read_text()

        if not await until(all_serve, READY_S):
            raise BenchError(f"{count} workers do not serve after {READY_S:g} s")
        with held(children(serve) if count > 1 else [serve], SLICE):
            yield trial
