"""A queue in a cluster of its own: jobs go there by way of an outbox, and attempts are refused where they write.

No transaction spans two clusters. What must not come apart is written in the caller's database first, and the other one
follows: a job is in the outbox before it is in the queue, and an attempt is refused before the next one begins.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from entresol.background import kept_running
from entresol.errors import EntresolError, UnavailableError
from entresol.storage.coupling import Coupling
from entresol.storage.jobs import Claimed, Jobs, JobState
from entresol.storage.lengths import Lengths
from entresol.storage.mover import Mover
from entresol.storage.new_jobs import NewJob
from entresol.storage.outbox import Outbox
from entresol.storage.pools import Pools
from entresol.storage.tokens import Tokens
from entresol.turns import Turn

if TYPE_CHECKING:
    from entresol.storage.transaction import Transaction

ASK_S = 1.0  # that a caller waits for the other cluster, beside what it has asked for
AGAIN_S = 0.02


class OwnJobs(Jobs):
    """The queue, and beside it what has not arrived there, or is known where its jobs write."""

    def __init__(self, pools: Pools) -> None:
        super().__init__(pools)
        self._writes = pools
        self.outbox = Outbox(pools)
        self.mover = Mover(pools, self.outbox)
        self.tokens = Tokens(pools)

    async def read(self, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """Return jobs by their ids, as `Jobs.read` does; those in the outbox have not begun."""
        found = await super().read(ids)
        if missing := [id_ for id_ in ids if id_ not in found]:
            found |= await self.outbox.read(missing)
        if missing := [id_ for id_ in missing if id_ not in found]:
            found |= await super().read(missing)  # what arrived in between
        return found

    async def cancel(self, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        """Cancel jobs that are not over, as `Jobs.cancel` does, and which arrive for it if they have not.

        Raises:
            UnavailableError: somebody is moving one, and does not come to an end.
        """
        until_s = asyncio.get_running_loop().time() + ASK_S
        while True:
            await self.mover.move(ids)
            if not await self.outbox.read(ids):
                return await super().cancel(ids)
            if asyncio.get_running_loop().time() > until_s:
                raise UnavailableError("a job is on its way to the queue, and has not arrived; try again")
            await asyncio.sleep(AGAIN_S)

    async def sweep(self, failure: bytes) -> int:
        """Take back what was lost, as `Jobs.sweep` does, once no transaction of it can be committed."""
        lost = [(record[0], record[1], record[2]) for record in await self._run("lost")]
        return await self._sweep(failure, await self.tokens.refuse(lost) if lost else [])

    async def keep(self, days: int) -> None:
        """Forget jobs that were over more than so many days ago, and tokens of jobs that are over."""
        await super().keep(days)
        while expired := await self.tokens.expired():
            living = [record["id"] for record in await self._run("living", expired)]
            await self.tokens.forget(expired, living)

    async def _claim(self, query: str, *parameters: object) -> list[Claimed]:
        """Claim as `Jobs` does, but nothing that could not write: its attempts would be used up."""
        self._writes.require_primary()
        return await super()._claim(query, *parameters)

    async def having(self, key: uuid.UUID) -> uuid.UUID | None:
        """Return the job that has arrived and has a unique key, as long as it is not over."""
        records = await self._run("unique", key)
        return records[0]["id"] if records else None


class OwnCluster(Coupling):
    """Transactions of one database, and jobs in another cluster; while that is away they wait in the outbox."""

    def __init__(self, pools: Pools) -> None:
        super().__init__(pools)
        self._jobs = OwnJobs(pools)
        self.lengths = Lengths(pools, self._jobs.outbox.lengths)
        self._outbox, self._mover, self._tokens = self._jobs.outbox, self._jobs.mover, self._jobs.tokens
        self._begun: Turn[Claimed, Claimed | None] = Turn(self._begin_all)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Move what is in the outbox while the block lasts."""
        async with kept_running(self._mover.run(), "entresol outbox"):
            yield

    async def put(self, transaction: Transaction, jobs: Sequence[NewJob]) -> list[uuid.UUID]:
        """Put jobs into the outbox, but for those whose unique key one has in the queue, as far as that answers."""
        done = await self._outbox.add(transaction, jobs)
        # Not before: whoever had the key in the outbox until now has arrived.
        keys = {job.id: job.unique_key for job in jobs if job.unique_key is not None and job.id in done}
        if taken := [id_ for id_, key in keys.items() if await self._arrived(key) is not None]:
            await self._outbox.remove(transaction, taken)
            done = [id_ for id_ in done if id_ not in taken]
        transaction.has_jobs = True
        transaction.jobs += done
        return done

    def committed(self, transaction: Transaction) -> None:
        """Move the jobs of a transaction that is committed, soon; what is not is found later."""
        self._mover.stir(transaction.jobs)

    async def having(self, transaction: Transaction, key: uuid.UUID) -> uuid.UUID | None:
        """Return the job that has a unique key, as long as it is not over, and as far as the queue answers."""
        return await self._outbox.having(transaction, key) or await self._arrived(key)

    async def known(self, transaction: Transaction, ids: Sequence[uuid.UUID]) -> Collection[uuid.UUID]:
        """Return those of the ids that jobs have; while the queue does not answer all: the worker will see."""
        known = await self._outbox.known(transaction, ids)
        if missing := [id_ for id_ in ids if id_ not in known]:
            try:
                async with asyncio.timeout(ASK_S):
                    return known | (await self._jobs.read(missing)).keys()
            except (EntresolError, TimeoutError):
                return ids
        return known

    async def states(self, transaction: Transaction, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, JobState]:
        """Return jobs as they are, whatever the transaction sees."""
        return await self._jobs.read(ids)

    async def begin(self, claimed: Claimed) -> Claimed | None:
        """Return what was claimed with the checkpoint that was committed, and what it is to see of the database."""
        return await self._begun.submit(claimed)

    async def hold(self, transaction: Transaction, claimed: Claimed, checkpoint: bytes | None) -> bool:
        """Keep an attempt the newest one until the transaction ends; False when it is not."""
        return await self._tokens.hold(transaction, claimed, checkpoint)

    async def _begin_all(self, claims: list[Claimed]) -> list[Claimed | None]:
        again = [one for one in claims if one.is_again]
        newest = await self._tokens.begin(again) if again else {}
        seen = await self._tokens.position()
        return [
            None
            if one.is_again and one.attempt.id not in newest
            else replace(one, seen=seen, checkpoint=newest.get(one.attempt.id) or one.checkpoint)
            for one in claims
        ]

    async def _arrived(self, key: uuid.UUID) -> uuid.UUID | None:
        try:
            async with asyncio.timeout(ASK_S):
                return await self._jobs.having(key)
        except (EntresolError, TimeoutError):  # it is decided where the job arrives
            return None
