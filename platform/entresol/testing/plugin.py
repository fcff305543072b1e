"""Fixtures for pytest: real servers for the session, a database and a cache of its own for every test.

Load it in the top conftest.py: `pytest_plugins = ["entresol.testing.plugin"]`. With pytest-xdist each worker has its
own servers. Nothing here is bound to an event loop, so any plugin for asynchronous tests will do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.testing.servers import Database, Databases, Migrate, run

if TYPE_CHECKING:
    from entresol.testing.platforms import Platforms, ServedPlatform


@pytest.fixture(scope="session")
def platform_settings() -> Settings:
    """Give the settings of the environment, by which all fixtures here go: where the protos are, and the rest.

    Override it for others, in scope `session`.
    """
    return Settings.load()


@pytest.fixture(scope="session")
def servers(platform_settings: Settings) -> Iterator[EmbeddedServers]:
    """Give a primary, two replicas and Redis. A test that harms them starts its own."""
    settings = platform_settings
    started = run(EmbeddedServers.start(postgres_bin=settings.postgres_bin, redis_bin=settings.redis_bin))
    try:
        yield started
    finally:
        run(started.stop())


@pytest.fixture(scope="session")
def migrate_database(platform_settings: Settings) -> Migrate:
    """Give what makes an empty database ready: the migrations, or before any is written what the protos ask for.

    Override it for another schema, in scope `session`: each function that it returns gets a template.
    """
    # Here, so that tests without a database, or with a schema of their own, load none of this.
    from entresol.testing.platforms import ready_for

    return ready_for(platform_settings)


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


@pytest.fixture(scope="session")
def platforms(
    platform_settings: Settings,
    databases: Databases,
    migrate_database: Migrate,
    cache_numbers: Iterator[int],
) -> Platforms:
    """Give what serves platforms: for a fixture of another scope, or a test with settings of its own."""
    from entresol.testing.platforms import Platforms

    return Platforms(platform_settings, databases, migrate_database, cache_numbers)


@pytest.fixture
def platform(platforms: Platforms) -> Iterator[ServedPlatform]:
    """Give the protos and their functions, served over stores of the test's own; jobs wait for its `working`."""
    with platforms.serve() as served:
        yield served


def _database(databases: Databases, migrate: Migrate, *, replicated: bool) -> Iterator[Database]:
    made = run(databases.create(migrate, replicated=replicated))
    try:
        yield made
    finally:
        run(databases.drop(made))
