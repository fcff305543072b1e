"""The jobs by PgQueuer, as its documentation has it; only what must be alike for all is not its default."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pgqueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.queries import Queries
from tests.bench.queue.board import Board
from tests.bench.queue.putting import ORDER, ORDERS, main, one_each


async def prepare(given: Any) -> None:
    """Make the tables of the queue."""
    connection = await asyncpg.connect(given.url)
    await Queries(AsyncpgDriver(connection)).install()
    await connection.execute(ORDERS)
    await connection.close()


async def work(given: Any) -> None:
    """Work until SIGTERM."""
    board = Board()

    @asynccontextmanager
    async def queuer() -> AsyncIterator[Any]:
        connection = await asyncpg.connect(given.url)
        made = pgqueuer.PgQueuer.from_asyncpg_connection(connection)

        @made.entrypoint("errand")
        async def errand(job: Any) -> None:
            board.note(int(job.payload))

        try:
            yield made
        finally:
            await connection.close()

    await pgqueuer.run(queuer, batch_size=given.batch)  # default: 10


class FrontEnd:
    """A connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._queries = Queries(AsyncpgDriver(connection))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FrontEnd]:
        async with self._connection.transaction():
            yield self

    async def order(self, number: int) -> None:
        await self._connection.execute(ORDER.format("$1"), number)

    async def put(self, numbers: Sequence[int]) -> None:
        payloads = [str(number).encode() for number in numbers]
        await self._queries.enqueue(["errand"] * len(payloads), payloads, [0] * len(payloads))


@asynccontextmanager
async def front_end(given: Any) -> AsyncIterator[FrontEnd]:
    """Open a connection."""
    connection = await asyncpg.connect(given.url)
    try:
        yield FrontEnd(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    main(prepare, work, one_each(front_end))
