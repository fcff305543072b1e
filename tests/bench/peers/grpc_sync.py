"""The same service on grpcio's threads: eight of them, psycopg and synchronous redis-py with hiredis."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from psycopg import Connection, RawCursor, adapters
from psycopg.rows import dict_row
from psycopg.types.json import JsonbBinaryDumper
from psycopg_pool import ConnectionPool
from redis import BlockingConnectionPool, Redis
from redis.exceptions import RedisError
from tests.bench.peers.errors import ChangedError, NotFoundError, StoryError
from tests.bench.peers.flags import Flags, parser
from tests.bench.peers.messages import CODES, changes, check_name, messages, services, story_of
from tests.bench.peers.stories import (
    GET,
    lifetime_s,
    update_statement,
    version_of,
)

THREADS = 8
log = logging.getLogger("peer")


class Cache:
    """Cache-aside over Redis, or over none: every failure is a miss."""

    def __init__(self, redis: Redis | None, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix

    def get(self, name: str) -> Any:
        value = self._attempt(lambda redis: redis.get(self._key(name)))
        return None if value is None else messages.Story.FromString(value)

    def set(self, story: Any) -> None:
        value = story.SerializeToString()
        self._attempt(lambda redis: redis.set(self._key(story.name), value, ex=lifetime_s()))

    def delete(self, name: str) -> None:
        self._attempt(lambda redis: redis.delete(self._key(name)))

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _attempt(self, send: Callable[[Redis], Any]) -> Any:
        try:
            return None if self._redis is None else send(self._redis)
        except RedisError as error:
            log.warning("cache: %s", error)
            return None


class StoryService(services.StoryServiceServicer):
    """The two methods that the benchmark calls."""

    def __init__(self, write: ConnectionPool, read: ConnectionPool, cache: Cache) -> None:
        self._write = write
        self._read = read
        self._cache = cache

    def GetStory(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the rpc's name
        try:
            check_name(request.name)
            return self._cache.get(request.name) or self._load(request.name)
        except StoryError as error:
            return context.abort(CODES[type(error)], str(error))

    def UpdateStory(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - the rpc's name
        story = request.story
        try:
            return self._update(story.name, story.etag, changes(story, request.update_mask.paths))
        except StoryError as error:
            return context.abort(CODES[type(error)], str(error))

    def _load(self, name: str) -> Any:
        row = row_of(self._read, GET, name)
        if row is None:
            raise NotFoundError(name)
        story = story_of(row)
        self._cache.set(story)
        return story

    def _update(self, name: str, etag: str, values: Mapping[str, Any]) -> Any:
        row = row_of(self._write, update_statement(values), name, version_of(etag), *values.values())
        if row is None:
            raise ChangedError(name) if etag else NotFoundError(name)
        self._cache.delete(name)
        return story_of(row)


def row_of(pool: ConnectionPool, statement: str, *arguments: Any) -> Mapping[str, Any] | None:
    connection: Connection[dict[str, Any]]
    with pool.connection() as connection:
        return connection.execute(statement, arguments, binary=True).fetchone()


def pool_of(url: str) -> ConnectionPool:
    # The statements count their arguments ($1), as asyncpg and PostgreSQL do: they are the same for both peers.
    options = {"autocommit": True, "row_factory": dict_row, "cursor_factory": RawCursor}
    return ConnectionPool(url, min_size=THREADS, max_size=THREADS, kwargs=options, open=False)


def redis_of(url: str) -> Redis | None:
    if not url:
        return None
    return Redis.from_pool(
        BlockingConnectionPool.from_url(url, max_connections=THREADS, timeout=1, socket_timeout=0.25)
    )


def serve(flags: Flags) -> None:
    """Serve until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    adapters.register_dumper(dict, JsonbBinaryDumper)
    with pool_of(flags.database_write) as write, pool_of(flags.database_read) as read:
        write.wait()
        read.wait()
        service = StoryService(write, read, Cache(redis_of(flags.cache), flags.cache_prefix))
        server = grpc.server(ThreadPoolExecutor(THREADS))
        services.add_StoryServiceServicer_to_server(service, server)
        server.add_insecure_port(flags.listen)
        server.start()
        stop.wait()
        server.stop(grace=5).wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    serve(Flags.of(parser(__doc__).parse_args()))
