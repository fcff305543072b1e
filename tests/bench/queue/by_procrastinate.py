"""The jobs by Procrastinate, as its documentation has it; only what must be alike for all is not its default."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector
from tests.bench.queue.board import Board
from tests.bench.queue.putting import ORDER, ORDERS, main, one_each

board = cache(Board)


def open_app(url: str) -> App:
    """Return the application."""
    app = App(connector=PsycopgConnector(conninfo=url, min_size=1))

    @app.task(name="errand")
    async def errand(number: int) -> None:
        board().note(number)

    return app


async def prepare(given: Any) -> None:
    """Make the tables of the queue."""
    async with open_app(given.url).open_async() as app:
        await app.schema_manager.apply_schema_async()
    async with await psycopg.AsyncConnection.connect(given.url) as connection:
        await connection.execute(ORDERS)


async def work(given: Any) -> None:
    """Work until SIGTERM."""
    async with open_app(given.url).open_async() as app:
        await app.run_worker_async(concurrency=given.batch)  # default: 1; it claims them one by one


class FrontEnd:
    """A connection beside the application's own."""

    def __init__(self, app: App, connection: Any) -> None:
        self._app = app
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FrontEnd]:
        async with self._connection.transaction():
            yield self

    async def order(self, number: int) -> None:
        await self._connection.execute(ORDER.format("%s"), [number])

    async def put(self, numbers: Sequence[int]) -> None:
        task = self._app.tasks["errand"].configure(connection=self._connection)
        if len(numbers) == 1:
            await task.defer_async(number=numbers[0])
        else:
            await task.batch_defer_async(*({"number": number} for number in numbers))


@asynccontextmanager
async def front_end(given: Any) -> AsyncIterator[FrontEnd]:
    """Open a connection."""
    connection = await psycopg.AsyncConnection.connect(given.url, autocommit=True)
    async with connection:
        yield FrontEnd(open_app(given.url), connection)


if __name__ == "__main__":
    main(prepare, work, one_each(front_end))
