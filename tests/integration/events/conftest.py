"""A shelf whose books are published, and one who listens to everything that is."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.rabbitmq import RabbitMQ

from entresol.app import load_model
from entresol.broker.connection import Channel, open_channel
from entresol.config import Settings, environment_with
from entresol.embedded.polling import until
from entresol.testing.platforms import make_tables
from entresol.testing.servers import Database, Databases, run

HERE = Path(__file__).parent
TIMEOUT_S = 5.0
QUEUE = "everything"
PREFIX = "cloudEvents_"


@dataclasses.dataclass(frozen=True)
class Heard:
    """An event as a listener has it."""

    attributes: dict[str, str]
    data: Any

    @property
    def what(self) -> str:
        return self.attributes["type"].rpartition(".")[2]


@dataclasses.dataclass
class Shelf:
    """The database, and RabbitMQ with a queue that all events come to."""

    database: Database
    broker: RabbitMQ
    heard: list[Heard] = dataclasses.field(default_factory=list)

    @contextmanager
    def publisher(self) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "entresol.cli.main", "publish"],
            env=environment_with(
                protos=str(HERE / "protos"),
                database_write=self.database.write_url,
                rabbitmq_urls=self.broker.url,
                rabbitmq_timeout_s="2",
            ),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "publishing\n"
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        async with open_channel([self.broker.url], TIMEOUT_S) as channel:
            yield channel

    async def bind(self) -> None:
        """Make the listener's queue, empty."""
        async with self.channel() as channel:
            exchange = await channel.declare_exchange("entresol.events", "topic", durable=True)
            queue = await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
            await queue.bind(exchange, "#")
            await queue.purge()

    async def listen(self) -> None:
        """Take what has come."""
        async with self.channel() as channel:
            queue = await channel.declare_queue(QUEUE, passive=True)
            while message := await queue.get(fail=False, timeout=TIMEOUT_S):
                attributes = {
                    name.removeprefix(PREFIX): str(value)
                    for name, value in message.headers.items()
                    if name.startswith(PREFIX)
                }
                assert message.message_id == attributes["id"]
                assert message.routing_key == attributes["type"]
                assert message.content_type == ("application/json" if message.body else None)
                self.heard.append(Heard(attributes, json.loads(message.body or "null")))
                await message.ack()

    async def until(self, holds: Any, timeout_s: float = 20.0) -> None:
        """Listen until something holds."""

        async def held() -> bool:
            await self.listen()
            return bool(holds())

        assert await until(held, timeout_s), self.heard[-5:]

    async def begun(self) -> None:
        """Wait until the slot is there: what was committed before is nobody's."""

        async def has_slot() -> bool:
            return await self.database.psql(SLOT) == "1"

        assert await until(has_slot, 20.0)
        await self.until(lambda: any(one.what == "reset" for one in self.heard))
        self.heard.clear()


SLOT = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'entresol_events' AND active"


@pytest.fixture(scope="session")
def broker() -> Iterator[RabbitMQ]:
    server = run(RabbitMQ.open())
    yield server
    run(server.close())


@pytest.fixture
async def shelf(databases: Databases, broker: RabbitMQ) -> AsyncIterator[Shelf]:
    model = load_model(Settings.load({}, protos=str(HERE / "protos")))

    async def ready(url: str) -> None:
        await make_tables(url, model)

    database = await databases.create(ready, replicated=False)
    try:
        await broker.start()
        found = Shelf(database, broker)
        await found.bind()
        yield found
    finally:
        await database.psql(DROP_SLOT)
        await databases.drop(database)


DROP_SLOT = (
    "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'entresol_events' AND active;"
    "SELECT pg_sleep(0.2); SELECT pg_drop_replication_slot('entresol_events') FROM pg_replication_slots "
    "WHERE slot_name = 'entresol_events'"
)
