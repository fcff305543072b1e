"""The stores under a benchmark: a PostgreSQL primary, a replica and Redis, started here or given."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from redis.asyncio import Redis
from tests.bench.processes import BenchError, parent_of

from entresol.embedded import EmbeddedServers

CONNECT_TIMEOUT_S = 10.0
REPLAY_TIMEOUT_S = 60.0
CACHE_BYTES = (
    "2gb"  # so that nothing of a system is evicted for another's sake; only what is kept takes memory
)

HAS_REPLAYED = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn FROM pg_sleep(0.02)"
END_READERS_OF_SLOTS = """
SELECT pg_terminate_backend(active_pid, 10000) FROM pg_replication_slots WHERE database = $1 AND active
"""
DROP_SLOTS = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = $1"


@dataclass(frozen=True)
class Stores:
    """Where the stores are. `write` and `read` are URLs of the maintenance database, `cache` of Redis."""

    write: str
    read: str
    cache: str

    def write_to(self, database: str) -> str:
        """Return the primary's URL of one database."""
        return _with_database(self.write, database)

    def read_from(self, database: str) -> str:
        """Return the replica's URL of one database."""
        return _with_database(self.read, database)

    @contextlib.asynccontextmanager
    async def connect(self, url: str) -> AsyncIterator[asyncpg.Connection]:
        """Open one connection for the length of the block."""
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
        try:
            yield connection
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def database(self, name: str) -> AsyncIterator[None]:
        """Make an empty database and remove it, and the slots that belong to it, after the block."""
        async with self.connect(self.write) as connection:
            try:
                await connection.execute(f"CREATE DATABASE {name}")
            except asyncpg.DuplicateDatabaseError as error:
                raise BenchError(f"database {name} exists: drop it, or leave out --stores") from error
            try:
                yield
            finally:
                await connection.execute(END_READERS_OF_SLOTS, name)
                await connection.execute(DROP_SLOTS, name)
                await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def wait_for_replica(self) -> None:
        """Return once the replica has replayed all that is committed now."""
        async with self.connect(self.write) as primary:
            position = await primary.fetchval("SELECT pg_current_wal_flush_lsn()::text")
        async with self.connect(self.read) as replica, asyncio.timeout(REPLAY_TIMEOUT_S):
            while not await replica.fetchval(HAS_REPLAYED, position):
                continue

    async def servers(self) -> dict[str, int]:
        """Return the process ids of `primary`, `replica` and `redis`, of those that run on this machine."""
        found: dict[str, int] = {}
        for name, url in (("primary", self.write), ("replica", self.read)):
            async with self.connect(url) as connection:
                parent = parent_of(
                    await connection.fetchval("SELECT pg_backend_pid()")
                )  # while the one is there
            if parent is not None:
                found[name] = parent
        async with Redis.from_url(self.cache, socket_timeout=CONNECT_TIMEOUT_S) as redis:
            found["redis"] = int((await redis.info("server"))["process_id"])
        return {name: pid for name, pid in found.items() if parent_of(pid) is not None}

    async def cache_misses(self) -> int:
        """Return how many keys were asked of Redis in vain since it started."""
        async with Redis.from_url(self.cache, socket_timeout=CONNECT_TIMEOUT_S) as redis:
            stats = await redis.info("stats")
        return int(stats["keyspace_misses"])


def _with_database(url: str, database: str) -> str:
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", rf"\g<1>/{database}", url)


@contextlib.asynccontextmanager
async def start(folder: Path) -> AsyncIterator[Stores]:
    """Start the embedded servers for the length of the block."""
    async with await EmbeddedServers.start(folder, replicas=1, durable=True) as servers:
        await servers.redis.command("CONFIG", "SET", "maxmemory", CACHE_BYTES)
        yield Stores(servers.write_url, servers.read_urls[0], servers.cache_url)
