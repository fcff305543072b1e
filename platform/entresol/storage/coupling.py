"""How jobs are tied to the transactions of the database that they write to: here, they are in the same one.

So a job is put in by the caller's transaction itself, and an attempt's transaction locks its job. For a queue in a
cluster of its own there is `own_cluster`; `placement` tells which it is, and nobody else asks.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from entresol.storage.catalog import read_query
from entresol.storage.job_ids import time_of
from entresol.storage.jobs import Claimed, JobState
from entresol.storage.lengths import Lengths
from entresol.storage.new_jobs import Lane, NewJob, add_lanes, with_jobs
from entresol.storage.pools import Pools
from entresol.storage.sql import Statement
from entresol.storage.wakeups import Wakeups

if TYPE_CHECKING:
    from entresol.storage.transaction import Transaction

_ENQUEUE = read_query("jobs/enqueue")
_HAVING = read_query("jobs/unique")
_HOLD = read_query("jobs/hold")
_KEEP_CHECKPOINT = read_query("jobs/keep_checkpoint")
_KNOWN = read_query("jobs/known")
_READ = read_query("jobs/read")


class Coupling:
    """Jobs and what they write, in one transaction. One instance belongs to one event loop."""

    def __init__(self, pools: Pools) -> None:
        self.lengths = Lengths(pools)
        self._wakeups = Wakeups(pools)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Do what there is to do beside the transactions, while the block lasts."""
        yield

    async def put(self, transaction: Transaction, jobs: Sequence[NewJob]) -> list[uuid.UUID]:
        """Put jobs in, which are there once the transaction is committed; return those that were not there already."""
        done = await _ids(transaction, with_jobs(_ENQUEUE, jobs))
        if missing := [job for job in jobs if job.id not in done]:
            lanes: list[Lane] = sorted({job.lane for job in missing})
            await transaction.system(add_lanes(lanes))
            done |= await _ids(transaction, with_jobs(_ENQUEUE, missing))
        transaction.has_jobs = True
        transaction.jobs += [job.id for job in jobs if job.id in done and job.after and not job.delay_s]
        return [job.id for job in jobs if job.id in done]

    def committed(self, transaction: Transaction) -> None:
        """See to the jobs of a transaction that is committed, soon; that it fails is no harm."""
        self._wakeups.tell(transaction.jobs)

    async def having(self, transaction: Transaction, key: uuid.UUID) -> uuid.UUID | None:
        """Return the job that has a unique key, as long as it is not over."""
        records = await transaction.system(Statement(_HAVING, (key,)))
        return records[0]["id"] if records else None

    async def known(self, transaction: Transaction, ids: Sequence[uuid.UUID]) -> Collection[uuid.UUID]:
        """Return those of the ids that jobs have, as the transaction sees it, or had not long ago."""
        return await _ids(transaction, Statement(_KNOWN, ([*ids], min(map(time_of, ids)))))

    async def states(self, transaction: Transaction, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """Return jobs as they are; who is missing is not there, or was over long ago."""
        records = await transaction.system(Statement(_READ, ([*ids], min(map(time_of, ids)))))
        return {record["id"]: JobState(**record) for record in records}

    async def begin(self, claimed: Claimed) -> Claimed | None:
        """Return what was claimed, as its attempt is to begin with; None when a later one has begun.

        From now on no earlier attempt commits anything.
        """
        return claimed

    async def hold(self, transaction: Transaction, claimed: Claimed, checkpoint: bytes | None) -> bool:
        """Keep an attempt its own until the transaction ends, with a checkpoint; False when it is no longer."""
        if checkpoint is None:
            return bool(await transaction.system(Statement(_HOLD, claimed.attempt)))
        return bool(await transaction.system(Statement(_KEEP_CHECKPOINT, (*claimed.attempt, checkpoint))))


async def _ids(transaction: Transaction, statement: Statement) -> set[uuid.UUID]:
    return {record["id"] for record in await transaction.system(statement)}
