"""`python -m tests.bench.scaling REPORT.json`: what ten, a hundred and a thousand machines need of everything else.

Arithmetic over what `make bench` measured: CPU of servers, relay, Redis and PostgreSQL for each kind of call. Prints
the tables of `platform/scaling.md`, which says what each of them means: where each part ends, and what so many machines
need, of which those are marked that are more than one relay follows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.report import aligned

MACHINES = (10, 100, 1000)
CORES = 8  # of a machine, and a server process for each
BUSY = 0.6  # of its CPU a machine should be: what is left is for the one that dies, and for bursts
STORE_CORES = 32  # of a PostgreSQL server
ZIPF, KEYS = 0.99, 10_000_000  # of what is read
WRITE_CONNECTIONS, READ_CONNECTIONS, REDIS_CONNECTIONS = 8, 8, 2  # of a server process, at most
RELAY = "one relay"  # the first part that nothing takes over from: several are not built
POSTGRES_CONNECTIONS = 500  # that a server bears without a pooler in front


@dataclass(frozen=True)
class Mix:
    """What callers do: a share of writes; of the reads that no copy answers, the share that Redis does."""

    name: str
    writes: float
    redis: float = 0.98


MIXES = (Mix("reads 99.8 %", 0.002), Mix("reads 95 %", 0.05))


@dataclass(frozen=True)
class Costs:
    """CPU microseconds of a call, by who spends them."""

    near: float
    redis: float
    replica: float
    update: float
    relay: float
    redis_get: float
    redis_update: float
    replica_get: float
    primary_update: float

    @classmethod
    def of(cls, report: Mapping[str, Any]) -> Costs:
        """Return the medians of a report of `make bench`."""
        found = report["workloads"]

        def system(workload: str, name: str = "entresol") -> Mapping[str, Any]:
            figures: Mapping[str, Any] = found[workload]["systems"][name]
            return figures

        def part(workload: str, kind: str, name: str) -> float:
            rounds = sorted(one[kind].get(name, 0.0) for one in system(workload)["rounds"])
            return float(rounds[len(rounds) // 2])

        return cls(
            near=system("hot_get", "entresol_near")["cpu_us"],
            redis=part("get", "cpu_us_by_process", "serve"),
            replica=system("replica_get")["cpu_us"],
            update=part("update", "cpu_us_by_process", "serve"),
            relay=part("update", "cpu_us_by_process", "relay"),
            redis_get=part("get", "stores_cpu_us", "redis"),
            redis_update=part("update", "stores_cpu_us", "redis"),
            replica_get=part("replica_get", "stores_cpu_us", "replica"),
            primary_update=part("update", "stores_cpu_us", "primary"),
        )


def near_share(reads_per_s: float, processes: int, age_s: float, keys: int = KEYS) -> float:
    """Return the share of reads that a process's own copies answer, which are kept for `age_s`.

    A key that a process is asked for `r` times a second is fetched once, and then answered r * age times more on
    average (renewals of a Poisson process): a share of r age / (1 + r age). Summed over keys by zipf, in steps that
    double.
    """
    weights, total, first = [], 0.0, 1
    while first <= keys:
        last = min(2 * first - 1, keys)
        middle = (first * last) ** 0.5
        weight = (last - first + 1) / middle**ZIPF
        weights.append((weight, 1 / middle**ZIPF))
        total += weight
        first = last + 1
    rate = reads_per_s / processes / total
    return sum(weight / total * (rate * one * age_s) / (1 + rate * one * age_s) for weight, one in weights)


def needs(mix: Mix, costs: Costs, machines: int, age_s: float) -> dict[str, float]:
    """Return how many calls so many machines answer, and what they need of Redis and PostgreSQL for it."""
    processes = machines * CORES
    reads_per_s = processes * BUSY * 1e6 / costs.redis
    for _ in range(20):  # more copies make calls cheaper, and more calls make more copies
        near = near_share(reads_per_s, processes, age_s) if age_s else 0.0
        missed = 1 - near
        read_us = near * costs.near + missed * (mix.redis * costs.redis + (1 - mix.redis) * costs.replica)
        call_us = (1 - mix.writes) * read_us + mix.writes * costs.update
        calls_per_s = processes * BUSY * 1e6 / call_us
        reads_per_s = calls_per_s * (1 - mix.writes)
    writes_per_s = calls_per_s * mix.writes
    from_redis = reads_per_s * missed
    from_replicas = from_redis * (1 - mix.redis)
    return {
        "calls/s": calls_per_s,
        "answered by copies": near,
        "Redis cores": (from_redis * costs.redis_get + writes_per_s * costs.redis_update) / 1e6,
        "replica cores": from_replicas * costs.replica_get / 1e6,
        "updates/s": writes_per_s,
        "primary cores": writes_per_s * costs.primary_update / 1e6,
        "relay cores": writes_per_s * costs.relay / 1e6,
        "servers' connections to the primary, at most": processes * WRITE_CONNECTIONS,
        "connections to Redis": processes * REDIS_CONNECTIONS,
    }


def ends(mix: Mix, costs: Costs, age_s: float) -> dict[str, float]:
    """Return at how many machines one of each part is as busy as it should be; what is needed grows with them."""
    one = needs(mix, costs, 1, age_s)
    return {
        "one Redis": BUSY / one["Redis cores"],
        f"{POSTGRES_CONNECTIONS} connections": POSTGRES_CONNECTIONS
        / one["servers' connections to the primary, at most"],
        RELAY: BUSY / one["relay cores"],
        f"a primary of {STORE_CORES} cores": STORE_CORES * BUSY / one["primary cores"],
    }


def limits(costs: Costs) -> list[tuple[str, str]]:
    """Return what one of each thing does in a second when it is as busy as it should be."""

    def per_s(cost_us: float, cores: int = 1) -> str:
        return f"{_number(cores * BUSY * 1e6 / cost_us)}/s"

    return [
        ("one of each, 60 % busy", "does"),
        ("server process: Gets from copies", per_s(costs.near)),
        ("server process: Gets from Redis", per_s(costs.redis)),
        ("server process: Gets from a replica", per_s(costs.replica)),
        ("server process: Updates", per_s(costs.update)),
        ("Redis: Gets", per_s(costs.redis_get)),
        ("Redis: Updates, put and relayed", per_s(costs.redis_update)),
        (f"replica of {STORE_CORES} cores: rows", per_s(costs.replica_get, STORE_CORES)),
        (f"primary of {STORE_CORES} cores: Updates", per_s(costs.primary_update, STORE_CORES)),
        ("relay: changes", per_s(costs.relay)),
    ]


def tables(costs: Costs) -> str:
    """Return the limits, where each part ends, and a table for each mix with a column for each number of machines."""
    cases = {
        f"{mix.name}, {'copies for 1 s' if age_s else 'no copies'}": (mix, age_s)
        for mix in MIXES
        for age_s in (0.0, 1.0)
    }
    found = {head: ends(mix, costs, age_s) for head, (mix, age_s) in cases.items()}
    names = next(iter(found.values()))
    parts = [
        f"us of CPU: {', '.join(f'{name} {value:.0f}' for name, value in vars(costs).items())}",
        aligned(limits(costs)),
        aligned(
            [("ends at so many machines", *names)]
            + [(head, *(_number(value) for value in ended.values())) for head, ended in found.items()]
        ),
    ]
    for head, (mix, age_s) in cases.items():
        parts.append(aligned(_columns(head, mix, costs, age_s, found[head][RELAY])))
    return "\n\n".join(parts)


def _columns(head: str, mix: Mix, costs: Costs, age_s: float, end: float) -> list[tuple[str, ...]]:
    """Return what so many machines need, up to where the relay ends; what is beyond is marked."""
    numbers = sorted({*MACHINES, max(int(end), 1)})
    columns = [needs(mix, costs, machines, age_s) for machines in numbers]
    marks = [
        f"{number} machine{'s'[: number > 1]}{', beyond ' + RELAY if number > end else ''}"
        for number in numbers
    ]
    return [
        (head, *marks),
        *((name, *(_number(column[name]) for column in columns)) for name in columns[0]),
    ]


def _number(value: float) -> str:
    if value < 1:
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def main() -> None:
    """Print the tables of a report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scaling", description=__doc__)
    parser.add_argument("report", type=Path, help="JSON of `make bench`")
    print(tables(Costs.of(json.loads(parser.parse_args().report.read_text()))))


if __name__ == "__main__":
    main()
