"""One system on trial: its processes, the load beside them, and what a number of calls cost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from tests.bench.operation import SINGLE_READS, Operation
from tests.bench.processes import BenchError, Cores, cpu_s, free_address, memory_mib, started
from tests.bench.stores import Stores
from tests.bench.systems import System
from tests.bench.workloads import Rows, Table

LOAD = "load"  # the role of the process that calls; its CPU is reported and never counted
START_TIMEOUT_S = 60.0
CALLS_TIMEOUT_S = 300.0
WARM_UPS_MAX = 10
HIT_RATIO_WARM = 0.99
WARM_UP_ROWS = 50


@dataclass(frozen=True)
class Ground:
    """What all trials of a run share. What the processes print is kept in `folder`.

    From `late_s` of the monotonic clock on, what is not done yet is done with fewer rounds and points.
    """

    stores: Stores
    servers: Mapping[str, int]  # process ids of the stores that run here, by what they are
    cores: Cores
    folder: Path
    in_flight: int
    late_s: float = math.inf

    @property
    def is_late(self) -> bool:
        """Tell whether the time of the run is used up."""
        return time.monotonic() >= self.late_s


@dataclass(frozen=True)
class Trial:
    """A running system and the load process that calls it."""

    system: System
    ground: Ground
    processes: dict[str, int]  # role -> process id
    load: Process
    cached: bool

    async def measure(
        self,
        operations: Sequence[Operation],
        round_name: str,
        *,
        in_flight: int | None = None,
        rate: float | None = None,
        connections: int | None = None,
        seconds_max: float | None = None,
    ) -> dict[str, Any]:
        """Do these operations and return what they cost; BenchError when one of them failed.

        A closed loop, with as many `in_flight` as on all the ground unless told, of what begins in `seconds_max`: of
        a slow system, a part tells as much. With a `rate`, so many begin a second.
        """
        misses = await self.ground.stores.cache_misses()
        before_s, stores_s = self._cpu_s(), self._stores_cpu_s()
        answer = await self.attempt(
            operations,
            round_name,
            in_flight=in_flight,
            rate=rate,
            connections=connections,
            seconds_max=seconds_max,
        )
        if set(answer["codes"]) != {"OK"}:
            raise BenchError(f"{self.system.name}: {round_name} answered {answer['codes']}")
        count = answer["operations"]
        cpu_us = {
            role: round((after_s - before_s[role]) / count * 1e6, 2)
            for role, after_s in self._cpu_s().items()
        }
        load_cpu_us = cpu_us.pop(LOAD)
        stores_cpu_us = {
            name: round((after_s - stores_s[name]) / count * 1e6, 2)
            for name, after_s in self._stores_cpu_s().items()
        }
        return {
            "round": round_name,
            "cpu_us": round(sum(cpu_us.values()), 2),
            "cpu_us_by_process": cpu_us,
            "load_cpu_us": load_cpu_us,
            "stores_cpu_us": stores_cpu_us,
            "per_s": round(count / answer["elapsed_s"], 1),
            "p50_ms": round(answer["p50_ms"], 3),
            "p99_ms": round(answer["p99_ms"], 3),
            "hit_ratio": await self._hit_ratio(operations, answer, misses),
            "memory_mib": memory_mib([self.processes["serve"]]),
            "answered_by": answer["answered_by"],
            "operations": count,
        }

    async def attempt(
        self, operations: Sequence[Operation], round_name: str, **how: float | None
    ) -> dict[str, Any]:
        """Do these operations, as `measure` does, and return what the load saw, failures among it."""
        asked = [astuple(operation) for operation in operations]
        return await self._ask({"operations": asked, "round": round_name, **how})

    def _cpu_s(self) -> dict[str, float]:
        return {role: cpu_s([pid]) for role, pid in {**self.processes, LOAD: self.load.pid}.items()}

    def _stores_cpu_s(self) -> dict[str, float]:
        return {name: cpu_s([pid]) for name, pid in self.ground.servers.items()}

    async def warm_up(self, table: Table) -> None:
        """Let the system become as quick as it will be."""
        if self.system.warm_up:
            rows = Rows(table, seed=0, hot=WARM_UP_ROWS).some(self.system.warm_up)
            await self.measure([Operation("get", (row,)) for row in rows], "warm-up")

    async def warm(self, reads: Sequence[Operation]) -> None:
        """Make these reads until the cache answers all of them."""
        for turn in range(WARM_UPS_MAX):
            seen = await self.measure(reads, f"warm-{turn}")
            if seen["hit_ratio"] >= HIT_RATIO_WARM:
                return
        raise BenchError(
            f"{self.system.name}: the cache answered only {seen['hit_ratio']:.0%} of the calls "
            f"after {WARM_UPS_MAX} passes over the same {len(reads)} rows"
        )

    async def _hit_ratio(
        self, operations: Sequence[Operation], answer: dict[str, Any], misses: int
    ) -> float | None:
        """Return the cache's share of reads of one row: as the answers say, else, of such alone, as Redis counted."""
        single = Counter({name: count for name, count in answer["single_reads"].items() if name})
        if not self.cached:
            return None
        if single:
            return round((single["cache"] + single["near"]) / single.total(), 4)
        if any(operation.kind not in SINGLE_READS for operation in operations):
            return None
        hits = answer["operations"] - (await self.ground.stores.cache_misses() - misses)
        return float(round(hits / answer["operations"], 4))

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.load.stdin is not None
        self.load.stdin.write(json.dumps(request).encode() + b"\n")
        await self.load.stdin.drain()
        line = await read_line(self.load, CALLS_TIMEOUT_S)
        if not line:
            raise BenchError(f"the load for {self.system.name} ended early")
        answer: dict[str, Any] = json.loads(line)
        return answer


