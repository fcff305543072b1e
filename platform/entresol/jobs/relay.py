"""The relay of jobs: what is ready is told to RabbitMQ, some ahead of the workers; the rows remain the truth.

A row is marked, then its id is published. Whoever dies between the two, or with a message, leaves a mark that grows
old, and the job is relayed again; a message that comes twice claims nothing the second time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from entresol import telemetry
from entresol.broker.connection import Channel, check_named, open_channel
from entresol.broker.queues import declare, depth, publish
from entresol.config import Settings
from entresol.errors import EntresolError
from entresol.jobs.shares import shares
from entresol.storage.jobs import Jobs
from entresol.storage.placement import jobs_of
from entresol.storage.pools import Pools
from entresol.storage.wakeups import listen

log = logging.getLogger(__name__)

CROWDED_S = 0.05  # until a queue that has as many ahead as it may is looked at again
LATE_S = 1.0  # between two looks for jobs that were relayed long ago
PAUSE_S = 0.5


@asynccontextmanager
async def open_job_relay(settings: Settings, queues: Sequence[str]) -> AsyncIterator[JobRelay]:
    """Give the relay of these queues; its `run` makes what it needs in RabbitMQ.

    Raises:
        ConfigurationError: no RabbitMQ is named, or the database cannot work.
    """
    check_named(settings.rabbitmq_urls)
    pools = await Pools.open(settings)
    try:
        yield JobRelay(jobs_of(pools), queues, settings)
    finally:
        await pools.close()


class JobRelay:
    """Relays the ready jobs of some queues until cancelled. Several may do so for one queue."""

    def __init__(self, jobs: Jobs, queues: Sequence[str], settings: Settings) -> None:
        self._jobs = jobs
        self._queues = queues
        self._settings = settings
        self._urls = settings.rabbitmq_urls
        self._timeout_s = settings.rabbitmq_timeout_s
        self._floors: dict[str, dict[int, int]] = {}
        self._floors_s = 0.0  # when they were forgotten
        self._late_s = 0.0
        self._turn = 0
        self._stirred = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled; what fails is logged once and tried again."""
        hearing = asyncio.create_task(listen(self._settings.queue_url, self._stirred.set))
        is_told = False
        try:
            while True:
                try:
                    async with open_channel(self._urls, self._timeout_s) as channel:
                        for queue in self._queues:
                            await declare(channel, queue, self._timeout_s)
                        log.log(logging.WARNING if is_told else logging.INFO, "jobs are relayed")
                        is_told = False
                        await self._follow(channel)
                except EntresolError as error:
                    if not is_told:
                        log.warning("no jobs are relayed, and it is tried again: %s", error.message)
                    is_told = True
                await asyncio.sleep(PAUSE_S)
        finally:
            hearing.cancel()

    async def _follow(self, channel: Channel) -> None:
        while True:
            self._stirred.clear()
            await self._look_for_late(channel)
            moved = [await self._relay(channel, queue) for queue in self._queues]
            if None in moved:
                await asyncio.sleep(CROWDED_S)
            elif not any(moved):
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stirred.wait(), self._settings.jobs_poll_s)

    async def _relay(self, channel: Channel, queue: str) -> int | None:
        """Relay what a queue has room for, and return how many jobs; None where there are more."""
        room = self._settings.jobs_relay_ahead - await self._jobs.relayed(queue)
        lanes = await self._jobs.survey_relay(queue, self._floors.get(queue, {}))
        self._floors[queue] = {lane.id: lane.floor for lane in lanes}
        if room <= 0:
            return None if any(lane.has_jobs for lane in lanes) else 0
        wanted = shares(lanes, room, self._turn)
        if not wanted:
            return 0
        self._turn += 1
        ids = await self._jobs.relay(wanted)
        try:
            await publish(channel, queue, ids, self._timeout_s)
        except BaseException:
            # Those that arrived nevertheless come twice. When not even this is heard, the marks grow old.
            await self._jobs.undo_relay(ids)
            raise
        telemetry.JOBS_RELAYED.add(len(ids), {telemetry.QUEUE: queue})
        return len(ids)

    async def _look_for_late(self, channel: Channel) -> None:
        """Let be relayed again what has not begun for long: its message is lost, or with a worker that has no room.

        Where as many messages wait as there may be twice over, none of them is taken to be lost: so their number is
        bounded however long workers are busy.
        """
        now_s, again_s = time.monotonic(), self._settings.jobs_relay_again_s
        if now_s - self._late_s < min(LATE_S, again_s):
            return
        self._late_s = now_s
        for queue in self._queues:
            if await depth(channel, queue, self._timeout_s) >= 2 * self._settings.jobs_relay_ahead:
                continue
            if late := await self._jobs.relay_again(queue, again_s):
                log.info(
                    "%d jobs of queue %s were relayed, have not begun, and are relayed again", late, queue
                )
                telemetry.JOBS_RELAYED_AGAIN.add(late, {telemetry.QUEUE: queue})
                self._floors.pop(queue, None)
        if now_s - self._floors_s > again_s:  # what another relay found late is below the floors of this one
            self._floors_s, self._floors = now_s, {}
