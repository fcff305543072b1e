"""What a job does and how jobs are put in, alike for every system; it runs in the peers' environment too.

Everything is counted from three tables: `orders` has a row for each job that was put in, written in the transaction
that did so; `begun_work` has one for each attempt, `done_work` one for each that was done.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import asyncpg

LEASE_S = (
    5.0  # how long a worker that is heard of no more keeps its jobs, or what comes nearest in each system
)
DRAIN_S = 1.0  # how long a worker that is told to end lets its jobs go on, where one can say so
CONCURRENCY = 100  # jobs of one worker at once
POISON_ATTEMPTS = 3  # as the proto says
TICK_EVERY_S = 2
TICK_CRON = f"* * * * * */{TICK_EVERY_S}"  # as peers take it, with seconds at the end
TICK_S = 0.5  # what the job of a tick takes

TABLES = """
CREATE TABLE orders (job text PRIMARY KEY);
CREATE TABLE begun_work (job text, attempt integer, pid integer, begun_s float8);
CREATE TABLE done_work (job text, attempt integer, pid integer, begun_s float8, done_s float8);
"""
ORDER = "INSERT INTO orders VALUES ({}) ON CONFLICT DO NOTHING RETURNING job"
BEGUN = "INSERT INTO begun_work VALUES ($1, $2, $3, $4)"
ATTEMPTS = "SELECT count(*) FROM begun_work WHERE job = $1"
DONE = "INSERT INTO done_work VALUES ($1, $2, $3, $4, $5)"
ACKNOWLEDGED = "acknowledged: "  # how a line of a producer begins that tells of a job
_AGAIN_S = 0.1


class DroppedError(Exception):
    """The transaction is undone on purpose."""


@dataclass(frozen=True)
class Task:
    """A job. What it does with its `seconds` is its `how`.

    sleep: it pauses. block: it blocks the event loop. hold: it pauses within its transaction. exit: it ends its
    worker's process, whenever it begins. leave: so it does behind the commit, the first time. drop: it is never put in.
    """

    job: str
    how: str
    seconds: float

    @classmethod
    def read(cls, text: str | bytes) -> Task:
        """Return the task of its text."""
        return cls(**json.loads(text))

    @property
    def text(self) -> str:
        """Return the task as JSON."""
        return json.dumps(asdict(self))

    def check(self) -> None:
        """Raise DroppedError if it is never to be put in."""
        if self.how == "drop":
            raise DroppedError


def tick(nominal_s: float) -> Task:
    """Return the task of a schedule's tick, which is named by its nominal time."""
    return Task(f"tick-{nominal_s:.0f}", "sleep", TICK_S)


async def perform(task: Task, attempt: int, pool: Any, transaction: Callable[[], Any]) -> None:
    """Do a task: note that it began, take the time, and write in a transaction of the job that it is done."""
    begun_s = time.time()
    await pool.execute(BEGUN, task.job, attempt, os.getpid(), begun_s)
    if task.how == "exit":
        os._exit(1)
    if task.how == "block":
        time.sleep(task.seconds)  # noqa: ASYNC251 - the mistake that is tried
    if task.how == "sleep":
        await asyncio.sleep(task.seconds)
    async with transaction() as opened:
        if task.how == "hold":
            await opened.fetch("SELECT 1")
            await asyncio.sleep(task.seconds)
        await opened.execute(DONE, task.job, attempt, os.getpid(), begun_s, time.time())
    if task.how == "leave" and await pool.fetchval(ATTEMPTS, task.job) == 1:
        os._exit(1)


@asynccontextmanager
async def transaction(pool: Any) -> AsyncIterator[Any]:
    """Give a connection in a transaction, as users of a queue open one that knows nothing of it."""
    async with pool.acquire() as connection, connection.transaction():
        yield connection


def arguments() -> argparse.Namespace:
    """Return what the program of a system is told to do."""
    parser = argparse.ArgumentParser(description="prepare a database, work, tick, or put jobs in")
    parser.add_argument(
        "do",
        choices=["prepare", "work", "tick", "put", "call"],
        help="tick: work, by a schedule too; call: put in by calls",
    )
    parser.add_argument("url")
    parser.add_argument("--address", default="", help="what answers calls")
    parser.add_argument("--prefix", default="", help="how the names of the jobs begin")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--per-s", type=float, default=0.0, help="0: as many as there can be")
    parser.add_argument("--seconds", type=float, default=0.0, help="what a job takes")
    parser.add_argument("--how", default="sleep")
    parser.add_argument("--drop-every", type=int, default=0, help="undo each n-th transaction at its end")
    return parser.parse_args()


async def put_all(given: argparse.Namespace, put: Callable[[Task], Awaitable[object]]) -> None:
    """Put jobs in, a transaction for each, again and again until it is known to be there, and say so of each."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for number in range(given.count):
        if given.per_s:
            await asyncio.sleep(max(0.0, began_s + number / given.per_s - loop.time()))
        is_dropped = given.drop_every and number % given.drop_every == given.drop_every - 1
        task = Task(f"{given.prefix}-{number}", "drop" if is_dropped else given.how, given.seconds)
        while True:
            try:
                await put(task)
                print(f"{ACKNOWLEDGED}{task.job}", flush=True)
                break
            except DroppedError:
                break
            except Exception as error:  # the database is away, or was before the answer came
                print(f"{task.job}: {error!r}", flush=True)
                await asyncio.sleep(_AGAIN_S)


async def open_pool(url: str) -> Any:
    """Return a pool for what jobs write, or what is put in."""
    return await asyncpg.create_pool(url, min_size=1, max_size=10, timeout=5, command_timeout=10)
