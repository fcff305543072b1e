"""Jobs that RabbitMQ brings to a worker: each is claimed by its id, and whoever claims nothing was told twice."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence

from entresol.broker.connection import check_named
from entresol.broker.inbox import HELD_S_MAX, Delivery, Inbox
from entresol.config import Settings
from entresol.storage.jobs import Attempt, Claimed, Jobs


class Relayed:
    """What one worker is delivered, and acknowledges when the attempt is over: it never has more than it can run."""

    def __init__(self, jobs: Jobs, kinds: Sequence[str], queues: Sequence[str], settings: Settings) -> None:
        self._jobs = jobs
        self._kinds = kinds
        check_named(settings.rabbitmq_urls)
        urls, room = settings.rabbitmq_urls, settings.jobs_concurrency
        self._inbox = Inbox(urls, queues, room, settings.rabbitmq_timeout_s)
        self._held: dict[Attempt, tuple[Delivery, asyncio.TimerHandle]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stirred: Callable[[], None]) -> None:
        """Receive for ever, and call `stirred` when there may be something to claim."""
        await self._inbox.run(stirred)

    async def claim(self, worker: uuid.UUID, room: int) -> list[Claimed]:
        """Claim what was delivered, at most so much."""
        deliveries = self._inbox.take(room)
        if not deliveries:
            return []
        by_id = {delivery.id: delivery for delivery in deliveries}
        try:
            claimed = await self._jobs.claim_relayed(worker, [*by_id], self._kinds)
        except BaseException:
            self._inbox.give_back(deliveries)
            raise
        loop = asyncio.get_running_loop()
        for one in claimed:
            delivery = by_id[one.attempt.id]
            timer = loop.call_later(HELD_S_MAX, self._acknowledge, delivery)
            self._held[one.attempt] = (delivery, timer)
        begun = {id(held) for held, _ in self._held.values()}
        for delivery in deliveries:
            if id(delivery) not in begun:
                self._acknowledge(delivery)
        return claimed

    def over(self, attempt: Attempt) -> None:
        """Let the broker send another job in place of this one."""
        if attempt in self._held:
            delivery, timer = self._held.pop(attempt)
            timer.cancel()
            self._acknowledge(delivery)

    def _acknowledge(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._inbox.acknowledge(delivery), name="entresol acknowledgement")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
