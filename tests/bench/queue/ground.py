"""What the queues are measured on: one PostgreSQL with a database for each, its workers and who puts jobs in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from tests.bench.processes import BenchError, cpu_s, run_to_end, started
from tests.bench.queue import board
from tests.bench.queue.systems import Queue
from tests.bench.stores import Stores
from tests.bench.trial import read_line

START_S = 60.0
DRAIN_S = 120.0
_LOOK_S = 0.005
_WARM_S = 1.0
_LATE_S = 30.0  # after the time is used up, no other part begins
_WARM = 500  # jobs that workers have run before anything is measured


@dataclass(frozen=True)
class Ground:
    """What all parts of a run share."""

    stores: Stores
    postgres: int  # process id
    cores: frozenset[int]
    folder: Path
    queues: Mapping[str, Queue]
    late_s: float
    numbers: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def is_late(self) -> bool:
        """Tell whether the time of the run is used up."""
        return time.monotonic() >= self.late_s

    @property
    def is_too_late(self) -> bool:
        """Tell whether no part is to begin any more."""
        return time.monotonic() >= self.late_s + _LATE_S

    async def prepare(self, queue: Queue) -> None:
        """Make the tables of a queue."""
        command = queue.command("prepare", self.stores)
        await run_to_end(command.arguments, command.environment)

    async def clear(self, queue: Queue) -> None:
        """Take out all jobs of a queue, so that the next round meets what this one did."""
        async with self.stores.connect(self.stores.write_to(queue.database)) as connection:
            await connection.execute(f"TRUNCATE {queue.table} CASCADE")

    @contextlib.asynccontextmanager
    async def working(self, queue: Queue, count: int, batch: int) -> AsyncIterator[Workers]:
        """Start workers and who puts jobs in for the length of the block."""
        async with self.putter(queue) as putter, self.workers(queue, putter, count, batch) as workers:
            yield workers

    @contextlib.asynccontextmanager
    async def putter(self, queue: Queue, front_ends: int = 1) -> AsyncIterator[Putter]:
        """Start who puts jobs in for the length of the block."""
        command = queue.command("put", self.stores)
        log = self.folder / f"put-{queue.name}-{next(self.numbers)}.log"
        async with started(command.arguments, command.environment, log, self.cores, talks=True) as process:
            putter = Putter(process, queue)
            await putter.answer()
            await putter.ask("open", count=front_ends)
            yield putter

    @contextlib.asynccontextmanager
    async def workers(self, queue: Queue, putter: Putter, count: int, batch: int) -> AsyncIterator[Workers]:
        """Start workers for the length of the block, and give them once each has run jobs."""
        folder = self.folder / f"board-{queue.name}-{next(self.numbers)}"
        folder.mkdir()
        command = queue.command("work", self.stores, "--batch", str(batch))
        async with contextlib.AsyncExitStack() as stack:
            processes = []
            for number in range(count):
                environment = {**command.environment, board.FOLDER: str(folder)}
                log = self.folder / f"{folder.name}-{number}.log"
                run = started(command.arguments, environment, log, self.cores)
                processes.append(await stack.enter_async_context(run))
            connection = await stack.enter_async_context(
                self.stores.connect(self.stores.write_to(queue.database))
            )
            workers = Workers(
                queue, putter, connection, [one.pid for one in processes], folder, self.postgres
            )
            await workers.warm_up(count)
            yield workers


class Putter:
    """The process that puts jobs in."""

    def __init__(self, process: Process, queue: Queue) -> None:
        self._process = process
        self._queue = queue
        self._next = 0

    @property
    def pid(self) -> int:
        """Return its process id."""
        return self._process.pid

    async def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """Ask for something (`putting.Putting`) and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        return await self.answer()

    async def answer(self) -> dict[str, Any]:
        """Return what it says next."""
        line = await read_line(self._process, START_S + DRAIN_S)
        if not line:
            raise BenchError(f"what puts jobs in for {self._queue.name} ended early")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def take(self, count: int) -> int:
        """Return the first of so many numbers that no job has had."""
        first, self._next = self._next, self._next + count
        return first


@dataclass
class Workers:
    """Workers of one queue that run, and what they did."""

    queue: Queue
    putter: Putter
    connection: asyncpg.Connection
    pids: list[int]
    folder: Path
    postgres: int
    begun: int = 0  # jobs that were put in, all of which must be run once

    async def warm_up(self, count: int) -> None:
        """Give them jobs until each has run some."""
        end_s = time.monotonic() + START_S
        while sum(one > 0 for one in board.counts(self.folder)) < count:
            if time.monotonic() > end_s:
                raise BenchError(f"the workers of {self.queue.name} do not begin")
            await self.put(int(_WARM * self.queue.share), _WARM_S)
        await self.check()

    async def drain(self, count: int, seconds_max: float = DRAIN_S) -> dict[str, Any]:
        """Put so many jobs in by one commit, and return what they cost until all of them were over."""
        first = self.putter.take(count)
        await self.putter.ask("load", first=first, count=count)
        cpu_before_s, stores_before_s = cpu_s(self.pids), cpu_s([self.postgres])
        before = self.begun
        self.begun += count
        began_s = (await self.putter.ask("commit"))["began_s"]
        is_over = await self.over(began_s + seconds_max)
        elapsed_s = time.monotonic() - began_s
        done = count if is_over else sum(board.counts(self.folder)) - before
        if not done:
            raise BenchError(f"{self.queue.name} ran none of {count} jobs in {elapsed_s:.0f} s")
        return {
            "jobs": done,
            "is_over": is_over,
            "per_s": round(done / elapsed_s, 1),
            "server_cpu_ms": round((cpu_s([self.postgres]) - stores_before_s) / done * 1000, 4),
            "client_cpu_ms": round((cpu_s(self.pids) - cpu_before_s) / done * 1000, 4),
        }

    async def put(self, count: int, seconds: float) -> None:
        """Put jobs in, and wait until they were run; not longer, and not for those that are not."""
        self.begun += count
        await self.putter.ask("put", first=self.putter.take(count), count=count, batch=count)
        await self.over(time.monotonic() + seconds)

    async def over(self, end_s: float) -> bool:
        """Wait until all that was put in was run and is over, but not beyond this time; tell whether it is."""
        while sum(board.counts(self.folder)) < self.begun or await self.left():
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def left(self) -> bool:
        """Tell whether there are jobs that are not over."""
        query = f"SELECT EXISTS (SELECT FROM {self.queue.table} WHERE {self.queue.left})"
        return bool(await self.connection.fetchval(query))

    async def check(self) -> None:
        """Raise BenchError unless every job was run, and none of them twice: only good answers count."""
        if not await self.over(time.monotonic() + DRAIN_S):
            raise BenchError(f"{self.queue.name} lost jobs, or is too slow")
        numbers = [number for number, _ in board.runs(self.folder)]
        if len(numbers) != self.begun or len(set(numbers)) != len(numbers):
            raise BenchError(
                f"{self.queue.name} ran {len(numbers)} jobs, {len(set(numbers))} different ones, of {self.begun}"
            )
