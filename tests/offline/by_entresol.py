"""The jobs by Entresol: what the peers' programs do, but for the work, which is `entresol work`'s."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from typing import Any

from tests.offline import work

from entresol.app import load_model
from entresol.clock import Clock
from entresol.config import Settings
from entresol.service.call import Call
from entresol.service.registry import Context
from entresol.stores import open_records
from entresol.testing.platforms import make_tables
from entresol.transport.caller import Caller

SERVICE = "offline.v1.OfflineService"
CALL_S = 2.0


async def prepare(given: Any) -> None:
    """Make the tables of the queue, wherever it is."""
    settings = Settings.load()
    for url in {given.url, settings.database_jobs or given.url}:
        await make_tables(url, load_model(settings))


async def put(given: Any) -> None:
    """Put jobs in, each with the context of a call of its own."""
    settings, clock = Settings.load(database_write=given.url), Clock()
    model = load_model(settings)
    method = "DoPoison" if given.how == "exit" else "DoTask"
    async with open_records(settings, model) as records:

        async def put_one(task: work.Task) -> None:
            call = Call(model.methods[f"/{SERVICE}/{method}"], {}, clock, deadline_s=clock.monotonic_s() + 10)
            context = Context(call, records, model)
            async with context.transaction() as transaction:
                if await transaction.fetch(work.ORDER.format("$1"), task.job):
                    request = context.new(f"offline.v1.{method}Request", task=task.text)
                    await context.enqueue(transaction, f"{SERVICE}.{method}", request)
                task.check()

        await work.put_all(given, put_one)


async def call(given: Any) -> None:
    """Put jobs in by calls of the platform at an address; each is repeated with its id until it is answered."""
    ids: defaultdict[str, str] = defaultdict(lambda: str(uuid.uuid4()))
    with Caller(given.address, timeout_s=CALL_S) as caller:

        async def put_one(task: work.Task) -> None:
            request = {"task": task.text, "request_id": ids[task.job]}
            await asyncio.to_thread(caller.call, f"{SERVICE}/DoTask", request)

        await work.put_all(given, put_one)


if __name__ == "__main__":
    told = work.arguments()
    asyncio.run({"prepare": prepare, "put": put, "call": call}[told.do](told))
