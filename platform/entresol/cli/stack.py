"""The whole platform on one machine: embedded servers, migrated, with a relay and a server in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from entresol.app import Platform, relaying
from entresol.cli.folders import migration_folders
from entresol.config import Settings
from entresol.embedded.servers import EmbeddedServers
from entresol.storage.migrate import Applied, migrate


@dataclass(frozen=True, slots=True)
class Stack:
    """What is running: the servers, the platform over them, and the address it answers at."""

    servers: EmbeddedServers
    settings: Settings
    platform: Platform
    address: str
    applied: list[Applied]


@asynccontextmanager
async def running(settings: Settings, folder: Path | None, *, replicas: int = 2) -> AsyncIterator[Stack]:
    """Start everything; stop it, in the opposite order, when the block ends.

    Data stay in `folder`, or are temporary without one.
    """
    async with await EmbeddedServers.start(
        folder,
        replicas=replicas,
        durable=True,
        postgres_bin=settings.postgres_bin,
        redis_bin=settings.redis_bin,
    ) as servers:
        settings = dataclasses.replace(
            settings,
            database_write=servers.write_url,
            database_read=servers.read_urls,
            cache_url=servers.cache_url,
        )
        applied = await migrate(settings.database_write, migration_folders(settings))
        async with relaying(settings), await Platform.open(settings) as platform:
            server = await platform.serve()
            host = settings.listen.rpartition(":")[0]
            yield Stack(servers, settings, platform, f"{host}:{server.port}", applied)
