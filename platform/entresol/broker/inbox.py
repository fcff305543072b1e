"""What RabbitMQ delivers to one worker: ids of jobs, never more than it can run at once."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aio_pika

from entresol.broker.connection import open_channel, translated
from entresol.broker.queues import declare
from entresol.errors import BrokerUnavailableError

log = logging.getLogger(__name__)

AGAIN_S = 0.5
# A consumer that leaves a message unacknowledged for half an hour is cut off, by default; a job may take longer, and
# once it is claimed its row keeps it.
HELD_S_MAX = 900.0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A job's id, as it was delivered."""

    id: uuid.UUID
    message: aio_pika.abc.AbstractIncomingMessage


class Inbox:
    """Consumes the queues while `run` does. What is not acknowledged is delivered again, here or elsewhere."""

    def __init__(self, urls: Sequence[str], queues: Sequence[str], room: int, timeout_s: float) -> None:
        self._urls = urls
        self._queues = queues
        self._prefetch = -(-room // len(queues))
        self._timeout_s = timeout_s
        self._waiting: deque[Delivery] = deque()

    async def run(self, stirred: Callable[[], None]) -> None:
        """Consume for ever, and call `stirred` when there is something; while the broker is away there is not."""
        is_told = False
        while True:
            try:
                async with open_channel(self._urls, self._timeout_s) as channel:
                    log.log(logging.WARNING if is_told else logging.INFO, "RabbitMQ delivers jobs")
                    is_told = False
                    await self._consume(channel, stirred)
                raise BrokerUnavailableError("RabbitMQ: the connection ended")
            except BrokerUnavailableError as error:
                if not is_told:
                    log.warning("no jobs are delivered, and it is tried again: %s", error.message)
                is_told = True
            finally:
                self._waiting.clear()  # they are delivered again
            await asyncio.sleep(AGAIN_S)

    def take(self, room: int) -> list[Delivery]:
        """Return what was delivered, at most so much."""
        return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]

    def give_back(self, deliveries: Iterable[Delivery]) -> None:
        """Let what was taken be taken again."""
        self._waiting.extendleft(reversed([*deliveries]))

    async def acknowledge(self, delivery: Delivery) -> None:
        """Let the broker forget a delivery; when its connection has ended, it has done so already."""
        if not delivery.message.processed:
            with suppress(BrokerUnavailableError), translated():
                async with asyncio.timeout(self._timeout_s):
                    await delivery.message.ack()

    async def _consume(self, channel: aio_pika.abc.AbstractChannel, stirred: Callable[[], None]) -> None:
        async def take(message: aio_pika.abc.AbstractIncomingMessage) -> None:
            try:
                self._waiting.append(Delivery(uuid.UUID(message.message_id or ""), message))
            except ValueError:
                log.warning("a message that is no job's goes to the dead letters: %r", message.message_id)
                await message.reject(requeue=False)
            else:
                stirred()

        with translated():
            async with asyncio.timeout(self._timeout_s):
                await channel.set_qos(self._prefetch)
        for name in self._queues:
            queue = await declare(channel, name, self._timeout_s)
            with translated():
                async with asyncio.timeout(self._timeout_s):
                    await queue.consume(take)
        with translated():
            await channel.closed()
