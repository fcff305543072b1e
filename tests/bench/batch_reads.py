"""The result of a batch as readers get it: of an empty cache, of a warm one, and one record by many at once."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import grpc
from redis.asyncio import Redis
from tests.bench.batch_runs import Field
from tests.bench.coherence import relays
from tests.bench.processes import free_address, started
from tests.bench.report import spread_ms

from entresol.schema.model import Model
from entresol.service.call import ANSWERED_BY_KEY

GET = "/stories.v1.ReferrerService/GetReferrer"
SERVERS = 2  # of the platform: those who ask for a record at once ask both
READERS = 64
START_S, CALL_S = 60.0, 10.0
SCANS = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_tables WHERE relname = 'referrers'"
STATISTICS_S = 1.5  # until what a session has counted is seen by others


class Readers:
    """Calls of Get over connections to several servers; who answered is counted."""

    def __init__(self, model: Model, channels: Sequence[grpc.aio.Channel]) -> None:
        self._request = model.methods[GET].input_class
        self._calls = itertools.cycle([channel.unary_unary(GET) for channel in channels])
        self.answered_by: Counter[str] = Counter()
        self.latencies_s: list[float] = []

    async def get(self, name: str) -> None:
        """Get one record."""
        asked = self._request(name=name).SerializeToString()
        started_s = time.perf_counter()
        call = next(self._calls)(asked, timeout=CALL_S, wait_for_ready=True)
        await call
        self.latencies_s.append(time.perf_counter() - started_s)
        trailing = {str(key): str(value) for key, value in await call.trailing_metadata() or ()}
        self.answered_by[trailing.get(ANSWERED_BY_KEY, "").partition(":")[0]] += 1

    def figures(self) -> dict[str, Any]:
        """Return what was seen, and forget it."""
        found = {"answered_by": dict(self.answered_by), "latency_ms": spread_ms(self.latencies_s)}
        self.answered_by, self.latencies_s = Counter(), []
        return found


async def read(field: Field, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return how the result is read once the cache is empty: one after the other, and one by all at once."""
    names = [name for name, _ in await field.rows("referrers")][: arguments.reads]
    await field.execute("ANALYZE referrers")  # as autovacuum does in time
    await field.stores.wait_for_replica()
    async with contextlib.AsyncExitStack() as stack:

        async def begun(role: str, word: str, settings: Mapping[str, str]) -> None:
            log = field.folder / f"batch-{role}.log"
            words = (sys.executable, "-m", "entresol.cli.main", word)
            await stack.enter_async_context(started(words, settings, log, field.cores.server))

        await begun("relay", "relay", field.settings)
        addresses = [free_address() for _ in range(SERVERS)]
        for number, address in enumerate(addresses):
            await begun(f"serve-{number}", "serve", {**field.settings, "ENTRESOL_LISTEN": address})
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address)) for address in addresses
        ]
        for channel in channels:
            async with asyncio.timeout(START_S):
                await channel.channel_ready()
        readers = Readers(field.model, channels)
        await _empty(field)
        for name in names:
            await readers.get(name)
        cold = readers.figures()
        for name in names:
            await readers.get(name)
        warm = readers.figures()
        scans = [await _scanned(field, readers, name) for name in names[: arguments.stampedes]]
    ratio = round(cold["latency_ms"]["p50"] / warm["latency_ms"]["p50"], 3)
    return {
        "cold": {**cold, "p50_ratio_to_warm": ratio},
        "warm": warm,
        "stampede": {
            "readers": READERS,
            "scans_median": statistics.median(scans),
            "scans": scans,
            **readers.figures(),
        },
    }


async def _empty(field: Field) -> None:
    """Throw away everything in the cache, and return when the relay has begun anew."""
    async with Redis.from_url(field.stores.cache, socket_timeout=CALL_S) as redis:
        await redis.flushall()
    await relays(field.stores, f"{{{field.system.database}:0}}:meta")


async def _scanned(field: Field, readers: Readers, name: str) -> int:
    """Return how many scans of the table's indexes it costs that all ask for one record of an empty cache at once.

    One query is one; a connection that plans it for the first time looks some more up.
    """
    await _empty(field)
    before = await _scans(field)
    await asyncio.gather(*(readers.get(name) for _ in range(READERS)))
    return await _scans(field) - before


async def _scans(field: Field) -> int:
    await asyncio.sleep(STATISTICS_S)
    async with field.stores.connect(field.stores.read_from(field.system.database)) as connection:
        return int(await connection.fetchval(SCANS))
