"""What the platform is to reach beside its peers, and whether it did. A target that is missed fails no run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

Workloads = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """`subject` needs at most `at_most` times what `peer` does, by one figure of one workload.

    Of a workload whose operations are about several `rows` each, a row's share may be compared with what `peer` needs
    for an operation `beside` it, which is about one.
    """

    work: str
    workload: str
    subject: str
    peer: str
    at_most: float
    figure: str = "cpu_us"
    rows: int = 1
    beside: str = ""


TARGETS: Sequence[Target] = (
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "grpc_aio", 1 / 16),
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "fastify", 1 / 2),
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "go", 1),
    Target("Get, from Redis", "get", "entresol", "grpc_aio", 1 / 8),
    Target("Get, from Redis", "get", "entresol", "fastify", 1),
    Target("Get, from Redis, JSON", "get", "entresol_json", "fastapi", 1 / 5),
    Target("Get, from a replica", "replica_get", "entresol", "fastapi", 1 / 3),
    Target("BatchGet of 100, a row", "batch_get_100", "entresol", "grpc_aio", 1 / 20, rows=100, beside="get"),
    Target("BatchGet of 100", "batch_get_100", "entresol", "grpc_aio", 1 / 20),
    Target("BatchGet of 100", "batch_get_100", "entresol", "go", 1),
    Target("BatchGet of 100 hot ones", "hot_batch_get_100", "entresol_near", "grpc_aio", 1 / 20),
    Target("Update", "update", "entresol", "grpc_aio", 0.6),
    Target("TAOBench O", "tao_o", "graph_entresol_near", "graph_grpc_aio", 1 / 6),
    Target("TAOBench O, read transactions", "tao_o_reads", "graph_entresol_near", "graph_grpc_aio", 1 / 6),
    Target("Get, beside one by hand on our primitives", "get", "entresol", "entresol_by_hand", 1.1),
    Target("Update, beside one by hand on our primitives", "update", "entresol", "entresol_by_hand", 1.1),
    Target("Get over grpcio, beside a bare echo", "hot_get", "entresol_grpcio_near", "echo", 1.15),
    Target("p50 of Get, one in flight", "latency_1", "entresol", "grpc_aio", 0.55, "p50_ms"),
    Target("p99 of Get, 32 in flight", "latency_32", "entresol", "grpc_aio", 0.2, "p99_ms"),
    Target("p99 of Get, half of its saturation", "latency_half", "entresol", "fastify", 1, "p99_ms"),
    Target("p99 of Get, half of its saturation", "latency_half", "entresol", "go", 1, "p99_ms"),
)
MEMORY_MIB_MAX = 120.0
WORKERS, GROWTH_MIN = 8, 7.5
HIT_RATIO_MIN = 0.964  # as TAO's own
MEMORY_OF = ("get", "entresol")
# A row of a Get from a replica beside a prepared point select, in CPU of PostgreSQL.
ROW_OF, ROW_AT_MOST = ("replica_get", "entresol"), 0.5
# What a Get may cost with the most rows, times what it costs with the fewest: more is not noise.
GROWN_AT_MOST = 1.25


def named() -> set[str]:
    """Return the workloads and the systems that targets name."""
    workloads = {
        "latency" if target.workload.startswith("latency") else target.workload for target in TARGETS
    }
    workloads.add("ceilings")
    return workloads.union(*({target.subject, target.peer} for target in TARGETS))


def judged(workloads: Workloads) -> list[dict[str, Any]]:
    """Return a line for each target: the figures, the ratio, and pass, short, or why it was not measured."""
    lines = [_judged(target, workloads) for target in TARGETS]
    workload, system = MEMORY_OF
    mib = workloads.get(workload, {}).get("systems", {}).get(system, {}).get("memory_mib")
    lines.append(
        {
            "work": "memory of a worker, MiB",
            "subject": mib,
            "at_most": MEMORY_MIB_MAX,
            "verdict": "not measured" if mib is None else _verdict(mib, MEMORY_MIB_MAX),
        }
    )
    grown = workloads.get("scale", {}).get("times_one_worker", {}).get(WORKERS)
    lines.append(
        {
            "work": f"calls a second of {WORKERS} workers held to a slice of a core, times those of one; at least",
            "subject": grown,
            "at_most": GROWTH_MIN,
            "verdict": "not measured" if grown is None else "pass" if grown >= GROWTH_MIN else "short",
        }
    )
    hits = workloads.get("tao_o_crowded", {}).get("hit_ratio")
    lines.append(
        {
            "work": "TAOBench O with a fifth of the data in Redis: hit ratio; at least",
            "subject": hits,
            "at_most": HIT_RATIO_MIN,
            "verdict": "not measured" if hits is None else "pass" if hits >= HIT_RATIO_MIN else "short",
        }
    )
    return [*lines, _row_of_postgresql(workloads), *map(partial(_grown, workloads), ("redis", "replica"))]


def _row_of_postgresql(workloads: Workloads) -> dict[str, Any]:
    workload, system = ROW_OF
    rounds = workloads.get(workload, {}).get("systems", {}).get(system, {}).get("rounds", ())
    found = [one["stores_cpu_us"]["replica"] for one in rounds if "replica" in one.get("stores_cpu_us", {})]
    select = workloads.get("ceilings", {}).get("pgbench_point_select", {}).get("cpu_us")
    return _line(
        "PostgreSQL's CPU for a row from a replica, beside pgbench's prepared point select",
        statistics.median(found) if found else None,
        select,
        ROW_AT_MOST,
    )


def _grown(workloads: Workloads, store: str) -> dict[str, Any]:
    by_rows = workloads.get("growth", {}).get(f"rows_from_{store}", {})
    fewest, most = (
        (by_rows[count]["cpu_us"] for count in (min(by_rows), max(by_rows))) if by_rows else (None, None)
    )
    return _line(f"Get from {store} with the most rows, beside the fewest", most, fewest, GROWN_AT_MOST)


def _judged(target: Target, workloads: Workloads) -> dict[str, Any]:
    subject = _figure(workloads, target.workload, target.subject, target.figure)
    peer = _figure(workloads, target.beside or target.workload, target.peer, target.figure)
    work = f"{target.work}: {target.subject} / {target.peer}{', a Get' if target.beside else ''}"
    line = _line(work, subject / target.rows if subject else None, peer, target.at_most)
    return line | {"figure": target.figure}


def _figure(workloads: Workloads, workload: str, system: str, figure: str) -> float | None:
    found: float | None = workloads.get(workload, {}).get("systems", {}).get(system, {}).get(figure)
    return found


def _line(work: str, subject: float | None, peer: float | None, at_most: float) -> dict[str, Any]:
    line = {"work": work, "subject": subject, "peer": peer, "at_most": round(at_most, 4)}
    if not subject or not peer:
        return line | {"ratio": None, "verdict": "not measured"}
    ratio = subject / peer
    return line | {"ratio": round(ratio, 4), "verdict": _verdict(ratio, at_most)}


def _verdict(value: float, at_most: float) -> str:
    return "pass" if value <= at_most else "short"


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines for a person."""
    rows = [("work", "subject", "peer", "ratio", "at most", "verdict")]
    for line in lines:
        figures = (line.get(name) for name in ("subject", "peer", "ratio", "at_most"))
        cells = ("-" if figure is None else f"{figure:.4g}" for figure in figures)
        rows.append((line["work"], *cells, line["verdict"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
