"""A doctor, and servers of the module's own that tests may break and must mend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from entresol.app import load_model
from entresol.cli.folders import migration_folders
from entresol.clock import Clock
from entresol.config import Settings
from entresol.doctor.catalogue import chosen, findings
from entresol.doctor.facts import Asked, Facts, Fleet, gather
from entresol.doctor.finding import Finding, Severity
from entresol.doctor.host import Host
from entresol.embedded import EmbeddedServers
from entresol.embedded.polling import until
from entresol.schema.model import Model
from entresol.testing.servers import Database, Databases, Migrate, run

ROOT = Path(__file__).resolve().parents[3]
HOST = Host(files_soft=1 << 20, files_hard=1 << 20, processors=8)


@dataclass(slots=True)
class Patient:
    """A database with its cache, and how a doctor sees it."""

    database: Database
    model: Model
    settings: Settings
    host: Host = HOST
    clock: Clock = field(default_factory=Clock)

    @property
    def servers(self) -> EmbeddedServers:
        return self.database.servers

    async def facts(self, *, fleet: Fleet | None = None, deadline_s: float = 10.0, **settings: Any) -> Facts:
        changed = replace(self.settings, **settings)
        asked = Asked(changed, self.host, (), self.model, migration_folders(changed), fleet or Fleet())
        return await gather(asked, clock=self.clock, deadline_s=deadline_s)

    async def look(self, *only: str, **how: Any) -> list[Finding]:
        """Return what these checks find now."""
        return [finding for _, finding in findings(await self.facts(**how), chosen(only))]

    async def says(self, only: str, severity: Severity, text: str, **how: Any) -> bool:
        """Tell whether the check says such a thing now."""
        found = await self.look(only, **how)
        return any(
            one.severity is severity and text in f"{one.subject} {one.problem}" and one.why and one.remedy
            for one in found
        )

    async def psql(self, *statements: str) -> None:
        """Run statements on the primary, outside of any transaction."""
        for statement in statements:
            await self.database.psql(statement)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `holds()` is true: statistics come a moment late."""
        assert await until(holds, 20), "in vain"


@pytest.fixture(scope="module")
def own_servers(platform_settings: Settings) -> Iterator[EmbeddedServers]:
    """Give servers that no other module sees."""
    started = run(
        EmbeddedServers.start(
            replicas=1, postgres_bin=platform_settings.postgres_bin, redis_bin=platform_settings.redis_bin
        )
    )
    try:
        yield started
    finally:
        run(started.stop())


@pytest.fixture(scope="module")
def patient(own_servers: EmbeddedServers, migrate_database: Migrate) -> Patient:
    database = run(Databases(own_servers).create(migrate_database))
    settings = Settings(
        protos=str(ROOT / "protos"),
        migrations=str(ROOT / "migrations"),
        database_write=database.write_url,
        database_read=database.read_urls,
        cache_url=own_servers.cache_url,
        cache_prefix=database.name,
        relay_slot=database.name,
        relay_publication=database.name,
        token_keys=("a key that is long enough",),
    )
    return Patient(database, load_model(settings), settings)
