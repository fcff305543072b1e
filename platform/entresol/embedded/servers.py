"""A PostgreSQL primary, its replicas and Redis, real ones, that end with whoever started them."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from entresol.embedded.binaries import Postgres, find_postgres, find_redis
from entresol.embedded.folders import Folders, open_folders
from entresol.embedded.patroni import NODES, Patroni, PatroniPrograms
from entresol.embedded.postgres import DATABASE, PostgresServer, Primary, free_port
from entresol.embedded.processes import Processes
from entresol.embedded.psql import TIMEOUT_S
from entresol.embedded.redis_server import RedisServer
from entresol.embedded.redis_sets import CacheKind, ClusterRedis, SentinelRedis
from entresol.embedded.replica import Replica
from entresol.errors import ServerStartError

_PORT_ATTEMPTS = 3
_CACHES: Mapping[CacheKind, type[RedisServer | SentinelRedis | ClusterRedis]] = {
    CacheKind.SERVER: RedisServer,
    CacheKind.SENTINEL: SentinelRedis,
    CacheKind.CLUSTER: ClusterRedis,
}


class EmbeddedServers:
    """A set of running servers; made by `start`, ended by `stop`, or by leaving it as a context manager.

    It is bound to no event loop: it may be started in one and used in another.
    """

    def __init__(
        self,
        folders: Folders,
        postgres: Postgres,
        redis: Path | None,
        *,
        replicas: int,
        durable: bool,
        cache: CacheKind,
        patroni: PatroniPrograms | None,
    ) -> None:
        self._folders = folders
        held = [folders.lock] if folders.lasting else []
        self._processes = Processes(folders.account, folders.temporary, folders.log("guard"), held)
        self._patroni: Patroni | None = None
        self._own: tuple[Primary, tuple[Replica, ...]] | None = None
        if patroni:
            self._patroni = Patroni(patroni, postgres, folders, self._processes, durable)
        else:
            parts = (postgres, folders, self._processes, durable, secrets.token_urlsafe(18))
            primary = Primary("primary", *parts)
            names = [f"replica-{number}" for number in range(1, replicas + 1)]
            self._own = primary, tuple(Replica(name, *parts, primary=primary) for name in names)
        self._cache = _CACHES[cache](redis, folders, self._processes) if redis else None
        self._stopped = False

    @classmethod
    async def start(
        cls,
        folder: Path | None = None,
        *,
        replicas: int = 2,
        cache: CacheKind = CacheKind.SERVER,
        patroni: PatroniPrograms | None = None,
        durable: bool = False,
        counting: bool = False,
        postgres_bin: str = "",
        redis_bin: str = "",
    ) -> Self:
        """Start the servers; return when all of them answer and the replicas have what the primary has.

        Data stay in `folder` and are found again by the next start; without a folder they are temporary. Not
        `durable` is quicker, and loses data when the machine (not merely a server) crashes. `counting` has PostgreSQL
        count what each statement costs, for a few hundredths of its time, where its extension for that is installed.
        `postgres_bin` is a folder of programs, `redis_bin` a program; empty: what `binaries.py` finds. With Patroni's
        programs, three nodes that it keeps take the place of the primary and its `replicas`, with data of their own.

        Raises:
            ConfigurationError: a program is missing, or `folder` cannot be used; the text has the remedy.
            ServerStartError: a server did not come up; the text ends with its log.
        """
        folders = await asyncio.to_thread(open_folders, folder, durable=durable)
        try:
            first = NODES[0] if patroni else "primary"
            postgres = await asyncio.to_thread(find_postgres, postgres_bin, folders, first)
            postgres = postgres.counting() if counting else postgres
            needs_redis = cache is not CacheKind.NONE
            program = await asyncio.to_thread(find_redis, redis_bin, folders) if needs_redis else None
            servers = cls(
                folders, postgres, program, replicas=replicas, durable=durable, cache=cache, patroni=patroni
            )
        except BaseException:
            folders.remove()
            folders.release()
            raise
        try:
            await servers._open()
        except BaseException:
            await servers.stop()
            raise
        return servers

    @property
    def temporary(self) -> Path:
        """Return a folder that is removed when the servers have ended, however that came about."""
        return self._folders.run

    @property
    def write_url(self) -> str:
        """Return the URL of the primary, with Patroni of all nodes, one of which it is."""
        return self._patroni.url() if self._patroni else self.primary.url()

    @property
    def read_urls(self) -> tuple[str, ...]:
        """Return the URLs of the replicas, with Patroni of all nodes."""
        if self._patroni:
            return self._patroni.read_urls
        return tuple(replica.url() for replica in self.replicas)

    @property
    def primary(self) -> Primary:
        """Return the primary."""
        assert self._own is not None, "Patroni keeps the nodes"
        return self._own[0]

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Return the replicas."""
        assert self._own is not None, "Patroni keeps the nodes"
        return self._own[1]

    @property
    def patroni(self) -> Patroni | None:
        """Return Patroni and its nodes, where it keeps the database."""
        return self._patroni

    @property
    def cache_url(self) -> str:
        """Return the URL of Redis; empty when there is none."""
        return self._cache.url() if self._cache else ""

    @property
    def redis(self) -> RedisServer:
        """Return the Redis server, where it is one."""
        assert isinstance(self._cache, RedisServer), "started with another kind of cache"
        return self._cache

    @property
    def sentinel(self) -> SentinelRedis:
        """Return the primary of Redis with its replica and Sentinels, where there are such."""
        assert isinstance(self._cache, SentinelRedis), "started with another kind of cache"
        return self._cache

    def through(self, address: str) -> str:
        """Return the URL of the database behind a balancer that listens at `address`."""
        if self._patroni:
            return self._patroni.url(address)
        return f"{self.primary.tcp_url().partition('@')[0]}@{address}/{DATABASE}?sslmode=disable"

    async def psql(self, sql: str, *, database: str = DATABASE, timeout_s: float = TIMEOUT_S) -> str:
        """Run statements on the primary, each a transaction of its own; rows are lines of `|`-separated values.

        Raises:
            ServerCommandError: a statement failed, the primary is away, or `timeout_s` passed.
        """
        database_servers = self._patroni or self.primary
        return await database_servers.psql(sql, database=database, timeout_s=timeout_s)

    async def settle(self, *, timeout_s: float = 10.0) -> None:
        """Return when every replica has replayed all that is committed.

        Raises:
            ServerCommandError: one has not within `timeout_s`, or is away.
        """
        await self.replayed(await self.primary.position(), timeout_s=timeout_s)

    async def replayed(self, position: int, *, timeout_s: float = 10.0) -> None:
        """Return when every replica has replayed up to `position`."""
        await _together(*(replica.wait_for(position, timeout_s=timeout_s) for replica in self.replicas))

    async def trust(self, role: str) -> None:
        """Make a role that may see how every server is, and log in from this machine without a password."""
        for server in (self.primary, *self.replicas):
            await server.trust(role)
        await self.psql(
            f"SELECT 'CREATE ROLE {role} LOGIN IN ROLE pg_monitor' WHERE NOT EXISTS "  # noqa: S608 (a role of ours)
            f"(SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec\n"
        )
        await self.settle()

    async def stop(self) -> None:
        """Stop all servers, in order if their data are to stay, and remove what is temporary."""
        if self._stopped:
            return
        self._stopped = True
        try:
            if self._folders.lasting and self._patroni:
                await self._patroni.stop()
            elif self._folders.lasting:
                # Replicas first: the primary would wait for one that is paused or slow.
                await _together(*(replica.stop() for replica in self.replicas))
                await self.primary.stop()
        finally:
            await self._processes.close()
            self._folders.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _open(self) -> None:
        cache = [self._cache.start()] if self._cache else []
        if self._patroni:
            await _together(self._patroni.start(), *cache)
            return
        await _together(self._open_database(), *cache)
        await self.settle()

    async def _open_database(self) -> None:
        fresh = not (self.primary.data / "PG_VERSION").exists()
        in_order = not fresh and await self.primary.was_stopped_in_order()
        if fresh:
            await self.primary.create()
            await _together(*(replica.create() for replica in self.replicas))
        await _start(self.primary)
        # After a crash a replica may hold what the primary has lost: only a new copy is sure to follow.
        starts = [
            _start(replica) if fresh else replica.catch_up() if in_order else replica.rebuild()
            for replica in self.replicas
        ]
        await _together(self.primary.set_up(), *starts)


async def _start(server: PostgresServer) -> None:
    """Start a server for the first time, on another port if another program took its port meanwhile."""
    for attempt in range(1, _PORT_ATTEMPTS + 1):
        try:
            return await server.start()
        except ServerStartError as error:
            if attempt == _PORT_ATTEMPTS or os.strerror(errno.EADDRINUSE) not in error.message:
                raise
            server.port = free_port()
    return None


async def _together(*work: Coroutine[object, object, None]) -> None:
    """Run all at once; the first failure ends the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for item in work:
                group.create_task(item)
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
