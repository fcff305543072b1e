"""The whole platform on one machine: embedded stores, migrated, with relay, server and worker in this process."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from entresol.app import Platform, load_model, relaying, working
from entresol.cli.folders import migration_folders
from entresol.cli.run import living
from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers, PatroniPrograms
from entresol.embedded.redis_sets import PRIMARIES
from entresol.schema.model import Model
from entresol.storage.check import Lacks, check_schema
from entresol.storage.migrate import migrate


@dataclass(frozen=True, slots=True)
class Stores:
    """PostgreSQL and Redis, running and migrated. `lacks` is what the protos need and the database has not yet."""

    servers: EmbeddedServers
    settings: Settings
    model: Model
    lacks: Lacks


@dataclass(frozen=True, slots=True)
class Stack:
    """What is running: the servers, the platform over them, and where it answers by gRPC and to the web."""

    servers: EmbeddedServers
    settings: Settings
    platform: Platform
    address: str
    web_address: str
    admin_address: str


@asynccontextmanager
async def stores(
    settings: Settings,
    folder: Path | None,
    *,
    replicas: int = 2,
    cache: CacheKind = CacheKind.SERVER,
    patroni: PatroniPrograms | None = None,
) -> AsyncIterator[Stores]:
    """Start the stores and apply what migrations there are; stop them when the block ends.

    Data stay in `folder`, or are temporary without one.
    """
    async with await EmbeddedServers.start(
        folder,
        replicas=replicas,
        cache=cache,
        patroni=patroni,
        durable=True,
        counting=True,
        postgres_bin=settings.postgres_bin,
        redis_bin=settings.redis_bin,
    ) as servers:
        settings = dataclasses.replace(
            settings,
            database_write=servers.write_url,
            database_read=servers.read_urls,
            cache_url=servers.cache_url,
            cache_partitions=_partitions(settings, cache),
        )
        await migrate(settings.database_write, migration_folders(settings))
        model = load_model(settings)
        yield Stores(servers, settings, model, await check_schema(settings.database_write, model))


def _partitions(settings: Settings, cache: CacheKind) -> int:
    """Return how many partitions the cache has: of a cluster, some for each server, where nobody says how many."""
    is_default = settings.cache_partitions == Settings().cache_partitions
    return 4 * PRIMARIES if cache is CacheKind.CLUSTER and is_default else settings.cache_partitions


@asynccontextmanager
async def serving(stores: Stores) -> AsyncIterator[Stack]:
    """Run the relay, the server, and a worker of all queues, over the stores while the block lasts."""
    settings = stores.settings
    async with (
        living(settings, "up", say=False) as life,
        relaying(settings, life=life),
        await Platform.open(settings, life=life) as platform,
        working(settings, stores.model, life=life),
    ):
        server = await platform.serve()
        web = await platform.serve_web()
        address = f"{settings.listen.rpartition(':')[0]}:{server.port}"
        web_address = f"{settings.web_listen.rpartition(':')[0]}:{web.port}" if web else ""
        yield Stack(stores.servers, settings, platform, address, web_address, life.address)
