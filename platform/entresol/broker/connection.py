"""A channel to RabbitMQ on which every step has a deadline: a broker that is frozen is one that is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress

from entresol.errors import BrokerUnavailableError, ConfigurationError

try:
    import aio_pika
except ModuleNotFoundError as missing:
    raise ConfigurationError("RabbitMQ needs aio-pika: install entresol[rabbitmq]") from missing

# They tell of every try to connect, as an error; here it is told once.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)
logging.getLogger("aio_pika").setLevel(logging.CRITICAL)

Channel = aio_pika.abc.AbstractChannel
Message = aio_pika.Message

HEARTBEAT_S = 10
_ERRORS = (
    aio_pika.exceptions.AMQPError,
    aio_pika.exceptions.ChannelInvalidStateError,
    asyncio.InvalidStateError,
    OSError,
    TimeoutError,
)


def check_named(urls: Sequence[str]) -> None:
    """Raise ConfigurationError if nobody says where RabbitMQ is."""
    if not urls:
        raise ConfigurationError("there is no RabbitMQ: set ENTRESOL_RABBITMQ_URLS")


@contextmanager
def translated() -> Iterator[None]:
    """Turn whatever the broker, the way to it or a deadline raises into BrokerUnavailableError."""
    try:
        yield
    except _ERRORS as error:
        raise BrokerUnavailableError(f"RabbitMQ: {error or type(error).__name__}") from error
    except asyncio.CancelledError:
        # The library cancels what waits for an answer when its connection ends.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerUnavailableError("RabbitMQ: the connection ended") from None


@asynccontextmanager
async def open_channel(urls: Sequence[str], timeout_s: float) -> AsyncIterator[Channel]:
    """Give a channel, with publisher confirms, of the first node that answers.

    Raises:
        BrokerUnavailableError: none does.
    """
    connection = await _connect(urls, timeout_s)
    try:
        with translated():
            async with asyncio.timeout(timeout_s):
                channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        yield channel
    finally:
        with suppress(BrokerUnavailableError), translated():
            async with asyncio.timeout(timeout_s):
                await connection.close()


async def _connect(urls: Sequence[str], timeout_s: float) -> aio_pika.abc.AbstractConnection:
    problems: list[str] = []
    for url in urls:
        try:
            with translated():
                async with asyncio.timeout(timeout_s):
                    return await aio_pika.connect(url, timeout=timeout_s, heartbeat=HEARTBEAT_S)
        except BrokerUnavailableError as error:
            problems.append(error.message)
    raise BrokerUnavailableError("; ".join(problems))
