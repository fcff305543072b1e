"""The queues of RabbitMQ that jobs wait in: quorum queues of ids alone, since all else is in the jobs' rows."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import aio_pika

from entresol.broker.connection import Channel, Message, translated

PREFIX = "entresol.jobs."
# Where messages go that are no job's, or that ended one consumer after the other. Jobs are not lost by it: each of them
# is published again for as long as its row says that it is ready.
DEAD = "entresol.dead"
DEAD_MAX = 10_000
DELIVERIES_MAX = 20
_QUEUE: dict[str, Any] = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERIES_MAX,
    "x-dead-letter-exchange": DEAD,
}
_DEAD_QUEUE: dict[str, Any] = {"x-queue-type": "quorum", "x-max-length": DEAD_MAX}


async def declare(channel: Channel, queue: str, timeout_s: float) -> aio_pika.abc.AbstractQueue:
    """Return the queue of RabbitMQ for a queue of jobs, made if it is not there."""
    with translated():
        async with asyncio.timeout(timeout_s):
            exchange = await channel.declare_exchange(DEAD, "fanout", durable=True)
            dead = await channel.declare_queue(DEAD, durable=True, arguments=_DEAD_QUEUE)
            await dead.bind(exchange)
            return await channel.declare_queue(PREFIX + queue, durable=True, arguments=_QUEUE)


async def publish(channel: Channel, queue: str, ids: Sequence[uuid.UUID], timeout_s: float) -> None:
    """Return when a majority of the broker's nodes has the ids on disk.

    Raises:
        BrokerUnavailableError: it is not known of all of them.
    """
    with translated():
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(
                *(
                    channel.default_exchange.publish(_message(id_), PREFIX + queue, mandatory=True)
                    for id_ in ids
                )
            )


async def depth(channel: Channel, queue: str, timeout_s: float) -> int:
    """Return how many messages no consumer has been given."""
    with translated():
        async with asyncio.timeout(timeout_s):
            found = await channel.declare_queue(PREFIX + queue, passive=True)
    return found.declaration_result.message_count or 0


def _message(id_: uuid.UUID) -> Message:
    return Message(b"", message_id=str(id_), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
