"""What a snapshot that somebody holds costs: jobs at a steady rate, then drains beside all rows that it keeps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tests.bench import report
from tests.bench.processes import BenchError
from tests.bench.queue import board
from tests.bench.queue.ground import Ground, Workers
from tests.bench.queue.rounds import Found

NAME = "held_snapshot"
BATCH = 100
PER_S, AT_ONCE = 800.0, 8
CHUNK = 10_000
MARKS, QUICK_MARKS = (40_000, 120_000), (20_000,)  # jobs that are over and whose rows are kept
CHUNK_S = 30.0  # a queue that takes longer for a chunk has come to its end
HOLD = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1"


async def measure(
    ground: Ground, jobs: int, seconds: float, seconds_max: float, marks: Sequence[int]
) -> dict[str, Found]:
    """Return what became of each queue; a slow one ends after `seconds_max`, in the midst of the marks."""
    chunk = min(CHUNK, jobs // 2)
    found: Found = {}
    for name, queue in ground.queues.items():
        async with (
            ground.working(queue, 1, BATCH) as workers,
            ground.stores.connect(ground.stores.write_to(queue.database)) as holder,
        ):
            await holder.execute(HOLD)
            found[name] = await _held(workers, chunk, seconds, time.monotonic() + seconds_max, marks)
        await ground.clear(queue)
        report.say(
            f"{NAME}, {name}: { ({key: value for key, value in found[name].items() if key != 'rounds'}) }"
        )
    return {NAME: found}


async def _held(
    workers: Workers, chunk: int, seconds: float, ends_s: float, marks: Sequence[int]
) -> dict[str, Any]:
    before, count = workers.begun, int(chunk * workers.queue.share)
    first = await workers.drain(count, CHUNK_S)
    found: dict[str, Any] = {"first_per_s": first["per_s"], "rounds": [first]}
    found["sustained"] = await _sustained(workers, seconds)
    if first["per_s"] * (ends_s - time.monotonic()) < marks[0]:  # it is too slow to come so far
        return found
    for mark in marks:
        latest: dict[str, Any] | None = None
        while workers.begun - before < mark or latest is None:
            if time.monotonic() > ends_s:
                return found
            latest = await workers.drain(count, CHUNK_S)
            found["rounds"].append(latest)
            if not latest["is_over"]:
                return found
        found[f"after_{mark}"] = round(latest["per_s"] / first["per_s"], 3)
    return found


async def _sustained(workers: Workers, seconds: float) -> float:
    """Return which share of jobs that come at a rate was begun when the last of them had come."""
    before = sum(board.counts(workers.folder))
    if before < workers.begun:
        raise BenchError(f"{workers.queue.name} is not done with {workers.begun - before} jobs")
    count = int(PER_S * seconds)
    workers.begun += count
    told = await workers.putter.ask(
        "pace", first=workers.putter.take(count), count=count, batch=AT_ONCE, per_s=PER_S
    )
    took_s = told["elapsed_s"]
    done = sum(board.counts(workers.folder)) - before
    return round(done / max(took_s, seconds) / PER_S, 4)
