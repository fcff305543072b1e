"""A running platform over the stories protos, shared by the tests of this folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Databases, Migrate
from entresol.transport.caller import Caller

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def stories(
    servers: EmbeddedServers, databases: Databases, migrate_database: Migrate
) -> Iterator[RunningPlatform]:
    database = asyncio.run(databases.create(migrate_database, replicated=True))
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        listen="127.0.0.1:0",
        database_write=database.write_url,
        database_read=database.read_urls,
        cache_url=servers.cache_url,
        cache_prefix="stories",
        relay_slot="stories",
    )
    with RunningPlatform(settings) as running:
        yield running
    asyncio.run(databases.drop(database))


@pytest.fixture
def caller(stories: RunningPlatform) -> Iterator[Caller]:
    with Caller(stories.address) as caller:
        yield caller
