"""The handwritten peer: the stories service as a careful team writes it on grpc.aio, asyncpg and redis-py.

Pools to the primary and to a replica, cache-aside with a time to live, the entry deleted after every update,
and a dead Redis that only makes reads slower. What it lacks is what the platform exists for: a reader may put
an older row into the cache just after the entry was deleted, and a replica may lack the caller's own write.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import signal
from datetime import UTC, datetime
from typing import Any

import asyncpg
import grpc
import uvloop
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

messages, services = grpc.protos_and_services("tests/bench/peers/stories.proto")

WRITABLE = ("title", "url", "text", "score", "comment_count", "kind", "tags", "annotations", "post_time")
TEXT_LENGTH_MAX = {"title": 300, "url": 4096, "text": 65536}
TTL_S = 300
log = logging.getLogger("peer")


def set_time(message: Any, field: str, value: datetime | None) -> None:
    if value is not None:
        getattr(message, field).FromDatetime(value)


def story_of(row: Any) -> Any:
    story = messages.Story(
        name=row["name"],
        uid=str(row["uid"]),
        title=row["title"],
        url=row["url"],
        text=row["text"],
        author=row["author"],
        score=row["score"],
        comment_count=row["comment_count"],
        kind=row["kind"],
        tags=row["tags"],
        annotations=json.loads(row["annotations"]),
        etag=etag_of(row["version"]),
    )
    for field in ("post_time", "create_time", "update_time", "delete_time", "purge_time"):
        set_time(story, field, row[field])
    return story


def etag_of(version: int) -> str:
    return f'"{version:016x}"'


def value_of(story: Any, field: str) -> Any:
    if field == "post_time":
        return story.post_time.ToDatetime(UTC) if story.HasField("post_time") else None
    if field == "tags":
        return list(story.tags)
    return json.dumps(dict(story.annotations)) if field == "annotations" else getattr(story, field)


class StoryCache:
    """Cache-aside over Redis: every failure is a miss."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis

    async def get(self, name: str) -> Any | None:
        if self._redis is None:
            return None
        try:
            value = await self._redis.get(f"story:{name}")
        except RedisError as error:
            log.warning("cache get: %s", error)
            return None
        return None if value is None else messages.Story.FromString(value)

    async def set(self, story: Any) -> None:
        if self._redis is None:
            return
        try:
            lifetime_s = random.randint(TTL_S - TTL_S // 10, TTL_S)
            await self._redis.set(f"story:{story.name}", story.SerializeToString(), ex=lifetime_s)
        except RedisError as error:
            log.warning("cache set: %s", error)

    async def delete(self, name: str) -> None:
        if self._redis is None:
            return
        try:
            await self._redis.delete(f"story:{name}")
        except RedisError as error:
            log.warning("cache delete: %s", error)


class StoryService(services.StoryServiceServicer):  # type: ignore[misc, name-defined] # made at run time
    """The two methods that the benchmark calls."""

    def __init__(self, write: asyncpg.Pool, read: asyncpg.Pool, cache: StoryCache) -> None:
        self._write = write
        self._read = read
        self._cache = cache

    async def GetStory(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the rpc's name
        if not request.name.startswith("stories/"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "name: must be stories/{story}")
        story = await self._cache.get(request.name)
        if story is not None:
            return story
        row = await self._read.fetchrow("SELECT * FROM stories WHERE name = $1", request.name)
        if row is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"{request.name} does not exist")
        story = story_of(row)
        await self._cache.set(story)
        return story

    async def UpdateStory(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the rpc's name
        story = request.story
        fields = list(request.update_mask.paths)
        await self._check(story, fields, context)
        assignments = ", ".join(f"{field} = ${number}" for number, field in enumerate(fields, 3))
        row = await self._write.fetchrow(
            f"UPDATE stories SET {assignments}, update_time = now(), version = version + 1"
            " WHERE name = $1 AND ($2 = '' OR $2 = lpad(to_hex(version), 16, '0')) RETURNING *",
            story.name,
            story.etag.strip('"'),
            *(value_of(story, field) for field in fields),
        )
        if row is None:
            await context.abort(grpc.StatusCode.ABORTED, f"{story.name} does not exist or has changed")
        await self._cache.delete(story.name)
        return story_of(row)

    async def _check(self, story: Any, fields: list[str], context: grpc.aio.ServicerContext) -> None:
        for field in fields:
            if field not in WRITABLE:
                await context.abort(
                    grpc.StatusCode.INVALID_ARGUMENT, f"update_mask: {field} cannot be changed"
                )
            if field in TEXT_LENGTH_MAX and len(getattr(story, field)) > TEXT_LENGTH_MAX[field]:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"{field}: too long")
        if not fields or ("title" in fields and not story.title):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "title: must not be empty")


def redis_of(url: str) -> Redis:
    return Redis.from_pool(
        BlockingConnectionPool.from_url(url, max_connections=32, timeout=1, socket_timeout=0.25)
    )


async def serve(arguments: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    redis = redis_of(arguments.cache) if arguments.cache else None
    async with (
        asyncpg.create_pool(arguments.database_write, min_size=8, max_size=8, command_timeout=30) as write,
        asyncpg.create_pool(arguments.database_read, min_size=8, max_size=8, command_timeout=30) as read,
    ):
        server = grpc.aio.server()
        services.add_StoryServiceServicer_to_server(StoryService(write, read, StoryCache(redis)), server)
        server.add_insecure_port(arguments.listen)
        await server.start()
        await stop.wait()
        await server.stop(grace=5)
    if redis is not None:
        await redis.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True)
    parser.add_argument("--database-write", required=True)
    parser.add_argument("--database-read", required=True)
    parser.add_argument("--cache", default="")
    logging.basicConfig(level=logging.INFO)
    uvloop.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
