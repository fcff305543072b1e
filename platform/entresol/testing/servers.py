"""Databases for single tests: a template is migrated once, and each test gets a copy of it within some 50 ms."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from entresol.embedded import EmbeddedServers
from entresol.embedded.postgres import MARK

# Makes an empty database, given by the URL of the primary, ready for tests.
Migrate = Callable[[str], Awaitable[object]]
_T = TypeVar("_T")


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run `work` to its end in an event loop that no test will see."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, work).result()


@dataclass(frozen=True, slots=True)
class Database:
    """A database of its own on servers that are shared."""

    servers: EmbeddedServers
    name: str

    @property
    def write_url(self) -> str:
        """Return its URL on the primary."""
        return self.servers.primary.url(self.name)

    @property
    def read_urls(self) -> tuple[str, ...]:
        """Return its URL on each replica."""
        return tuple(replica.url(self.name) for replica in self.servers.replicas)

    async def psql(self, sql: str) -> str:
        """Run statements on the primary, each a transaction of its own; rows are lines of `|`-separated values."""
        return await self.servers.psql(sql, database=self.name)

    async def settle(self) -> None:
        """Return when every replica has replayed all that is committed."""
        await self.servers.settle()


class Databases:
    """Makes and drops the databases of one set of servers; bound to no event loop."""

    def __init__(self, servers: EmbeddedServers) -> None:
        self._servers = servers
        self._numbers = itertools.count(1)
        self._templates: dict[Migrate, str] = {}

    async def create(self, migrate: Migrate, *, replicated: bool = True) -> Database:
        """Return a new database that `migrate` made ready; it runs once, and every other call copies its work.

        A `replicated` database is on every replica when this returns.
        """
        template = await self._template(migrate)
        name = f"test_{next(self._numbers)}"
        # Copying files beats copying pages through the log; before version 15 it was the only way.
        strategy = " STRATEGY FILE_COPY" if self._servers.primary.version >= 15 else ""
        position = await self._run(f"CREATE DATABASE {name} TEMPLATE {template}{strategy};\n{MARK}")
        if replicated:
            await self._servers.replayed(int(position))
        return Database(self._servers, name)

    async def drop(self, database: Database) -> None:
        """Remove the database, and whatever is connected to it, and its replication slots."""
        name = database.name
        await self._run(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots "  # noqa: S608 (our name)
            f"WHERE database = '{name}' AND active;\n"
            f"DROP DATABASE {name} WITH (FORCE)"
        )

    async def _template(self, migrate: Migrate) -> str:
        if migrate not in self._templates:
            name = f"template_{len(self._templates) + 1}"
            await self._run(f"CREATE DATABASE {name}")
            await migrate(self._servers.primary.url(name))
            self._templates[migrate] = name
        return self._templates[migrate]

    async def _run(self, sql: str) -> str:
        return await self._servers.psql(sql, database="postgres")
