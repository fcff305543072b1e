"""What the platform is to reach beside its peers, and whether it did. A target that is missed fails no run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Workloads = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """`subject` needs at most `at_most` times what `peer` does, by one figure of one workload."""

    work: str
    workload: str
    subject: str
    peer: str
    at_most: float
    figure: str = "cpu_us"


TARGETS: Sequence[Target] = (
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "grpc_aio", 1 / 16),
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "fastify", 1 / 2),
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "go", 1),
    Target("Get, from Redis", "get", "entresol", "grpc_aio", 1 / 8),
    Target("Get, from Redis", "get", "entresol", "fastify", 1),
    Target("Get, from Redis, JSON", "get", "entresol_json", "fastapi", 1 / 5),
    Target("Get, from a replica", "replica_get", "entresol", "fastapi", 1 / 3),
    Target("BatchGet of 100", "batch_get_100", "entresol", "grpc_aio", 1 / 20),
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
MEMORY_OF = ("get", "entresol")


def named() -> set[str]:
    """Return the workloads and the systems that targets name."""
    workloads = {
        "latency" if target.workload.startswith("latency") else target.workload for target in TARGETS
    }
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
    return lines


def _judged(target: Target, workloads: Workloads) -> dict[str, Any]:
    systems = workloads.get(target.workload, {}).get("systems", {})
    subject, peer = (systems.get(name, {}).get(target.figure) for name in (target.subject, target.peer))
    line = {
        "work": f"{target.work}: {target.subject} / {target.peer}",
        "figure": target.figure,
        "subject": subject,
        "peer": peer,
        "at_most": round(target.at_most, 4),
    }
    if not subject or not peer:
        return line | {"ratio": None, "verdict": "not measured"}
    ratio = subject / peer
    return line | {"ratio": round(ratio, 4), "verdict": _verdict(ratio, target.at_most)}


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
