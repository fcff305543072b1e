"""The topic exchange that events go to: listeners bind queues of their own by the events' types."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

import aio_pika

from entresol.broker.connection import Channel, Message, translated


class Outgoing(Protocol):
    """What is published."""

    @property
    def id(self) -> str:
        """Return what is the same when it comes twice."""

    @property
    def type(self) -> str:
        """Return the routing key."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the message's headers."""

    @property
    def data(self) -> bytes:
        """Return the body, JSON."""


class Topics:
    """Publishes in order. What no queue is bound for is dropped, which is the listeners' choice."""

    def __init__(self, channel: Channel, exchange: str, timeout_s: float) -> None:
        self._channel = channel
        self._name = exchange
        self._timeout_s = timeout_s

    async def declare(self) -> None:
        """Make the exchange if it is not there."""
        with translated():
            async with asyncio.timeout(self._timeout_s):
                self._exchange = await self._channel.declare_exchange(self._name, "topic", durable=True)

    async def publish(self, events: Sequence[Outgoing]) -> None:
        """Return when the broker is responsible for all of them.

        Raises:
            BrokerUnavailableError: it is not known of all; those that arrived come again.
        """
        with translated():
            async with asyncio.timeout(self._timeout_s):
                await asyncio.gather(
                    *(
                        self._exchange.publish(_message(event), event.type, mandatory=False)
                        for event in events
                    )
                )


def _message(event: Outgoing) -> Message:
    return Message(
        event.data,
        headers={**event.headers},
        content_type="application/json" if event.data else None,
        message_id=event.id,
        type=event.type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
