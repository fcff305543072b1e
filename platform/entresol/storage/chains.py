"""Jobs that wait for others: they are begun once all of those are over, and never forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from entresol.storage.catalog import read_query
from entresol.storage.job_ids import time_of
from entresol.storage.jobs import JobState
from entresol.storage.sql import Statement
from entresol.storage.transaction import Transaction

_KNOWN = read_query("jobs/known")
_READ = read_query("jobs/read")


async def unknown(transaction: Transaction, ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Return those of the ids that no job has, as the transaction sees it; one that was over long ago has none."""
    records = await transaction.system(Statement(_KNOWN, ([*ids], min(map(time_of, ids)))))
    known = {record["id"] for record in records}
    return [id_ for id_ in ids if id_ not in known]


async def states(transaction: Transaction, ids: Sequence[uuid.UUID]) -> list[JobState | None]:
    """Return the jobs of the ids as they are, in order; None for what is not there, or was over long ago."""
    records = await transaction.system(Statement(_READ, ([*ids], min(map(time_of, ids)))))
    found = {record["id"]: JobState(**record) for record in records}
    return [found.get(id_) for id_ in ids]
