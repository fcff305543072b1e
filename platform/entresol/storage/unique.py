"""Unique jobs: of one key there is one, as long as it is not over, and for as long as whoever puts it in says."""

from __future__ import annotations

import uuid

from entresol.errors import ConflictError
from entresol.storage import requests
from entresol.storage.new_jobs import NewJob, enqueue
from entresol.storage.requests import Claim
from entresol.storage.transaction import Transaction


async def enqueue_unique(transaction: Transaction, job: NewJob, *, for_s: float = 0.0) -> uuid.UUID:
    """Put a job in unless one with its key is not over, or was put in for a time that is not; return that one's id.

    Who comes while another transaction puts one in waits for its end.
    """
    if (found := await _having(transaction, job)) is not None:
        return found
    if not for_s:
        return await _enqueue_unless(transaction, job)
    # No method has a space in its name.
    claim = Claim(f"{job.lane.kind} unique", "", str(job.unique_key), b"")
    reply = await requests.claim(transaction, claim, ttl_s=for_s)
    if reply is not None:
        return uuid.UUID(bytes=reply)
    id_ = await _enqueue_unless(transaction, job)
    await requests.finish(transaction, claim, id_.bytes)
    return id_


async def _enqueue_unless(transaction: Transaction, job: NewJob) -> uuid.UUID:
    # Who has the key may be over between the two statements: then it is free.
    for _ in range(3):
        if await enqueue(transaction, [job]):
            return job.id
        if (found := await _having(transaction, job)) is not None:
            return found
    raise ConflictError("jobs of the same key come and go at this moment; try again")


async def _having(transaction: Transaction, job: NewJob) -> uuid.UUID | None:
    assert job.unique_key is not None, "only such jobs are unique"
    return await transaction.coupling.having(transaction, job.unique_key)
