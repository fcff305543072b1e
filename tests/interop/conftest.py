"""A database for services that keep nothing in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from entresol.cli.folders import system_folder
from entresol.storage.migrate import migrate
from entresol.testing.servers import Database, Databases


@pytest.fixture(scope="session")
def system_database(databases: Databases) -> Iterator[Database]:
    async def ready(url: str) -> None:
        await migrate(url, [system_folder()])

    database = asyncio.run(databases.create(ready, replicated=False))
    yield database
    asyncio.run(databases.drop(database))
