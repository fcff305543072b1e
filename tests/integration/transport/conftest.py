"""One platform for each transport, with a service whose calls come in every shape; and one of stories for the web."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.transport.web import Web
from tests.integration.transport.wire import PROTOS, SERVICE, registry

from entresol.cli.folders import system_folder
from entresol.config import Settings
from entresol.storage.migrate import migrate
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate

ROOT = Path(__file__).resolve().parents[3]
TRANSPORTS = ("grpcio", "http2")


@dataclass
class Wire:
    """A running platform of one transport."""

    transport: str
    running: RunningPlatform
    ended: Counter[str] = field(default_factory=Counter)

    @property
    def address(self) -> str:
        return self.running.address

    @property
    def calls(self) -> int:
        """Return how many calls run now."""
        return self.ended["begun"] - sum(self.ended[how] for how in ("done", "failed", "cancelled"))


@pytest.fixture(scope="session")
def wire_database(databases: Databases) -> Iterator[Database]:
    async def ready(url: str) -> None:
        await migrate(url, [system_folder()])

    database = asyncio.run(databases.create(ready, replicated=False))
    yield database
    asyncio.run(databases.drop(database))


def wire_settings(database: Database, transport: str, **changes: Any) -> Settings:
    return Settings.load(
        {},
        protos=str(PROTOS),
        listen="127.0.0.1:0",
        database_write=database.write_url,
        transport=transport,
        **{"drain_s": 1.0, **changes},
    )


@pytest.fixture(scope="session", params=TRANSPORTS)
def wire(request: pytest.FixtureRequest, wire_database: Database) -> Iterator[Wire]:
    """Give a platform of each transport in turn."""
    ended: Counter[str] = Counter()
    with RunningPlatform(wire_settings(wire_database, request.param), functions=registry(ended)) as running:
        yield Wire(request.param, running, ended)


@pytest.fixture
def channel(wire: Wire) -> Iterator[grpc.Channel]:
    """Give a connection of its own to the platform."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    with grpc.insecure_channel(wire.address, options=options) as channel:
        yield channel


def path(name: str) -> str:
    return f"/{SERVICE}/{name}"


@pytest.fixture(scope="session")
def web(databases: Databases, migrate_database: Migrate) -> Iterator[Web]:
    """Give a platform of stories with the web's port, and an author of stories."""
    database: Database = asyncio.run(databases.create(migrate_database, replicated=True))
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
        web_origins=("https://news.example",),
        database_write=database.write_url,
        database_read=database.read_urls,
        cache_url=database.servers.cache_url,
        cache_prefix="web",
        relay_slot="web",
        relay_tick_s=0.02,
    )
    with RunningPlatform(settings) as running:
        web = Web(running)
        user = web.send("POST", "/v1/users?user_id=web-ann", {"displayName": "Ann"})
        assert user.status == 200, user
        web.author = user.json["name"]
        yield web
    asyncio.run(databases.drop(database))
