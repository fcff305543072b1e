"""Rounds: those that are compared take turns within each, and at being first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from tests.bench import report
from tests.bench.queue.ground import Ground

Found = dict[str, dict[str, Any]]  # by queue: medians, and the rounds


async def taking_turns(
    name: str,
    ground: Ground,
    queues: Sequence[str],
    rounds: int,
    measure: Callable[[str], Awaitable[dict[str, Any]]],
    told: str,
) -> Found:
    """Return what each round of each of them was, and their medians; when the run is late there is only one round."""
    found: dict[str, list[dict[str, Any]]] = {queue: [] for queue in queues}
    for index in range(rounds):
        if index and ground.is_late:
            break
        for queue in queues if index % 2 == 0 else reversed(queues):
            found[queue].append(await measure(queue))
        figures = ", ".join(f"{queue} {report.cell(one[-1][told])}" for queue, one in found.items())
        report.say(f"{name} {index + 1}/{rounds}, {told}: {figures}")
    return {queue: medians(one) for queue, one in found.items()}


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the median of every figure, and the rounds; of what a round lacks, that of the others."""
    values: dict[str, list[float]] = {}
    for one in rounds:
        for name, value in one.items():
            if isinstance(value, int | float):
                values.setdefault(name, []).append(value)
    return {**{name: report.median(found) for name, found in values.items()}, "rounds": [*rounds]}
