"""Jobs that wait for others: they are begun once all of those are over, and never forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from entresol.storage.jobs import JobState
from entresol.storage.transaction import Transaction


async def unknown(transaction: Transaction, ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Return those of the ids that no job has, as the transaction sees it; one that was over long ago has none."""
    known = await transaction.coupling.known(transaction, ids)
    return [id_ for id_ in ids if id_ not in known]


async def states(transaction: Transaction, ids: Sequence[uuid.UUID]) -> list[JobState | None]:
    """Return the jobs of the ids as they are, in order; None for what is not there, or was over long ago."""
    found = await transaction.coupling.states(transaction, ids)
    return [found.get(id_) for id_ in ids]
