"""`make bench BENCH=coherence`: what keeping the cache coherent costs, and how well it does under a steady load.

Prints one JSON document to standard output and a summary to standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from redis.asyncio import Redis
from tests.bench import report
from tests.bench.keys import EXPONENT, Keys
from tests.bench.operation import Operation
from tests.bench.processes import BenchError, Cores, started
from tests.bench.rounds import measure, prepared
from tests.bench.speech import SPEECHES
from tests.bench.stores import Stores
from tests.bench.systems import Command, Entresol
from tests.bench.trial import Ground, on_trial
from tests.bench.wire import Request
from tests.bench.workloads import Table, Workload, single
from tests.chaos.calls import PlatformServer, RefusedError

from entresol.app import Platform
from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.embedded.polling import until
from entresol.service.call import ANSWERED_BY_KEY

SPEECH = SPEECHES["grpc"]
IN_FLIGHT = (1, 32)
SAMPLE_S = 0.005
PENDING_MAX = 512
CALL_S = 10.0
START_S = 30.0
FLUSHED = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
OPERATION, REASON = "db.operation.name", "entresol.reason"
UPDATES = {"everywhere": 0.0, "where_reads_are": EXPONENT}  # by exponent
REFUSED = "behind"  # the admission rule's answer to a put or fill that it cannot prove current


class Uncached(Entresol):
    """The platform without any cache: no token's worth of Redis, no put, no relay."""

    def __init__(self) -> None:
        super().__init__("uncached")

    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        return super().commands(stores, address, cached=False)


