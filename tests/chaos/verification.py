"""`entresol verify` beside all that goes wrong: what it reports must agree with what the harness itself has seen."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.chaos.calls import WireServers
from tests.chaos.ground import ChaosError, Ground
from tests.chaos.workload import Client
from tests.consistency.checks.operation import Operation

from entresol.cache.entry import HEADER_BYTES
from entresol.embedded.polling import until

NAME = "verify"
FIGURE = "verify"
PLANTED = tuple(f"users/planted-{number}" for number in range(3))
PLANTING_S = 16.0  # of the run, at its end
UPDATES = 24  # of a planted record; each is a chance that the checker watches it
START_S, END_S = 30.0, 30.0
FOLLOWED = "SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'entresol_verify%' AND active"
EDGE_S = 1.0  # at either end of the run, whether a write was counted is not known
AGE_TOLERANCE_S = 1.0


async def begin(ground: Ground) -> None:
    """Start the checker; return when it follows the log."""
    targets = ",".join(map(ground.address, ground.server_names))
    run_s = max(1.0, ground.ends_s - time.monotonic()) + PLANTING_S
    options = (
        "--for",
        f"{run_s:g}",
        "--sample",
        "1",
        "--reads-per-second",
        "200",
        "--lag-max",
        "2",
        "--json",
    )
    await ground.start_process(NAME, ("-m", "entresol.cli.main", "verify", "--target", targets, *options), {})

    async def is_followed() -> bool:
        return (await ground.primary.psql(FOLLOWED)).strip() == "1"

    if not await until(is_followed, START_S):
        raise ChaosError(f"verify does not follow the log. {ground.log(NAME).read_text()[-500:]}")


async def plant(ground: Ground) -> None:
    """Put old content into the cache behind the right header, where no rule can see it, until the checker has ended."""
    async with _reader(ground) as client, ground.fault("plant", "redis"):
        olds = {}
        for key in PLANTED:
            for value in (1, UPDATES):
                await _write(ground, key, value)
                olds[key, value] = await _cached(ground, client, key)
        ends_s = time.monotonic() + END_S + PLANTING_S
        while await ground.processes.exit_code(NAME) is None:
            if time.monotonic() > ends_s:
                raise ChaosError("verify does not end")
            for key in PLANTED:  # again and again: a reader that missed may be about to fill
                mixed = olds[key, UPDATES][:HEADER_BYTES] + olds[key, 1][HEADER_BYTES:]
                await ground.raw.set(ground.entry(key), mixed, keepttl=True, xx=True)
            await asyncio.sleep(0.05)
        await ground.raw.delete(*map(ground.entry, PLANTED))
    ground.figures[FIGURE] = _facts(ground)


async def _write(ground: Ground, key: str, last: int) -> None:
    """Give a record the values up to `last`, each in a transaction of its own, and return when the cache has heard."""
    first = 1 if last == 1 else 2
    start_s = time.monotonic()
    await ground.primary.psql(
        ";".join(
            f"INSERT INTO users (name, display_name) VALUES ('{key}', '{value}') "
            f"ON CONFLICT (name) DO UPDATE SET display_name = '{value}'"
            for value in range(first, last + 1)
        )
    )
    end_s = time.monotonic()
    ground.noted.extend(
        Operation("psql", key, "write", "SESSION", value, start_s, end_s, "ok", "psql")
        for value in range(first, last + 1)
    )
    await ground.caught_up()


async def _cached(ground: Ground, client: Client, key: str) -> bytes:
    """Read the record until the cache has it, and return the entry."""
    entry: bytes | None = None

    async def is_cached() -> bool:
        nonlocal entry
        await client.read(key, "BOUNDED")
        entry = await ground.raw.get(ground.entry(key))
        return entry is not None

    if not await until(is_cached, START_S):
        raise ChaosError(f"{key} does not come into the cache")
    assert entry is not None
    return entry


@asynccontextmanager
async def _reader(ground: Ground) -> AsyncIterator[Client]:
    wire = WireServers([ground.address(ground.server_names[0])], random.Random(0))
    try:
        yield Client(NAME, [wire], ground.requests, random.Random(0), lambda _: None, lambda _: None)
    finally:
        await wire.close()


def _facts(ground: Ground) -> Mapping[str, Any]:
    """Return what the checker printed, and the moment of this process's clock at which it began."""
    lines = [line for line in ground.log(NAME).read_text().splitlines() if line.startswith("{")]
    if not lines:
        raise ChaosError(f"verify printed nothing. {ground.log(NAME).read_text()[-500:]}")
    facts = json.loads(lines[-1])
    began_s = facts["ran"]["from_s"] - time.time() + time.monotonic()
    wrong = sorted({one["name"] for one in facts["differences"] if not one["explained"]})
    return {**facts, "began_s": began_s, "differences": None, "unexplained_names": wrong}


def disagreements(
    facts: Mapping[str, Any], operations: Sequence[Operation], oldest_hit_s: float
) -> list[str]:
    """Return in what the checker's report differs from the history of the clients."""
    found = []
    if facts["unexplained_names"] != sorted(PLANTED):
        found.append(f"verify names {facts['unexplained_names']}, planted were {sorted(PLANTED)}")
    least, most = writes_between(operations, facts["began_s"], facts["began_s"] + facts["ran"]["seconds"])
    told = facts["writes"]["committed"]
    if not least <= told <= most:
        found.append(f"verify counts {told} writes, the clients {least} to {most}")
    worst_s = facts["worst_staleness"]["seconds"]
    if worst_s > oldest_hit_s + AGE_TOLERANCE_S:
        found.append(f"verify saw {worst_s:.1f} s of staleness, the clients {oldest_hit_s:.1f} s")
    if facts["writes"]["gaps_in_the_log"]:
        found.append(f"verify lost the log {facts['writes']['gaps_in_the_log']} times")
    return found


def writes_between(operations: Sequence[Operation], began_s: float, ended_s: float) -> tuple[int, int]:
    """Return how many changes were committed at least and at most; a delete may have found nothing to delete."""
    least = most = 0
    for one in operations:
        if one.kind == "read" or one.outcome == "failed":
            continue
        most += one.end_s >= began_s - EDGE_S and one.start_s <= ended_s + EDGE_S
        is_sure = one.kind == "write" and one.outcome == "ok"
        least += is_sure and one.start_s >= began_s + EDGE_S and one.end_s <= ended_s - EDGE_S
    return least, most
