"""The outbox: jobs that a transaction has put in for a queue in another cluster, and that have not arrived there."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from entresol.storage.catalog import read_query
from entresol.storage.connections import Record
from entresol.storage.jobs import JobState
from entresol.storage.new_jobs import NewJob, with_jobs
from entresol.storage.pools import Pools
from entresol.storage.schedules import run
from entresol.storage.sql import Statement

if TYPE_CHECKING:
    from entresol.storage.transaction import Transaction


class Outbox:
    """The outbox of one database, on its primary."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def add(self, transaction: Transaction, jobs: Sequence[NewJob]) -> list[uuid.UUID]:
        """Put jobs in; return those of an id, and a unique key, that none has."""
        done = {record["id"] for record in await transaction.system(with_jobs(outbox_query("add"), jobs))}
        return [job.id for job in jobs if job.id in done]

    async def remove(self, transaction: Transaction, ids: Sequence[uuid.UUID]) -> None:
        """Take jobs out that the transaction has put in."""
        await transaction.system(Statement(outbox_query("remove"), ([*ids],)))

    async def having(self, transaction: Transaction, key: uuid.UUID) -> uuid.UUID | None:
        """Return the job that has a unique key."""
        records = await transaction.system(Statement(outbox_query("having"), (key,)))
        return records[0]["id"] if records else None

    async def known(self, transaction: Transaction, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Return those of the ids that jobs have, as the transaction sees it."""
        records = await transaction.system(Statement(outbox_query("known"), ([*ids],)))
        return {record["id"] for record in records}

    async def read(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """Return jobs that have not begun, and cannot have."""
        return {record["id"]: JobState(**record) for record in await self._run("read", [*ids])}

    async def lengths(self) -> dict[str, int]:
        """Return how many there are, by queue, of the first 100,000."""
        return {record[0]: record[1] for record in await self._run("lengths")}

    async def look(self, position: int, limit: int) -> tuple[list[uuid.UUID], int]:
        """Return what there is from a position on, the oldest first, and where to look from the next time."""
        *found, (_, next_position) = await self._run("look", position, limit)
        return [record["id"] for record in found], next_position

    async def _run(self, query: str, *parameters: object) -> list[Record]:
        return await run(self._pools, Statement(outbox_query(query), parameters))


@cache
def outbox_query(name: str) -> str:
    """Return the text of a statement of `queries/outbox`."""
    return read_query(f"outbox/{name}")
