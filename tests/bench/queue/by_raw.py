"""The jobs by hand: three statements on asyncpg with a lease and a token, and a look at the table four times a second.

Nothing begins again what a dead worker had, tells workers of jobs, tries again or keeps what is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from tests.bench.queue.board import Board
from tests.bench.queue.putting import ORDER, ORDERS, main, one_each

TABLES = """
CREATE TABLE jobs (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue      text        NOT NULL,
    priority   smallint    NOT NULL DEFAULT 0,
    run_time   timestamptz NOT NULL DEFAULT now(),
    state      smallint    NOT NULL DEFAULT 0,
    token      bigint      NOT NULL DEFAULT 0,
    lease_time timestamptz,
    payload    bytea       NOT NULL
) WITH (vacuum_truncate = false); -- and arrays below: else it would be read whole by plans of when it was empty
CREATE INDEX ON jobs (queue, priority DESC, run_time, id) WHERE state = 0;
CREATE SEQUENCE tokens;
"""
PUT = "INSERT INTO jobs (queue, payload) SELECT 'default', unnest($1::bytea[])"
CLAIM = """
UPDATE jobs SET state = 1, token = (SELECT nextval('tokens')), lease_time = now() + interval '15 s'
WHERE id = ANY (ARRAY(
    SELECT id FROM jobs WHERE queue = 'default' AND state = 0 AND run_time <= now()
    ORDER BY priority DESC, run_time, id LIMIT $1
    FOR UPDATE SKIP LOCKED
))
RETURNING jobs.id, token, payload
"""
FINISH = """
DELETE FROM jobs USING unnest($1::bigint[], $2::bigint[]) AS done (id, token)
WHERE jobs.id = ANY (ARRAY[done.id]) AND jobs.token = done.token
"""
POLL_S = 0.25


async def prepare(given: Any) -> None:
    """Make the table of the queue."""
    connection = await asyncpg.connect(given.url)
    await connection.execute(TABLES + ORDERS)
    await connection.close()


async def work(given: Any) -> None:
    """Work until the process is ended."""
    connection, board = await asyncpg.connect(given.url), Board()

    async def handle(payload: bytes) -> None:
        board.note(int(payload))

    while True:
        claimed = await connection.fetch(CLAIM, given.batch)
        if not claimed:
            await asyncio.sleep(POLL_S)
            continue
        await asyncio.gather(*(handle(job["payload"]) for job in claimed))
        await connection.execute(FINISH, [job["id"] for job in claimed], [job["token"] for job in claimed])


class FrontEnd:
    """A connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FrontEnd]:
        async with self._connection.transaction():
            yield self

    async def order(self, number: int) -> None:
        await self._connection.execute(ORDER.format("$1"), number)

    async def put(self, numbers: Sequence[int]) -> None:
        await self._connection.execute(PUT, [str(number).encode() for number in numbers])


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
