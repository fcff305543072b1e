"""The load generator: a process of its own that makes calls and measures each one.

It reads one JSON request per line, `{"operations", "round", "rate"}`, does those operations and answers with one JSON
line of what it saw. Without a rate a fixed number are in flight at any time (a closed loop), and none begins after
`seconds_max`. With a rate each begins when its turn comes, however the others fare, and its time counts from that
moment (an open loop): a server that falls behind shows it. Its own CPU is not counted: it runs beside the stores, off
the server's core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import sys
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop
from tests.bench.connections import CONNECTIONS, Connections
from tests.bench.operation import SINGLE_READS
from tests.bench.report import INTERVAL_S, percentile
from tests.bench.speech import SPEECHES, Speech, operations
from tests.bench.wire import OK, Call, Request

OPEN_LOOP_SLOTS = 256
RUN_S = 280.0
UNANSWERED = frozenset({"NO_STATUS", "LOST", "UNAVAILABLE"})  # UNAVAILABLE all of them, to a client of gRPC


Asked = tuple[tuple[Request, ...], bool]  # the steps of an operation, and whether it reads one row


@dataclass(slots=True)
class Doing:
    """One operation under way: its steps, and which of them is next."""

    steps: tuple[Request, ...]
    is_single_read: bool
    started_s: float
    slot: int = -1
    next: int = 0
    repeats: int = 0


class Run:
    """Some operations, and what became of them."""

    def __init__(self, connections: Connections, asked: Sequence[Asked]) -> None:
        self._connections = connections
        self._asked = iter(asked)
        self._under_way = 0
        self._waiting: deque[Doing] = deque()
        self._over = asyncio.get_running_loop().create_future()
        self._closed_loop = True
        self._ends_s = math.inf
        self.latencies_s: list[float] = []
        self.codes: Counter[str] = Counter()
        self.answered_by: Counter[str] = Counter()
        self.single_reads: Counter[str] = Counter()  # the same, of reads that ask for one row
        self.ended: Counter[int] = Counter()  # how many were answered well in each `INTERVAL_S`
        self.repeated = 0
        self._repeats_max = 0
        self._start_s = 0.0

    async def run(
        self, in_flight: int, rate: float | None, seconds_max: float | None, repeats_max: int = 0
    ) -> float:
        """Do the operations, or those of a closed loop that begin in so many seconds; return the seconds they took.

        One that no server answered is made again, as gRPC's retry policy has clients do, up to `repeats_max` times.
        """
        self._repeats_max = repeats_max
        start_s = self._start_s = time.perf_counter()
        self._closed_loop = rate is None
        self._ends_s = start_s + (seconds_max or math.inf)
        async with asyncio.timeout(RUN_S):
            if rate is None:
                for _ in range(in_flight):
                    self._take()
            else:
                await self._arrive(rate)
            await self._over
        return time.perf_counter() - start_s

    async def _arrive(self, rate: float) -> None:
        start_s = time.perf_counter()
        self._under_way += 1  # more are to come
        for number, asked in enumerate(self._asked):
            due_s = start_s + number / rate
            if (early_s := due_s - time.perf_counter()) > 0:
                await asyncio.sleep(early_s)
            elif number % 16 == 0:
                await asyncio.sleep(0)  # what was answered meanwhile is heard also while arrivals are late
            self._under_way += 1
            self._begin(Doing(*asked, due_s))
        self._done()

    def _take(self) -> None:
        now_s = time.perf_counter()
        asked = next(self._asked, None) if now_s < self._ends_s else None
        if asked is not None:
            self._under_way += 1
            self._begin(Doing(*asked, now_s))

    def _done(self) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._over.set_result(None)

    def _begin(self, doing: Doing) -> None:
        if self._connections.slots:
            doing.slot = self._connections.slots.popleft()
            self._step(doing)
        else:
            self._waiting.append(doing)

    def _step(self, doing: Doing) -> None:
        request = doing.steps[doing.next]
        doing.next += 1

        def done(call: Call, code: str) -> None:
            self.answered_by[call.answered_by] += 1
            if doing.is_single_read:
                self.single_reads[call.answered_by] += 1
            if code == OK and doing.next < len(doing.steps):
                self._step(doing)
            elif code in UNANSWERED and doing.repeats < self._repeats_max:
                doing.repeats, doing.next, self.repeated = doing.repeats + 1, 0, self.repeated + 1
                self._step(doing)
            else:
                self._end(doing, code)

        self._connections.connection(doing.slot).call(Call(request, done))

    def _end(self, doing: Doing, code: str) -> None:
        now_s = time.perf_counter()
        self.latencies_s.append(now_s - doing.started_s)
        self.codes[code] += 1
        self.ended[int((now_s - self._start_s) / INTERVAL_S)] += code == OK
        self._connections.slots.append(doing.slot)
        if self._waiting:
            self._begin(self._waiting.popleft())
        if self._closed_loop:
            self._take()
        self._done()


async def serve(address: str, speech: Speech, in_flight: int) -> None:
    """Answer requests from standard input until it ends."""
    load = Connections(address, speech.connection)
    await load.ready(1)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        wanted = [
            (speech.steps(operation, asked["round"]), operation.kind in SINGLE_READS)
            for operation in operations(asked["operations"])
        ]
        clients = asked.get("in_flight") or in_flight
        slots = OPEN_LOOP_SLOTS if asked.get("rate") else clients
        calls = sum(len(steps) for steps, _ in wanted)
        await load.ready(slots, calls, asked.get("connections") or CONNECTIONS)
        run = Run(load, wanted)
        elapsed_s = await run.run(
            min(clients, len(wanted)),
            asked.get("rate"),
            asked.get("seconds_max"),
            asked.get("repeats_max") or 0,
        )
        latencies_s = sorted(run.latencies_s)
        answer = {
            "operations": len(latencies_s),
            "elapsed_s": elapsed_s,
            "p50_ms": percentile(latencies_s, 0.5) * 1000,
            "p99_ms": percentile(latencies_s, 0.99) * 1000,
            "codes": run.codes,
            "answered_by": run.answered_by,
            "single_reads": run.single_reads,
            "repeated": run.repeated,
            "ended": [run.ended[number] for number in range(max(run.ended, default=-1) + 1)],
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--speech", choices=sorted(SPEECHES), default="grpc")
    parser.add_argument("--in-flight", type=int, required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.address, SPEECHES[arguments.speech], arguments.in_flight))
