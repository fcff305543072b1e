"""Tokens of attempts, in the database that jobs write to: the newest one wins, whatever cluster the queue is in."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from entresol.errors import ConflictError
from entresol.storage import sql
from entresol.storage.catalog import read_query
from entresol.storage.connections import Record
from entresol.storage.jobs import Claimed
from entresol.storage.pools import Pools
from entresol.storage.schedules import run
from entresol.storage.sql import Statement
from entresol.storage.sqlstate import translated

if TYPE_CHECKING:
    from entresol.storage.transaction import Transaction

_EXPIRED_MAX = 1000  # forgotten at once
_PATIENCE = "SET LOCAL lock_timeout = '100ms'"

Later = tuple[
    uuid.UUID, int, float
]  # a job, the token from which on attempts may write, and the time that one has


class Tokens:
    """The newest attempts at jobs whose queue is in another cluster, as far as they write here or are not the first."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def position(self) -> int:
        """Return a position in the log that is not before any commit that there was."""
        return int((await self._run("position"))[0][0])

    async def begin(self, claims: Sequence[Claimed]) -> dict[uuid.UUID, bytes | None]:
        """Refuse attempts before these; return the checkpoints that were committed, of those that are the newest."""
        later = [(*one.attempt, one.timeout_s) for one in claims]
        return {record[0]: record[1] for record in await self._run("begin", *_columns(later))}

    async def hold(self, transaction: Transaction, claimed: Claimed, checkpoint: bytes | None) -> bool:
        """Keep an attempt the newest one until the transaction ends; False when it is not."""
        values = (*claimed.attempt, checkpoint, claimed.timeout_s)
        return bool(await transaction.system(Statement(_text("hold"), values)))

    async def refuse(self, lost: Sequence[Later]) -> list[uuid.UUID]:
        """Refuse what was lost; return of which jobs: who is about to commit, or stopped there, is not waited for."""
        with suppress(ConflictError):
            await self._refuse(lost)
            return [id_ for id_, _, _ in lost]
        refused = []
        for one in lost:
            with suppress(ConflictError):
                await self._refuse([one])
                refused.append(one[0])
        return refused

    async def expired(self) -> list[uuid.UUID]:
        """Return some jobs none of whose attempts that have written here can go on."""
        return [record["id"] for record in await self._run("expired", _EXPIRED_MAX)]

    async def forget(self, expired: Sequence[uuid.UUID], living: Sequence[uuid.UUID]) -> None:
        """Forget jobs that are over, and keep the checkpoints of those that are not."""
        await self._run("forget", [*expired], [*living])

    async def _refuse(self, lost: Sequence[Later]) -> None:
        """Refuse these, of which some may be already; raises ConflictError when one is locked."""
        deadline = self._pools.deadline(None)
        with translated({}):
            async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                await connection.execute(sql.BEGIN, timeout=deadline.left_s())
                await connection.execute(_PATIENCE, timeout=deadline.left_s())
                await connection.execute(_text("begin"), *_columns(lost), timeout=deadline.left_s())
                await connection.execute("COMMIT", timeout=deadline.left_s())

    async def _run(self, query: str, *parameters: object) -> list[Record]:
        return await run(self._pools, Statement(_text(query), parameters))


def _columns(later: Sequence[Later]) -> tuple[list[object], ...]:
    return tuple([one[index] for one in later] for index in range(3))


@cache
def _text(query: str) -> str:
    return read_query(f"attempts/{query}")
