"""Moves jobs from the outbox to the queue's cluster: each arrives once, whoever dies between the two.

A job is put into the queue by its id, and only then deleted here: what is found again there was moved before, and is
deleted. Whoever moves it holds its row, and nobody waits for that. What a process commits it moves at once; what is
left, because the cluster was away or the process died, every process looks for.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

from entresol.errors import EntresolError
from entresol.storage import sql
from entresol.storage.catalog import read_query
from entresol.storage.connections import Record, ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.job_ids import time_of
from entresol.storage.new_jobs import Lane, NewJob, add_lanes, with_jobs
from entresol.storage.outbox import Outbox, outbox_query
from entresol.storage.pools import Pools
from entresol.storage.sqlstate import translated
from entresol.storage.wakeups import Wakeups

log = logging.getLogger(__name__)

LOOK_S = 0.5  # between two looks at what is left
SIZE_MAX = 200  # moved at once
LEFT_MAX = 1000  # found by one look
STIRRED_MAX = 10_000  # that are known by name; of more, those beyond are found by the next look
_SKEW = timedelta(hours=1)  # of this machine's clock, which ids begin with
_ARRIVE, _REFUSE, _KNOWN = (read_query(f"jobs/{name}") for name in ("arrive", "refuse", "known"))


class Mover:
    """Moves for ever, while `run` does; `move` does so for who cannot wait."""

    def __init__(self, pools: Pools, outbox: Outbox) -> None:
        self._pools = pools
        self._outbox = outbox
        self._wakeups = Wakeups(pools)
        self._lanes: set[Lane] = set()  # those that are known to be there
        self._stirred: dict[uuid.UUID, None] = {}
        self._is_stirred = asyncio.Event()
        self._position = 0
        self._is_away = False

    def stir(self, ids: Iterable[uuid.UUID]) -> None:
        """Move these soon."""
        if len(self._stirred) < STIRRED_MAX:
            self._stirred |= dict.fromkeys(ids)
        self._is_stirred.set()

    async def run(self) -> None:
        """Move what is stirred at once, and what is left every `LOOK_S`; while either database is away, try again."""
        loop = asyncio.get_running_loop()
        look_s = loop.time()
        while True:
            try:
                await self.move([*self._stirred])
                if loop.time() >= look_s:
                    ids, position = await self._outbox.look(self._position, LEFT_MAX)
                    await self.move(ids)
                    self._position = position
                    look_s = loop.time() + (LOOK_S if len(ids) < LEFT_MAX else 0.0)
                self._tell(None)
            except Exception as error:  # whatever it is: what is left is found again
                self._tell(error)
                self._lanes, self._position = set(), 0  # what was known may have been another server's
                await asyncio.sleep(LOOK_S)
            self._is_stirred.clear()
            if not self._stirred:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_stirred.wait(), max(look_s - loop.time(), 0.0))

    async def move(self, ids: Sequence[uuid.UUID]) -> None:
        """Move jobs, but for those that others move; those that come after others of them follow these."""
        for id_ in ids:
            self._stirred.pop(id_, None)
        left = [*ids]
        while left:
            batch, rest = left[:SIZE_MAX], left[SIZE_MAX:]
            moved = await self._move(batch)
            # Those of the batch that were not moved may follow what was; else they are gone, or somebody else's.
            left = ([id_ for id_ in batch if id_ not in moved] if moved else []) + rest

    async def _move(self, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
        deadline = self._pools.deadline(None)
        with translated({}):
            async with (  # the other cluster first: while it is away nothing here is locked
                self._pools.queue.write(timeout_s=deadline.left_s()) as there,
                self._pools.write(timeout_s=deadline.left_s()) as here,
            ):
                await here.execute(sql.BEGIN, timeout=deadline.left_s())
                records = await here.fetch(outbox_query("take"), [*ids], timeout=deadline.left_s())
                jobs = [_job(record) for record in records]
                arrived = await self._arrive(there, jobs, deadline) if jobs else set()
                await here.execute(outbox_query("remove"), [*arrived], timeout=deadline.left_s())
                await here.execute("COMMIT", timeout=deadline.left_s())
        if arrived:
            self._wakeups.tell(job.id for job in jobs if job.after and not job.delay_s)
        return arrived

    async def _arrive(
        self, there: ServerConnection, jobs: Sequence[NewJob], deadline: Deadline
    ) -> set[uuid.UUID]:
        """Put jobs into the queue, and return those that are there now, or were."""

        async def ask(text: str, *parameters: object) -> list[Record]:
            records: list[Record] = await there.fetch(text, *parameters, timeout=deadline.left_s())
            return records

        lanes = {job.lane for job in jobs}
        if lanes - self._lanes:
            added = add_lanes(sorted(lanes))
            await ask(added.text, *added.parameters)
            self._lanes |= lanes
        statement = with_jobs(_ARRIVE, jobs)
        arrived = {record["id"] for record in await ask(statement.text, *statement.parameters)}
        if others := [job for job in jobs if job.id not in arrived]:
            self._lanes = set()
            refused = with_jobs(_REFUSE, others)
            await ask(refused.text, *refused.parameters)
            ids = [job.id for job in others]
            arrived |= {record["id"] for record in await ask(_KNOWN, ids, min(map(time_of, ids)) - _SKEW)}
        return arrived

    def _tell(self, error: Exception | None) -> None:
        if error is not None and not self._is_away:
            is_known = isinstance(error, EntresolError)
            log.warning("jobs wait in the outbox: %s", error, exc_info=None if is_known else error)
        elif error is None and self._is_away:
            log.warning("jobs are moved to the queue's cluster again")
        self._is_away = error is not None


def _job(record: Record) -> NewJob:
    values = dict(record)
    lane = Lane(*(values.pop(name) for name in Lane._fields))
    return NewJob(lane=lane, **{**values, "after": tuple(values["after"] or ())})
