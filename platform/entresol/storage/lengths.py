"""How long queues are, as far as this process knows, so that who puts a job in is refused without asking anybody.

What others counted, a second or so ago, and what this process has put in since then. So a queue may become longer than
it should by what other processes put in meanwhile, and a process that has put nothing in for long lets in what comes
until it has looked. Nothing is counted while nobody puts anything in.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from entresol.errors import EntresolError, QueueFullError
from entresol.storage.catalog import read_query
from entresol.storage.pools import Pools
from entresol.storage.sqlstate import translated

if TYPE_CHECKING:
    from entresol.storage.new_jobs import NewJob

log = logging.getLogger(__name__)

LOOK_S = 1.0
IDLE_S = 10.0  # after which nobody looks any more
_COUNT = read_query("jobs/lengths")


class Lengths:
    """The lengths of a database's queues. One instance belongs to one event loop."""

    def __init__(
        self, pools: Pools, outside: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    ) -> None:
        self._pools = pools.queue
        self._outside = outside  # counts what has not arrived, while the queue cannot be counted
        self._known: dict[str, int] = {}
        self._next_time: datetime | None = None  # when it is to be counted again
        self._put: Counter[str] = Counter()  # by this process, since that was counted
        self._asked_s = 0.0  # when somebody last put something in
        self._looking: asyncio.Task[None] | None = None

    def admit(self, jobs: Iterable[NewJob]) -> None:
        """Note that jobs are put in.

        Raises:
            QueueFullError: one is too long already; none of them is noted.
        """
        new: Counter[str] = Counter()
        for job in jobs:
            queue, queue_max = job.lane.queue, job.queue_max
            new[queue] += 1
            if (
                queue_max is not None
                and self._known.get(queue, 0) + self._put[queue] + new[queue] > queue_max
            ):
                self._look_soon()
                raise QueueFullError(queue, queue_max)
        self._put += new
        self._look_soon()

    def _look_soon(self) -> None:
        self._asked_s = asyncio.get_running_loop().time()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_all(), name="entresol lengths")

    async def _look_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while loop.time() - self._asked_s < IDLE_S:
                try:
                    await self._look()
                except EntresolError as error:
                    log.info("queues could not be counted: %s", error.message)
                    self._forget()
                    await self._look_outside()
                await asyncio.sleep(LOOK_S)
        finally:
            self._forget()
            self._looking = None

    async def _look_outside(self) -> None:
        """Know what waits for the queue, where that is known beside it; else nobody is refused."""
        if self._outside is not None:
            with suppress(EntresolError):
                self._known = dict(await self._outside())

    def _forget(self) -> None:
        self._known, self._next_time = {}, None
        self._put.clear()

    async def _look(self) -> None:
        before = self._put.copy()
        deadline = self._pools.deadline(None)
        with translated({}):
            async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                records = await connection.fetch(_COUNT, timeout=deadline.left_s())
        (numbers, next_time) = records[0]
        if next_time != self._next_time:  # else nobody has counted since
            self._known, self._next_time = json.loads(numbers), next_time
            self._put -= before
