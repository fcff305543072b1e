"""Consoles over real servers: of accounts, one of whose fields is hidden, and of the stories."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.console.browser import Browser

from entresol.app import Platform, load_model
from entresol.config import Settings
from entresol.service.registry import Registry
from entresol.testing.platforms import make_tables
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, run
from entresol.transport.admin.pages import pages_of
from entresol.transport.admin.server import Admin, AdminServer

PROTOS = Path(__file__).parent / "protos"
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Shown:
    """A platform, and a browser of its console."""

    running: RunningPlatform
    browser: Browser
    database: Database | None = None


@contextmanager
def shown(settings: Settings, functions: Registry | None = None, *, relay: bool = False) -> Iterator[Shown]:
    """Serve a platform and its admin port while the block lasts."""
    with RunningPlatform(settings, relay=relay, functions=functions) as running:
        server = running.run(_start(running.platform, settings))
        try:
            yield Shown(running, Browser(f"127.0.0.1:{server.port}"))
        finally:
            running.run(server.stop())


async def _start(platform: Platform, settings: Settings) -> AdminServer:
    admin = Admin(pages_of(platform.life, settings), platform.life.folders)
    server = AdminServer(admin, settings)
    await server.start()
    return server


def settings_of(database: Database, cache_url: str, **changes: Any) -> Settings:
    own: dict[str, Any] = {
        "protos": str(PROTOS),
        "listen": "127.0.0.1:0",
        "web_listen": "127.0.0.1:0",
        "admin_listen": "127.0.0.1:0",
        "console": "write",
        "database_write": database.write_url,
        "database_read": database.read_urls,
        "cache_url": cache_url,
        "cache_prefix": database.name,
        "relay_slot": database.name,
        "replica_poll_s": 0.02,
    }
    return dataclasses.replace(Settings(), **{**own, **changes})


@pytest.fixture(scope="session")
def accounts_database(databases: Databases) -> Iterator[Database]:
    async def ready(url: str) -> None:
        await make_tables(url, load_model(Settings.load({}, protos=str(PROTOS))))

    database = run(databases.create(ready))
    yield database
    run(databases.drop(database))


@pytest.fixture
def accounts(accounts_database: Database, cache_url: str) -> Iterator[Shown]:
    """Give a console that may write."""
    with shown(settings_of(accounts_database, cache_url), Registry()) as found:
        yield found


@pytest.fixture
def read_accounts(accounts_database: Database, cache_url: str) -> Iterator[Shown]:
    """Give a console that may only read."""
    with shown(settings_of(accounts_database, cache_url, console="read"), Registry()) as found:
        yield found


@pytest.fixture
def stories(database: Database, cache_url: str) -> Iterator[Shown]:
    """Give a console of the stories, with jobs and schedules, that may write."""
    settings = settings_of(database, cache_url, protos=str(ROOT / "protos"))
    with shown(settings) as found:
        found.database = database
        yield found
