"""Fixtures for pytest: real servers for the session, a database and a cache of its own for every test.

Load it in the top conftest.py: `pytest_plugins = ["entresol.testing.plugin"]`. With pytest-xdist each worker has its
own servers. Nothing here is bound to an event loop, so any plugin for asynchronous tests will do.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.testing.servers import Database, Databases, Migrate

_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end in an event loop that no test will see."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """Give a primary, two replicas and Redis. A test that harms them starts its own."""
    settings = Settings.load()
    started = run(EmbeddedServers.start(postgres_bin=settings.postgres_bin, redis_bin=settings.redis_bin))
    try:
        yield started
    finally:
        run(started.stop())


@pytest.fixture(scope="session")
def migrate_database() -> Migrate:
    """Give what makes an empty database ready: the platform's migrations and those of `settings.migrations`.

    Override it for another schema, in scope `session`: each function that it returns gets a template.
    """
    # Here, so that tests without a database, or with a schema of their own, load none of this.
    from entresol.cli.folders import migration_folders
    from entresol.storage.migrate import migrate

    folders = migration_folders(Settings.load())

    async def apply(url: str) -> None:
        await migrate(url, folders)

    return apply


@pytest.fixture(scope="session")
def databases(servers: EmbeddedServers) -> Databases:
    """Give the maker of databases, for a test that needs more than one."""
    return Databases(servers)


@pytest.fixture
def database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    """Give a migrated database that is on every replica."""
    yield from _database(databases, migrate_database, replicated=True)


@pytest.fixture
def primary_database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    """Give a migrated database without waiting for the replicas."""
    yield from _database(databases, migrate_database, replicated=False)


@pytest.fixture(scope="session")
def cache_numbers() -> Iterator[int]:
    """Give the numbers of Redis's databases in turn, so that a late write of one test is not in the next.

    Number 0 is left to what the session shares.
    """
    return itertools.cycle(range(1, 16))


@pytest.fixture
def cache_url(servers: EmbeddedServers, cache_numbers: Iterator[int]) -> str:
    """Give the URL of an empty Redis database."""
    number = next(cache_numbers)
    run(servers.redis.command("FLUSHDB", database=number))
    return servers.redis.url(number)


def _database(databases: Databases, migrate: Migrate, *, replicated: bool) -> Iterator[Database]:
    made = run(databases.create(migrate, replicated=replicated))
    try:
        yield made
    finally:
        run(databases.drop(made))