async def writes(stores: Stores, cores: Cores, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the cost and the latency of an Update with a coherent cache and without any, in turns."""
    systems = (Entresol(), Uncached())
    update = Workload("update", single("update"), frozenset({"update"}))
    table = Table(arguments.rows)
    results: dict[str, Any] = {}
    async with prepared(stores, systems, arguments):
        for in_flight in IN_FLIGHT:
            ground = Ground(stores, {}, cores, folder, in_flight)
            async with contextlib.AsyncExitStack() as stack:
                trials = [
                    await stack.enter_async_context(on_trial(system, ground, cached=True))
                    for system in systems
                ]
                result = await measure(update, table, trials, arguments)
            with_cache, without = (result["systems"][system.name] for system in systems)
            ratio = round(with_cache["p50_ms"] / without["p50_ms"], 3)
            results[f"update_{in_flight}_in_flight"] = {"p50_ratio_to_uncached": ratio, **result}
    return results


class Load:
    """Calls at a fixed rate, whatever becomes of them; what they answered is counted."""

    def __init__(self, server: PlatformServer, keys: Keys) -> None:
        self._server = server
        self._keys = keys
        self.answered_by: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.latencies_s: list[float] = []

    async def run(self, kind: str, rate: int, seconds: float) -> None:
        """Make `rate` calls of a kind each second. Raises BenchError when the platform cannot keep up."""
        starts_s = time.monotonic()
        pending: set[asyncio.Task[None]] = set()
        for number, key in enumerate(self._keys.draw(int(rate * seconds))):
            await asyncio.sleep(starts_s + number / rate - time.monotonic())
            if len(pending) >= PENDING_MAX:
                raise BenchError(
                    f"{kind}: {PENDING_MAX} calls are waiting, so {rate} a second are too many here"
                )
            task = asyncio.create_task(self._call(*SPEECH.steps(Operation(kind, (key,)), str(number))))
            pending.add(task)
            task.add_done_callback(pending.discard)
        await asyncio.gather(*pending)

    async def _call(self, request: Request) -> None:
        start_s = time.monotonic()
        try:
            answer = await self._server.call(request.path.decode(), request.body, {}, CALL_S)
        except RefusedError as error:
            self.failed[str(error.code)] += 1
        else:
            self.answered_by[answer.trailing.get(ANSWERED_BY_KEY, "").partition(":")[0]] += 1
            self.latencies_s.append(time.monotonic() - start_s)


async def watch_lag(stores: Stores, meta: str, over: asyncio.Event) -> list[float]:
    """Return, for every few milliseconds, how long it took until the cache had applied all that was committed then."""
    committed: list[tuple[float, int]] = []
    lags_s: list[float] = []
    redis = Redis.from_url(stores.cache, decode_responses=True, socket_timeout=CALL_S)
    async with stores.connect(stores.write_to(Entresol().database)) as primary, redis:
        while not over.is_set() or committed:
            if not over.is_set():
                committed.append((time.monotonic(), await primary.fetchval(FLUSHED)))
            applied = int(await redis.hget(meta, "W") or "0", 16)
            now_s = time.monotonic()
            while committed and committed[0][1] <= applied:
                lags_s.append(now_s - committed.pop(0)[0])
            await asyncio.sleep(SAMPLE_S)
    return lags_s


def cache_writes(reader: InMemoryMetricReader) -> dict[str, Counter[str]]:
    """Return how many puts, and how many fills, got which answer so far."""
    data = reader.get_metrics_data()
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    if data is None:
        return found
    for resource in data.resource_metrics:
        for metric in (one for scope in resource.scope_metrics for one in scope.metrics):
            if metric.name == "entresol.cache.writes":
                for point in metric.data.data_points:
                    facts = point.attributes or {}
                    operation, answer = (str(facts.get(key)) for key in (OPERATION, REASON))
                    found[operation][answer] += int(getattr(point, "value", 0))
    return found


async def steady(
    servers: EmbeddedServers,
    stores: Stores,
    cores: Cores,
    folder: Path,
    arguments: argparse.Namespace,
    reader: InMemoryMetricReader,
    exponent: float,
) -> dict[str, Any]:
    """Return how reads and writes at a fixed rate are answered, from an empty cache on, while the replicas lag.

    Reads are zipf; so are the updates, as far as `exponent` says.
    """
    system = Entresol()
    settings = system.settings(stores, cached=True)
    async with Redis.from_url(stores.cache, socket_timeout=CALL_S) as redis:
        await redis.flushall()
    before = cache_writes(reader)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(prepared(stores, (system,), arguments))
        relay = (sys.executable, "-m", "entresol.cli.main", "relay")
        await stack.enter_async_context(started(relay, settings, folder / "steady-relay.log", cores.server))
        platform = await Platform.open(Settings.load(settings))
        stack.push_async_callback(platform.close)
        meta = f"{{{system.database}:0}}:meta"
        await relays(stores, meta)
        for replica in servers.replicas:
            await replica.set_delay(arguments.lag_ms)
        server, over = PlatformServer(platform), asyncio.Event()
        reads = Load(server, Keys(arguments.rows, arguments.seed))
        updates = Load(server, Keys(arguments.rows, arguments.seed + 1, exponent))
        watch = asyncio.create_task(watch_lag(stores, meta, over))
        report.say(
            f"{arguments.writes} updates and {arguments.reads} reads a second for {arguments.seconds:g} s"
        )
        await asyncio.gather(
            reads.run("get", arguments.reads, arguments.seconds),
            updates.run("update", arguments.writes, arguments.seconds),
        )
        over.set()
        lags_s = await watch
        for replica in servers.replicas:
            await replica.set_delay(0)
    answers = {name: counts - before[name] for name, counts in cache_writes(reader).items()}
    return {
        "replica_lag_ms": arguments.lag_ms,
        "reads_per_s": arguments.reads,
        "updates_per_s": arguments.writes,
        "seconds": arguments.seconds,
        "failed": dict(reads.failed + updates.failed),
        "reads_answered_by": dict(reads.answered_by),
        "misses_by_replica": share(reads.answered_by, "replica", among=("replica", "primary")),
        "cache_answers": {name: dict(counts) for name, counts in answers.items()},
        "fills_refused": share(answers["fill"], REFUSED),
        "puts_refused": share(answers["put"], REFUSED),
        "relay_lag_ms": report.spread_ms(lags_s),
        "update_ms": report.spread_ms(updates.latencies_s),
        "read_ms": report.spread_ms(reads.latencies_s),
    }


async def relays(stores: Stores, meta: str) -> None:
    """Return when the relay has begun."""
    async with Redis.from_url(stores.cache, socket_timeout=CALL_S) as redis:

        async def has_begun() -> bool:
            return bool(await redis.hexists(meta, "W"))

        if not await until(has_begun, START_S):
            raise BenchError(f"the relay has not begun within {START_S:g} s")


def share(counts: Counter[str], name: str, among: Sequence[str] = ()) -> float | None:
    """Return which share of all, or of those named, is `name`; None of nothing."""
    total = sum(counts[one] for one in among or counts)
    return round(counts[name] / total, 5) if total else None


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = report.parser("coherence", __doc__)
    parser.add_argument("--rounds", type=int, help="rounds of updates (7; quick 3)")
    parser.add_argument("--calls", type=int, help="updates per round and system (2000; quick 500)")
    parser.add_argument("--seconds", type=float, help="of each steady load (20; quick 8)")
    parser.add_argument("--writes", type=int, default=500, help="updates a second of the steady load")
    parser.add_argument("--reads", type=int, default=150, help="reads a second beside them")
    parser.add_argument("--lag-ms", type=int, default=50, help="of the replicas, meanwhile")
    arguments = parser.parse_args(words)
    arguments.rounds = arguments.rounds or (3 if arguments.quick else 7)
    arguments.calls = arguments.calls or (500 if arguments.quick else 2000)
    arguments.seconds = arguments.seconds or (8.0 if arguments.quick else 20.0)
    return arguments


async def run(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Start the stores, measure, and return the whole report."""
    cores = Cores.share()
    async with await EmbeddedServers.start(folder / "stores", replicas=2, durable=True) as servers:
        stores = Stores(servers.write_url, servers.read_urls[0], servers.cache_url)
        updates = await writes(stores, cores, folder, arguments)
        metrics.set_meter_provider(MeterProvider([reader := InMemoryMetricReader()]))
        under_load = {
            name: await steady(servers, stores, cores, folder, arguments, reader, exponent)
            for name, exponent in UPDATES.items()
        }
    settings = {name: getattr(arguments, name) for name in ("rounds", "calls", "rows", "seed")}
    return {"bench": "coherence", **report.place(), **settings, "writes": updates, "steady": under_load}


def summary(result: Mapping[str, Any]) -> str:
    """Return the figures that matter as lines for a person."""
    lines = [
        f"{name}: p50 {found['p50_ratio_to_uncached']} times that without any cache, "
        f"CPU {1 / found['cpu_ratio_to_entresol']['uncached']:.2f} times"
        for name, found in result["writes"].items()
    ]
    lines += [
        f"updates {name}: misses answered by replicas {found['misses_by_replica']}, fills refused "
        f"{found['fills_refused']}, puts refused {found['puts_refused']}, relay lag p99 "
        f"{found['relay_lag_ms']['p99']} ms"
        for name, found in result["steady"].items()
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the benchmark; 1 and the reason when it cannot give figures."""
    return report.main(arguments_of(), run, summary)


if __name__ == "__main__":
    sys.exit(main())
