"""The jobs by PgQueuer, as its documentation has it; only what must be alike for all is not its default."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import pgqueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import DatabaseRetryEntrypointExecutor
from tests.offline import work


async def prepare(given: Any) -> None:
    """Make the tables of the queue."""
    connection = await asyncpg.connect(given.url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.close()


async def run(given: Any) -> None:
    """Work until SIGTERM."""

    @asynccontextmanager
    async def queuer() -> AsyncIterator[Any]:
        connection, pool = await asyncpg.connect(given.url), await work.open_pool(given.url)
        made = pgqueuer.PgQueuer.from_asyncpg_connection(connection)

        # With the usual executor a job that raises is deleted.
        @made.entrypoint(
            "task", executor_factory=lambda of: DatabaseRetryEntrypointExecutor(of, max_attempts=10)
        )
        async def task(job: Any) -> None:
            await work.perform(
                work.Task.read(job.payload), job.attempts + 1, pool, partial(work.transaction, pool)
            )

        if given.do == "tick":

            @made.schedule("tick", work.TICK_CRON)
            async def tick(schedule: Any) -> None:
                del (
                    schedule
                )  # it has no nominal time: the last one is taken for it, and no number of an attempt
                nominal_s = time.time() // work.TICK_EVERY_S * work.TICK_EVERY_S
                await work.perform(work.tick(nominal_s), 1, pool, partial(work.transaction, pool))

        try:
            yield made
        finally:
            pool.terminate()
            connection.terminate()

    await pgqueuer.run(
        queuer,
        heartbeat_timeout=timedelta(seconds=work.LEASE_S),  # default: 30 s
        dequeue_timeout=timedelta(seconds=1),  # between two looks when nothing was told; default: 30 s
        max_concurrent_tasks=work.CONCURRENCY,  # default: no limit
        restart_on_failure=True,  # default: the process ends
        restart_delay=timedelta(seconds=1),  # default: 5 s
    )


async def put(given: Any) -> None:
    """Put jobs in."""
    pool = await work.open_pool(given.url)

    async def put_one(task: work.Task) -> None:
        async with pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(work.ORDER.format("$1"), task.job):
                await Queries(AsyncpgDriver(connection)).enqueue("task", task.text.encode())
            task.check()

    await work.put_all(given, put_one)


if __name__ == "__main__":
    told = work.arguments()
    asyncio.run({"prepare": prepare, "work": run, "tick": run, "put": put}[told.do](told))