async def until_ready(load: Process, system: Sequence[Process]) -> bool:
    """Return whether the load reached the system; at once when a process of the system has ended."""
    ready = asyncio.create_task(read_line(load, START_TIMEOUT_S))
    ends = [asyncio.create_task(process.wait()) for process in system]
    await asyncio.wait((ready, *ends), return_when=asyncio.FIRST_COMPLETED)
    reached = ready.done() and ready.result() == b"ready\n"
    for task in (ready, *ends):
        task.cancel()
    return reached


async def read_line(process: Process, timeout_s: float) -> bytes:
    """Return the next line that a process prints, empty when it ended."""
    assert process.stdout is not None
    async with asyncio.timeout(timeout_s):
        return await process.stdout.readline()


@contextlib.asynccontextmanager
async def on_trial(system: System, ground: Ground, *, cached: bool) -> AsyncIterator[Trial]:
    """Start a system and its load for the length of the block."""
    address = free_address()
    prefix = f"{system.name}-{'cached' if cached else 'uncached'}"
    async with contextlib.AsyncExitStack() as stack:
        processes = {}
        for command in system.commands(ground.stores, address, cached=cached):
            log = ground.folder / f"{prefix}-{command.role}.log"
            run = started(command.arguments, command.environment, log, ground.cores.server)
            processes[command.role] = await stack.enter_async_context(run)
        beside = list(processes.values())
        load = await stack.enter_async_context(load_on(address, system, ground, prefix, beside))
        pids = {role: process.pid for role, process in processes.items()}
        yield Trial(system, ground, pids, load, cached)


@contextlib.asynccontextmanager
async def load_on(
    address: str, system: System, ground: Ground, prefix: str, beside: Sequence[Process] = ()
) -> AsyncIterator[Process]:
    """Start the load of a system for the length of the block, and wait until it is answered, or one `beside` ends."""
    command = (
        *("-m", "tests.bench.load", "--address", address),
        *("--speech", system.speech, "--in-flight", str(ground.in_flight)),
    )
    log = ground.folder / f"{prefix}-load.log"
    async with started((sys.executable, *command), {}, log, ground.cores.others, talks=True) as load:
        if not await until_ready(load, beside):
            raise BenchError(f"{system.name} does not answer at {address}")
        yield load
