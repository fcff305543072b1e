"""What our queue is to reach, and beside it what the best of the others reached in the same run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.queue import held
from tests.bench.queue.drains import BATCHES, WORKERS, name_of
from tests.bench.queue.errands import CREATE, RUN
from tests.bench.queue.puts import BATCHES as PUTS
from tests.bench.queue.puts import ORDERS
from tests.bench.queue.rounds import Found
from tests.bench.queue.systems import OURS, QUEUES
from tests.bench.queue.waits import IN_FLIGHT
from tests.bench.targets import explained, line_of

Parts = Mapping[str, Found]
JOBS_PER_S_MIN = {100: 5000.0, 10: 2000.0}
SERVER_CPU_MS_MAX = 0.15


@dataclass(frozen=True, slots=True)
class Target:
    """A figure of a part: of `subject`, or its ratio to that of `beside` where that is given."""

    work: str
    part: str
    figure: str
    at_least: float | None = None
    at_most: float | None = None
    subject: str = OURS.name
    beside: str = ""


TARGETS = (
    *(
        target
        for workers in WORKERS
        for batch in BATCHES
        for target in (
            Target("jobs/s", name_of(workers, batch), "per_s", at_least=JOBS_PER_S_MIN[batch]),
            Target(
                "server CPU, ms a job", name_of(workers, batch), "server_cpu_ms", at_most=SERVER_CPU_MS_MAX
            ),
            Target("client CPU, ms a job", name_of(workers, batch), "client_cpu_ms"),
        )
    ),
    *(Target("jobs/s", name, "per_s") for name in PUTS),
    *(Target("server CPU, ms a job", name, "server_cpu_ms") for name in PUTS),
    Target("transactions/s, beside no wake-up", ORDERS, "per_s", at_least=0.85, beside="bare"),
    Target("transactions/s, NOTIFY within beside none", ORDERS, "per_s", subject="notify", beside="bare"),
    Target(
        "transactions/s, a platform each, beside no wake-up",
        ORDERS,
        "per_s",
        subject="alone",
        beside="alone bare",
    ),
    Target("transactions/s", ORDERS, "per_s"),
    *(
        Target(
            f"{figure} of the call, beside a Create",
            f"calls_{in_flight}_in_flight",
            figure,
            at_most=bound,
            subject=RUN,
            beside=CREATE,
        )
        for in_flight in IN_FLIGHT
        for figure, bound in (("p50_ms", None), ("p99_ms", 1.2))
    ),
    Target("from commit to handler, p50 ms", "wake_up", "p50_ms"),
    Target("from commit to handler, p99 ms", "wake_up", "p99_ms", at_most=50.0),
    Target("of 800 jobs/s, share run", held.NAME, "sustained", at_least=0.9),
    *(
        Target(f"drain after {mark} jobs, of the first", held.NAME, f"after_{mark}")
        for mark in (*held.QUICK_MARKS, *held.MARKS)
    ),
    Target("drain beside pollers, of one alone", "pollers", "per_s", subject="polled", beside="alone"),
)


def judged(parts: Parts, reasons: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a line for each target, and one for what others reached of the same, where there are any."""
    return [line for target in TARGETS for line in _lines(target, parts, reasons)]


def _lines(target: Target, parts: Parts, reasons: Mapping[str, str]) -> list[dict[str, Any]]:
    found = parts.get(target.part, {})
    subject = found.get(target.subject, {}).get(target.figure)
    beside = (found.get(target.beside, {}).get(target.figure),) if target.beside else ()
    work = f"{target.part}: {target.work}"
    bounds = {"at_least": target.at_least, "at_most": target.at_most}
    lines = [explained(line_of(work, subject, *beside, **bounds), reasons, target.part, target.subject)]
    best = None if target.beside else best_peer(found, target.figure)
    if best is not None:
        lines.append(line_of(f"{work}, beside {best}", subject, found[best][target.figure]))
    return lines


def best_peer(found: Found, figure: str) -> str | None:
    """Return the peer with the best figure: of a rate or a share the highest, of what something costs the lowest."""
    is_cost = figure.endswith("_ms")
    peers = {
        name: figures[figure]
        for name, figures in found.items()
        if name in QUEUES and name != OURS.name and figures.get(figure) is not None
    }
    return min(peers, key=lambda name: peers[name] * (1 if is_cost else -1), default=None)
