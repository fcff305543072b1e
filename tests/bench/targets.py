"""What the platform is to reach beside its peers, and whether it did. A target that is missed fails no run."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.bench.report import aligned, cell

Workloads = Mapping[str, Any]
Reasons = Mapping[str, str]  # why there is nothing of a workload, a system or a part, by its name

BEST = "best peer"
NO_PEER = ("entresol", "echo")  # what the names of systems contain that are no peers


@dataclass(frozen=True, slots=True)
class Target:
    """`subject` needs at most `at_most` times what `peer` does, by one figure of one workload; None: to be known only.

    Of a workload whose operations are about several `rows` each, a row's share may be compared with what `peer` needs
    for an operation `beside` it, which is about one. The BEST peer is the one that needs least.
    """

    work: str
    workload: str
    subject: str
    peer: str
    at_most: float | None
    figure: str = "cpu_us"
    rows: int = 1
    beside: str = ""


TARGETS: Sequence[Target] = (
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "grpc_aio", 1 / 16),
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "fastify", 1 / 2),
    Target("Get, from the server's own copies", "hot_get", "entresol_near", "go", 1),
    Target(
        "Get, from the server's own copies, under a policy", "hot_get", "entresol_policy", "grpc_aio", 1 / 16
    ),
    Target("Get, from the server's own copies, under a policy", "hot_get", "entresol_policy", "go", 1),
    Target("Get, from Redis", "get", "entresol", "grpc_aio", 1 / 8),
    Target("Get, from Redis", "get", "entresol", "fastify", 1),
    Target("Get, from Redis, JSON", "get", "entresol_json", "fastapi", 1 / 5),
    Target("Get, from a replica", "replica_get", "entresol", "fastapi", 1 / 3),
    Target("BatchGet of 100, a row", "batch_get_100", "entresol", "grpc_aio", 1 / 20, rows=100, beside="get"),
    Target("BatchGet of 100, whole", "batch_get_100", "entresol", "grpc_aio", None),
    Target("BatchGet of 100, whole", "batch_get_100", "entresol", "go", 1),
    Target(
        "BatchGet of 100 hot ones, a row",
        "hot_batch_get_100",
        "entresol_near",
        "grpc_aio",
        1 / 20,
        rows=100,
        beside="hot_get",
    ),
    Target("BatchGet of 100 hot ones, whole", "hot_batch_get_100", "entresol_near", "grpc_aio", None),
    Target("Update", "update", "entresol", "grpc_aio", 0.6),
    Target("TAOBench O", "tao_o", "graph_entresol_near", "graph_grpc_aio", 1 / 6),
    Target("TAOBench O, read transactions", "tao_o_reads", "graph_entresol_near", "graph_grpc_aio", 1 / 6),
    Target("Get, beside one by hand on our primitives", "get", "entresol", "entresol_by_hand", 1.1),
    Target("Update, beside one by hand on our primitives", "update", "entresol", "entresol_by_hand", 1.1),
    Target("Get over grpcio, beside a bare echo", "hot_get", "entresol_grpcio_near", "echo", 1.15),
    # With copies, as it is shipped, and without.
    *(
        target
        for system in ("entresol_near", "entresol")
        for target in (
            Target("p50 of Get, one in flight", "latency_1", system, "grpc_aio", 0.55, "p50_ms"),
            Target("p99 of Get, 32 in flight", "latency_32", system, "grpc_aio", 0.2, "p99_ms"),
            Target("p99 of Get, half of its saturation", "latency_half", system, BEST, 1, "p99_ms"),
        )
    ),
)
MEMORY_MIB_MAX = 120.0
WORKERS, GROWTH_MIN = 8, 7.5
HIT_RATIO_MIN = 0.964  # as TAO's own
MEMORY_OF = ("get", "entresol")
# A row of a Get from a replica beside a prepared point select, in CPU of PostgreSQL.
ROW_OF, ROW_AT_MOST = ("replica_get", "entresol"), 0.5
# What a Get may cost with the most rows, times what it costs with the fewest: more is not noise.
GROWN_AT_MOST = 1.25


def _part(workload: str) -> str:
    """Return what a workload is asked for by: the latencies are one."""
    return "latency" if workload.startswith("latency") else workload


def named() -> set[str]:
    """Return the workloads and the systems that targets name."""
    workloads = {_part(target.workload) for target in TARGETS} | {"ceilings"}
    return workloads.union(*({target.subject, target.peer} for target in TARGETS)) - {BEST}


def judged(workloads: Workloads, reasons: Reasons) -> list[dict[str, Any]]:
    """Return a line for each target: figures, ratio, and pass, short, known, or not measured and the reason why."""
    lines = [_judged(target, workloads, reasons) for target in TARGETS]
    lines += [
        _memory(workloads, reasons),
        _workers(workloads, reasons),
        _hit_ratio(workloads, reasons),
        _row_of_postgresql(workloads, reasons),
    ]
    return lines + [_grown(workloads, reasons, store) for store in ("redis", "replica")]


def _judged(target: Target, workloads: Workloads, reasons: Reasons) -> dict[str, Any]:
    other = target.beside or target.workload
    peer = _best(workloads, other, target.figure) if target.peer == BEST else target.peer
    subject_figure = _figure(workloads, target.workload, target.subject, target.figure)
    work = f"{target.work}: {target.subject} / {peer}{', a Get' if target.beside else ''}"
    line = line_of(
        work,
        subject_figure / target.rows if subject_figure else None,
        _figure(workloads, other, peer, target.figure),
        at_most=target.at_most,
    )
    names = (_part(target.workload), _part(other), target.subject, peer)
    return explained(line | {"figure": target.figure}, reasons, *names)


def _best(workloads: Workloads, workload: str, figure: str) -> str:
    systems = workloads.get(workload, {}).get("systems", {})
    peers = [name for name in systems if not any(part in name for part in NO_PEER)]
    return min(peers, key=lambda name: systems[name][figure], default=BEST)


def _figure(workloads: Workloads, workload: str, system: str, figure: str) -> float | None:
    found: float | None = workloads.get(workload, {}).get("systems", {}).get(system, {}).get(figure)
    return found


def _memory(workloads: Workloads, reasons: Reasons) -> dict[str, Any]:
    workload, system = MEMORY_OF
    mib = _figure(workloads, workload, system, "memory_mib")
    line = line_of("memory of a worker, MiB", mib, at_most=MEMORY_MIB_MAX)
    return explained(line, reasons, workload, system)


def _workers(workloads: Workloads, reasons: Reasons) -> dict[str, Any]:
    grown = workloads.get("scale", {}).get("times_one_worker", {}).get(WORKERS)
    work = f"calls a second of {WORKERS} workers held to a slice of a core, times those of one"
    return explained(line_of(work, grown, at_least=GROWTH_MIN), reasons, "scale", "entresol_near")


def _hit_ratio(workloads: Workloads, reasons: Reasons) -> dict[str, Any]:
    found = workloads.get("tao_o_crowded", {})
    work = "TAOBench O with a fifth of the data in Redis: hit ratio / the largest that such a cache can have"
    line = line_of(work, found.get("hit_ratio"), at_least=HIT_RATIO_MIN)
    line["peer"] = found.get("hit_ratio_max")
    return explained(line, reasons, "tao_o_crowded", "graph_entresol")


def _row_of_postgresql(workloads: Workloads, reasons: Reasons) -> dict[str, Any]:
    workload, system = ROW_OF
    rounds = workloads.get(workload, {}).get("systems", {}).get(system, {}).get("rounds", ())
    found = [one["stores_cpu_us"]["replica"] for one in rounds if "replica" in one.get("stores_cpu_us", {})]
    line = line_of(
        "PostgreSQL's CPU for a row from a replica, beside pgbench's prepared point select",
        statistics.median(found) if found else None,
        workloads.get("ceilings", {}).get("pgbench_point_select", {}).get("cpu_us"),
        at_most=ROW_AT_MOST,
    )
    return explained(line, reasons, workload, system, "ceilings", "pgbench_point_select")


def _grown(workloads: Workloads, reasons: Reasons, store: str) -> dict[str, Any]:
    by_rows = {
        int(count): one for count, one in workloads.get("sizes", {}).get(f"rows_from_{store}", {}).items()
    }
    fewest, most = (min(by_rows), max(by_rows)) if by_rows else (None, None)
    counts = f"{most:,} rows, beside {fewest:,}" if by_rows else "the most rows, beside the fewest"
    figures = (by_rows[count]["cpu_us"] if count is not None else None for count in (most, fewest))
    line = line_of(f"Get from {store} with {counts}", *figures, at_most=GROWN_AT_MOST)
    return explained(line, reasons, "sizes")


def line_of(
    work: str,
    subject: float | None,
    *peer: float | None,
    at_most: float | None = None,
    at_least: float | None = None,
) -> dict[str, Any]:
    """Return what was found; with a `peer` the bound is that of the ratio, without one it is that of the subject."""
    line: dict[str, Any] = {"work": work, "subject": subject}
    value = subject
    if peer:
        value = subject / peer[0] if subject and peer[0] else None
        line |= {"peer": peer[0], "ratio": None if value is None else round(value, 4)}
    bounds = {"at_most": at_most, "at_least": at_least}
    line |= {name: round(bound, 4) for name, bound in bounds.items() if bound is not None}
    return line | {"verdict": _verdict(value, at_most, at_least)}


def _verdict(value: float | None, at_most: float | None, at_least: float | None) -> str:
    if value is None:
        return "not measured"
    if at_most is None and at_least is None:
        return "known"
    is_reached = (at_most is None or value <= at_most) and (at_least is None or value >= at_least)
    return "pass" if is_reached else "short"


def explained(line: dict[str, Any], reasons: Reasons, *names: str) -> dict[str, Any]:
    """Return the line, with the reason why of one that was not measured."""
    if line["verdict"] != "not measured":
        return line
    found = dict.fromkeys(f"{name}: {reasons[name]}" for name in names if name in reasons)
    return line | {"because": "; ".join(found) or "no system has figures of it"}


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """Return the lines for a person. A dash is a figure that there is not; what has no peer has an empty cell."""
    rows = [("work", "subject", "peer", "ratio", "wanted", "verdict")]
    for line in lines:
        figures = (cell(line[name]) if name in line else "" for name in ("subject", "peer", "ratio"))
        bounds = {"at_most": "at most", "at_least": "at least"}
        wanted = "".join(f"{word} {line[name]:.4g}" for name, word in bounds.items() if name in line)
        because = f" ({line['because']})" if "because" in line else ""
        rows.append((line["work"], *figures, wanted, f"{line['verdict']}{because}"))
    return aligned(rows)
