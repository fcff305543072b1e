"""The stories as the asynchronous peers store them: asyncpg pools, and cache-aside in Redis by redis-py.

Pools to the primary and to a replica, cache-aside with a time to live, the entry deleted after every update,
and a dead Redis that only makes reads slower. What it lacks is what the platform exists for: a reader may put
an older row into the cache just after the entry was deleted, and a replica may lack the caller's own write.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncpg
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError
from tests.bench.peers.errors import ChangedError, ExistsError, NotFoundError
from tests.bench.peers.flags import Flags
from tests.bench.peers.stories import (
    BATCH_GET,
    GET,
    LIST,
    create_statement,
    first_name,
    lifetime_s,
    page_size_of,
    update_statement,
    version_of,
)

CONNECTIONS = 8
REDIS_CONNECTIONS = 32
log = logging.getLogger("peer")

Answer = TypeVar("Answer")
Story = TypeVar("Story")


class Cache:
    """Cache-aside over Redis, or over none: every failure is a miss."""

    def __init__(self, redis: Redis | None, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    async def get(self, name: str) -> bytes | None:
        return await self._attempt(lambda redis: redis.get(self._key(name)))

    async def get_all(self, names: Sequence[str]) -> Sequence[bytes | None]:
        keys = [self._key(name) for name in names]
        return await self._attempt(lambda redis: redis.mget(keys)) or [None] * len(names)

    async def set(self, name: str, value: bytes) -> None:
        await self._attempt(lambda redis: redis.set(self._key(name), value, ex=lifetime_s()))

    async def set_all(self, values: Mapping[str, bytes]) -> None:
        def send(redis: Redis) -> Awaitable[Any]:
            pipeline = redis.pipeline(transaction=False)
            for name, value in values.items():
                pipeline.set(self._key(name), value, ex=lifetime_s())
            return pipeline.execute()

        await self._attempt(send)

    async def delete(self, *names: str) -> None:
        keys = [self._key(name) for name in names]
        await self._attempt(lambda redis: redis.delete(*keys))

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    async def _attempt(self, send: Callable[[Redis], Awaitable[Answer]]) -> Answer | None:
        if self._redis is None:
            return None
        try:
            return await send(self._redis)
        except RedisError as error:
            log.warning("cache: %s", error)
            return None


@dataclass(frozen=True)
class Codec(Generic[Story]):
    """How a peer's own type of stories is made of a row, and what of it the cache holds."""

    of_row: Callable[[asyncpg.Record], Story]
    encode: Callable[[Story], bytes]
    decode: Callable[[bytes], Story]


class Stories(Generic[Story]):
    """The stories of one service."""

    def __init__(self, write: asyncpg.Pool, read: asyncpg.Pool, cache: Cache, codec: Codec[Story]) -> None:
        self._write = write
        self._read = read
        self._cache = cache
        self._codec = codec

    async def get(self, name: str) -> Story:
        cached = await self._cache.get(name)
        if cached is not None:
            return self._codec.decode(cached)
        row = await self._read.fetchrow(GET, name)
        if row is None:
            raise NotFoundError(name)
        story = self._codec.of_row(row)
        await self._cache.set(name, self._codec.encode(story))
        return story

    async def batch_get(self, names: Sequence[str]) -> list[Story]:
        """Return all of them in the order of the names, or raise NotFoundError."""
        cached = zip(names, await self._cache.get_all(names), strict=True)
        found = {name: self._codec.decode(value) for name, value in cached if value is not None}
        missed = [name for name in dict.fromkeys(names) if name not in found]
        if missed:
            rows = await self._read.fetch(BATCH_GET, missed)
            loaded = {row["name"]: self._codec.of_row(row) for row in rows}
            await self._cache.set_all({name: self._codec.encode(story) for name, story in loaded.items()})
            found |= loaded
        for name in missed:
            if name not in found:
                raise NotFoundError(name)
        return [found[name] for name in names]

    async def list(self, page_size: int, page_token: str, filter_text: str) -> tuple[list[Story], str]:
        """Return a page by name, and the token of the next one: the last name; a full page may be the last."""
        size = page_size_of(page_size)
        rows = await self._read.fetch(LIST, page_token, first_name(filter_text), size)
        next_page_token = rows[-1]["name"] if len(rows) == size else ""
        return [self._codec.of_row(row) for row in rows], next_page_token

    async def create(self, name: str, values: Mapping[str, Any]) -> Story:
        try:
            row = await self._write.fetchrow(create_statement(values), name, *values.values())
        except asyncpg.UniqueViolationError as error:
            raise ExistsError(name) from error
        return self._codec.of_row(row)

    async def update(self, name: str, etag: str, values: Mapping[str, Any]) -> Story:
        row = await self._write.fetchrow(update_statement(values), name, version_of(etag), *values.values())
        if row is None:
            raise ChangedError(name) if etag else NotFoundError(name)
        await self._cache.delete(name)
        return self._codec.of_row(row)


async def _read_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


def pool(url: str) -> asyncpg.Pool:
    """Return connections to a server."""
    return asyncpg.create_pool(
        url, min_size=CONNECTIONS, max_size=CONNECTIONS, command_timeout=30, init=_read_json
    )


def redis_of(url: str) -> contextlib.AbstractAsyncContextManager[Redis | None]:
    """Return a client of the cache, none without a URL."""
    if not url:
        return contextlib.nullcontext()
    return Redis.from_pool(
        BlockingConnectionPool.from_url(
            url, max_connections=REDIS_CONNECTIONS, timeout=1, socket_timeout=0.25
        )
    )


@contextlib.asynccontextmanager
async def connected(flags: Flags, codec: Codec[Story]) -> AsyncIterator[Stories[Story]]:
    """Connect to the stores for the length of the block."""
    async with (
        pool(flags.database_write) as write,
        pool(flags.database_read) as read,
        redis_of(flags.cache) as redis,
    ):
        yield Stories(write, read, Cache(redis, flags.cache_prefix), codec)
