"""Everything that checks look at, gathered once and at the same time: a server that is silent holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from entresol.cache.examination import CacheExamination
from entresol.cache.examination import examine as examine_cache
from entresol.clock import Clock
from entresol.config import Settings, UnknownVariable
from entresol.doctor.host import Host
from entresol.errors import EntresolError
from entresol.schema.model import Model
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import Catalog, read_catalog
from entresol.storage.connections import Address, addresses
from entresol.storage.examination import Examination, examine
from entresol.storage.migrate import MigrationState, status
from entresol.storage.sqlstate import DRIVER_ERRORS

# What may be silent beside the servers of the database.
CACHE, PROTOS, TABLES, MIGRATIONS = "cache", "protos", "tables", "migrations"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fleet:
    """How many processes there are of each kind, which no server can tell."""

    servers: int = 1
    processes: int = 1  # of each server: its --workers
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Silent:
    """What could not be looked at, and why."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be looked at, and by whom it is used."""

    settings: Settings
    host: Host
    unknown: Sequence[UnknownVariable] = ()
    model: Model | None = None
    folders: Sequence[Path] = ()  # of migrations
    fleet: Fleet = Fleet()


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. What is missing was not there to be asked, or is among the `silent`."""

    asked: Asked
    writers: Sequence[Examination] = ()  # the servers of the write URL
    readers: Sequence[Examination] = ()  # those of the read URLs
    queues: Sequence[Examination] = ()  # those of the URL of the queue's own cluster
    caches: Sequence[CacheExamination] = ()  # every server of it that has keys
    catalog: Catalog | None = None
    migrations: Sequence[MigrationState] = ()
    silent: Sequence[Silent] = field(default=())

    @property
    def settings(self) -> Settings:
        """Return the settings."""
        return self.asked.settings

    @property
    def primary(self) -> Examination | None:
        """Return the server that accepts writes, if it answered."""
        return next((server for server in self.writers if not server.instance.in_recovery), None)

    @property
    def queue(self) -> Examination | None:
        """Return the server that has the queue, if it answered."""
        if not self.settings.database_jobs:
            return self.primary
        return next((server for server in self.queues if not server.instance.in_recovery), None)

    @property
    def databases(self) -> Sequence[Examination]:
        """Return every server of the database that answered, each once."""
        return list({server.address: server for server in (*self.writers, *self.readers)}.values())


async def gather(asked: Asked, *, clock: Clock, deadline_s: float = 10.0) -> Facts:
    """Ask everything at once, and wait `deadline_s` for the slowest."""
    silent: list[Silent] = []
    settings = asked.settings

    async def told(subject: str, ask: Callable[[], Awaitable[_T]]) -> _T | None:
        try:
            async with asyncio.timeout(deadline_s):
                return await ask()
        except TimeoutError:
            silent.append(Silent(subject, f"no answer within {deadline_s:g} s"))
        except (*DRIVER_ERRORS, EntresolError) as error:
            text = error.message if isinstance(error, EntresolError) else str(error)
            silent.append(Silent(subject, text or type(error).__name__))
        return None

    def look(url: str, address: Address) -> Awaitable[Examination | None]:
        return told(f"database {address}", lambda: examine(url, address, settings, clock))

    async def look_at(urls: Sequence[str]) -> list[Examination]:
        places = dict.fromkeys((url, address) for url in urls for address in addresses(url))
        found = await asyncio.gather(*(look(url, address) for url, address in places))
        return [server for server in found if server is not None]

    async def look_at_cache() -> list[CacheExamination]:
        if not settings.cache_url:
            return []
        return await told(CACHE, lambda: examine_cache(settings, clock, deadline_s)) or []

    writers, readers, queues, caches, catalog, migrations = await asyncio.gather(
        look_at([settings.database_write]),
        look_at([*settings.database_read, *filter(None, [settings.database_analytics])]),
        look_at([*filter(None, [settings.database_jobs])]),
        look_at_cache(),
        told(TABLES, lambda: _catalog(settings)),
        told(MIGRATIONS, lambda: _migrations(asked)),
    )
    echoless = _without_echoes(silent, writers)
    return Facts(asked, writers, readers, queues, caches, catalog, migrations or (), echoless)


async def _migrations(asked: Asked) -> list[MigrationState]:
    """Return the migrations as they are, and the platform's own as they are in the cluster of the queue."""
    states = await status(asked.settings.database_write, asked.folders)
    if asked.settings.database_jobs:
        system = asked.folders[0]
        states += [
            replace(state, folder=f"database_jobs: {state.folder}")
            for state in await status(asked.settings.database_jobs, [system])
            if state.folder == system.name
        ]
    return states


async def _catalog(settings: Settings) -> Catalog:
    async with connect_primary(settings.database_write) as connection:
        return await read_catalog(connection)


def _without_echoes(silent: Sequence[Silent], writers: Sequence[Examination]) -> list[Silent]:
    """Leave out what could not be read because there is no primary, which is told of itself."""
    if any(not server.instance.in_recovery for server in writers):
        return list(silent)
    return [one for one in silent if one.subject not in (TABLES, MIGRATIONS)]
