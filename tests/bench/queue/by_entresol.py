"""The jobs by Entresol, but for the worker, which is `entresol work`; and what its `enqueue` is compared with.

`--how bare` writes the same row into a like table, which no worker is told of; `notify` tells them in the transaction.
Front ends of a process are callers of one platform; with `alone` each has a platform of its own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

from tests.bench.queue.putting import ORDER, ORDERS, main, one_each

from entresol.app import load_model
from entresol.clock import Clock
from entresol.config import Settings
from entresol.records import Records
from entresol.schema.model import Model
from entresol.service.call import Call
from entresol.service.enqueue import new_job
from entresol.service.registry import Context
from entresol.storage import new_jobs
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_query
from entresol.storage.transaction import Transaction
from entresol.stores import open_records
from entresol.testing.platforms import make_tables

METHOD = "errands.v1.ErrandService.RunErrand"
PATH = "/errands.v1.ErrandService/RunErrand"
CALL_S = 120.0
LIKE = "CREATE TABLE bare_jobs (LIKE entresol.jobs INCLUDING ALL)"
NOTIFY = "SELECT pg_notify('bare_jobs', '')"


async def prepare(given: Any) -> None:
    """Make the tables of the queue, and one that is like it."""
    await make_tables(given.url, model())
    async with connect_primary(given.url) as connection:
        await connection.execute(f"{ORDERS}; {LIKE}")


@cache
def model() -> Model:
    """Return the model of the settings' protos."""
    return load_model(Settings.load())


class Opened:
    """A transaction of ours."""

    def __init__(self, context: Context, transaction: Transaction, how: str) -> None:
        self._context = context
        self._transaction = transaction
        self._how = how

    async def order(self, number: int) -> None:
        await self._transaction.execute(ORDER.format("$1"), number)

    async def put(self, numbers: Sequence[int]) -> None:
        requests = [self._context.new("errands.v1.RunErrandRequest", number=number) for number in numbers]
        if "bare" in self._how or "notify" in self._how:
            await self._put_bare(requests)
        elif len(requests) == 1:
            await self._context.enqueue(self._transaction, METHOD, requests[0])
        else:
            await new_jobs.enqueue(
                self._transaction, [new_job(self._context.call.method, one) for one in requests]
            )

    async def _put_bare(self, requests: Sequence[Any]) -> None:
        jobs = [new_job(self._context.call.method, one) for one in requests]
        statement = new_jobs.with_jobs(read_query("jobs/enqueue"), jobs)
        text = re.sub(r"\bentresol\.jobs\b", "bare_jobs", statement.text)
        await self._transaction.fetch(text, *statement.parameters)
        if "notify" in self._how:
            await self._transaction.execute(NOTIFY)


class FrontEnd:
    """Who calls a platform."""

    def __init__(self, records: Records, how: str) -> None:
        self._records = records
        self._how = how
        self._clock = Clock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Opened]:
        deadline_s = self._clock.monotonic_s() + CALL_S
        context = Context(
            Call(model().methods[PATH], {}, self._clock, deadline_s=deadline_s), self._records, model()
        )
        async with context.transaction() as transaction:
            yield Opened(context, transaction, self._how)

    async def put(self, numbers: Sequence[int]) -> None:
        async with self.transaction() as transaction:
            await transaction.put(numbers)


@asynccontextmanager
async def front_ends(given: Any, count: int) -> AsyncIterator[Sequence[FrontEnd]]:
    """Open a platform with a connection for each front end's calls, and one for what tells workers."""
    settings = Settings.load(database_write=given.url, database_write_connections=count + 1)
    async with open_records(settings, model()) as records:
        yield [FrontEnd(records, given.how) for _ in range(count)]


@asynccontextmanager
async def alone(given: Any) -> AsyncIterator[FrontEnd]:
    """Open a platform for one front end."""
    async with front_ends(given, 1) as opened:
        yield opened[0]


def open_front_ends(given: Any, count: int) -> AbstractAsyncContextManager[Sequence[FrontEnd]]:
    """Open front ends in the way that is asked for."""
    return one_each(alone)(given, count) if "alone" in given.how else front_ends(given, count)


if __name__ == "__main__":
    main(prepare, None, open_front_ends)
