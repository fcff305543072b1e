"""A server that starts while the primary is away: reads go on, and a database that is not ready is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from entresol.app import Platform
from entresol.cli.folders import migration_folders
from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers
from entresol.errors import ConfigurationError, StoreUnavailableError
from entresol.storage.migrate import migrate

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
async def servers() -> AsyncIterator[EmbeddedServers]:
    async with await EmbeddedServers.start(replicas=1, cache=CacheKind.NONE) as started:
        yield started


def settings_of(servers: EmbeddedServers) -> Settings:
    return Settings(
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        migrations=str(ROOT / "migrations"),
        database_write=servers.write_url,
        database_read=servers.read_urls,
    )


async def test_a_server_starts_on_a_replica_and_reads_there(servers: EmbeddedServers) -> None:
    settings = settings_of(servers)
    await migrate(servers.write_url, migration_folders(settings))
    await servers.primary.psql("INSERT INTO users (name, display_name) VALUES ('users/ann', 'Ann')")
    await servers.settle()
    await servers.primary.kill()
    async with await Platform.open(settings) as platform:
        users = platform.records.model.resources["stories.entresol.dev/User"]
        found = await platform.records.get_one(users, "users/ann")
        assert found.message is not None
        assert found.answered_by.startswith("replica:")
        with pytest.raises(StoreUnavailableError):
            async with platform.records.transaction():
                pass


async def test_tables_that_are_missing_are_seen_on_a_replica_too(servers: EmbeddedServers) -> None:
    await servers.settle()
    await servers.primary.kill()
    with pytest.raises(ConfigurationError, match="entresol migrate"):
        await Platform.open(settings_of(servers))
