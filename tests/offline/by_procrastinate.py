"""The jobs by Procrastinate, with the recipe of its documentation for jobs of workers that are gone."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from procrastinate import App, PsycopgConnector, RetryStrategy
from psycopg_pool import AsyncConnectionPool
from tests.offline import work


def open_app(url: str, pool: Any = None, *, ticks: bool = False) -> App:
    """Return the application, with a schedule if it `ticks`; `pool` is for what jobs write."""
    app = App(connector=PsycopgConnector(conninfo=url, max_size=10))

    # Without a strategy a job that raises has failed.
    @app.task(name="task", pass_context=True, retry=RetryStrategy(max_attempts=10, wait=1))
    async def task(context: Any, text: str) -> None:
        await perform(work.Task.read(text), context)

    async def perform(task: work.Task, context: Any) -> None:
        await work.perform(task, context.job.attempts + 1, pool, partial(work.transaction, pool))

    if ticks:

        @app.periodic(cron=work.TICK_CRON)
        @app.task(name="tick", pass_context=True, retry=RetryStrategy(max_attempts=10, wait=1))
        async def tick(context: Any, timestamp: int) -> None:
            await perform(work.tick(timestamp), context)

    # As installed nobody begins them again; the task of the documentation does so every ten minutes.
    @app.periodic(cron="* * * * * */5")
    @app.task(name="retry_stalled_jobs", queueing_lock="retry_stalled_jobs")
    async def retry_stalled_jobs(timestamp: int) -> None:
        del timestamp
        for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=work.LEASE_S):
            await app.job_manager.retry_job(job)

    return app


async def prepare(given: Any) -> None:
    """Make the tables of the queue."""
    async with open_app(given.url).open_async() as app:
        await app.schema_manager.apply_schema_async()


async def run(given: Any) -> None:
    """Work until SIGTERM."""
    pool = await work.open_pool(given.url)
    async with open_app(given.url, pool, ticks=given.do == "tick").open_async() as app:
        await app.run_worker_async(
            concurrency=work.CONCURRENCY,  # default: 1
            update_heartbeat_interval=work.LEASE_S / 3,  # default: 10 s
            stalled_worker_timeout=work.LEASE_S,  # default: 30 s
            fetch_job_polling_interval=1.0,  # default: 5 s
            shutdown_graceful_timeout=work.DRAIN_S,  # default: as long as they take
        )


async def put(given: Any) -> None:
    """Put jobs in."""
    check = AsyncConnectionPool.check_connection
    async with (
        open_app(given.url).open_async() as app,
        AsyncConnectionPool(given.url, min_size=1, max_size=1, check=check, open=False) as pool,
    ):

        async def put_one(task: work.Task) -> None:
            async with pool.connection(timeout=2) as connection, connection.transaction():
                found = await connection.execute(work.ORDER.format("%s"), [task.job])
                if await found.fetchone():
                    await app.tasks["task"].configure(connection=connection).defer_async(text=task.text)
                task.check()

        await work.put_all(given, put_one)


if __name__ == "__main__":
    told = work.arguments()
    asyncio.run({"prepare": prepare, "work": run, "tick": run, "put": put}[told.do](told))
