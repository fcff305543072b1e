"""How the cost of a Get grows: with the rows of its table, with the size of a row, with the connections to a server."""

from __future__ import annotations

import argparse
import contextlib
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from tests.bench import report
from tests.bench.operation import Operation, reads_of
from tests.bench.rows import LINE_BYTES
from tests.bench.systems import Entresol, stories_of
from tests.bench.trial import Ground, Trial, on_trial

NAME = "sizes"
ROWS, QUICK_ROWS = (10_000, 100_000, 1_000_000), (1_000, 100_000)
SHORT_LINES = 3  # of a text, where there are many rows
TEXT_BYTES = (100, 1000, 4000, 16_000, 64_000)
OF_EACH_SIZE = 100  # rows
OF_THE_LARGEST = 0.1  # of the calls of a round: each weighs 64 KB
CONNECTIONS = (1, 10, 100, 1000)


async def measure(ground: Ground, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return `sizes`: the cost of a Get by rows (from Redis, from a replica), by bytes of text, by connections.

    A run that is late has no more rows than the two smallest points, and one round.
    """
    found: dict[str, Any] = {}
    counts = sorted(arguments.sizes_rows or (QUICK_ROWS if arguments.quick else ROWS))
    counts = counts[:2] if ground.is_late else counts
    async with contextlib.AsyncExitStack() as stack:
        systems = {
            count: await stack.enter_async_context(_table(ground, arguments, count, (SHORT_LINES,)))
            for count in counts
        }
        for name, cached in (("rows_from_redis", True), ("rows_from_replica", False)):
            async with contextlib.AsyncExitStack() as running:
                trials = {
                    count: await running.enter_async_context(on_trial(system, ground, cached=cached))
                    for count, system in systems.items()
                }
                ranges = {count: range(count) for count in counts}
                found[name] = await _curve(name, trials, ranges, arguments)
    lines = [max(1, size // LINE_BYTES) for size in TEXT_BYTES]
    rows = OF_EACH_SIZE * len(lines)
    async with (
        _table(ground, arguments, rows, lines) as system,
        on_trial(system, ground, cached=True) as trial,
    ):
        sizes = {size: range(index, rows, len(lines)) for index, size in enumerate(TEXT_BYTES)}
        found["text_bytes"] = await _curve("text_bytes", dict.fromkeys(sizes, trial), sizes, arguments)
        points = dict.fromkeys(CONNECTIONS, sizes[TEXT_BYTES[1]])
        found["connections"] = await _curve(
            "connections", dict.fromkeys(points, trial), points, arguments, connect=True
        )
    return {NAME: found}


@contextlib.asynccontextmanager
async def _table(
    ground: Ground, arguments: argparse.Namespace, rows: int, lines: Sequence[int]
) -> AsyncIterator[Entresol]:
    """Make a system whose table has so many rows, with so many lines in turn."""
    system = Entresol(f"sizes_{rows}", domain=stories_of(lines))
    async with ground.stores.database(system.database):
        await system.prepare(ground.stores, rows, arguments.seed)
        await ground.stores.wait_for_replica()
        report.say(f"{system.name} has {rows} rows")
        yield system


async def _curve(
    name: str,
    trials: Mapping[int, Trial],
    rows: Mapping[int, range],
    arguments: argparse.Namespace,
    *,
    connect: bool = False,
) -> dict[int, Any]:
    """Return the figures of each point, whose rows are asked for alike; the points take turns at being first.

    With `connect`, a point is how many connections there are, with a call in flight on each.
    """
    dice = random.Random(arguments.seed)
    draws: dict[int, list[Operation]] = {}
    rounds: dict[int, list[dict[str, Any]]] = {point: [] for point in trials}
    for point, trial in trials.items():
        calls = int(arguments.calls * (OF_THE_LARGEST if point == TEXT_BYTES[-1] else 1))
        draws[point] = [Operation("get", (dice.choice(rows[point]),)) for _ in range(calls)]
        if trial.cached:
            await trial.warm(reads_of(draws[point], rows[point].stop))
    for index in range(arguments.rounds):
        if index and next(iter(trials.values())).ground.is_late:
            break
        for point in trials if index % 2 == 0 else reversed(trials):
            seen = await trials[point].measure(
                draws[point],
                f"{name}-{point}-{index}",
                in_flight=max(point, arguments.in_flight) if connect else None,
                connections=point if connect else None,
            )
            rounds[point].append(seen)
    report.say(f"{name}, us: { ({point: found[-1]['cpu_us'] for point, found in rounds.items()}) }")
    return {point: report.summary(found) for point, found in rounds.items()}
