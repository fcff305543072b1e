"""Two strategies that most applications write by hand, to show that this harness sees what they do wrong.

`delete`: a write commits, then deletes the cached value; a reader that misses reads a replica and stores what it
found. `set`: a write commits, then stores its value; readers as before. Neither compares anything with anything.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.chaos.calls import Answer, RefusedError

from entresol.app import load_model
from entresol.config import Settings
from entresol.errors import Code
from entresol.service.call import ANSWERED_BY_KEY, CONSISTENCY_KEY

CRASH = 0.01  # of writes: the process ends between commit and cache, as kill -9 would have it
CACHE_S = 1.0
_GONE = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
_UPSERT = """
INSERT INTO users (name, display_name) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET display_name = $2
"""


class NaiveServer:
    """Answers GetUser, UpdateUser and DeleteUser as a platform would, with one of the strategies."""

    def __init__(self, settings: Settings, strategy: str, dice: random.Random) -> None:
        self._settings = settings
        self._strategy = strategy
        self._dice = dice
        methods = load_model(settings).methods.items()
        self._methods = {path: method for path, method in methods if "UserService" in path}

    async def __aenter__(self) -> Self:
        self._primary = await self._pool(
            self._settings.database_write.replace("sslmode", "target_session_attrs=primary&sslmode")
        )
        self._replicas = [await self._pool(url) for url in self._settings.database_read]
        self._redis = Redis.from_url(
            self._settings.cache_url, socket_timeout=CACHE_S, socket_connect_timeout=CACHE_S
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._primary, *self._replicas):
            pool.terminate()
        await self._redis.aclose()

    async def call(self, path: str, request: bytes, metadata: Mapping[str, str], timeout_s: float) -> Answer:
        message: Any = self._methods[path].input_class.FromString(request)
        method = path.rpartition("/")[2]
        try:
            async with asyncio.timeout(timeout_s):
                if method == "GetUser":
                    return await self._get(path, message.name, metadata.get(CONSISTENCY_KEY) == "strong")
                if method == "UpdateUser":
                    return await self._update(message.user.name, message.user.display_name)
                return await self._delete(message.name)
        except _GONE as error:
            raise RefusedError(Code.UNAVAILABLE, "", None, repr(error)) from error

    async def _get(self, path: str, name: str, strong: bool) -> Answer:
        cached = None if strong else await self._cached(name)
        if cached is not None:
            value, source = cached.decode(), "cache"
        else:
            pool = self._primary if strong else self._dice.choice(self._replicas)
            value = await pool.fetchval("SELECT display_name FROM users WHERE name = $1", name)
            source = "primary" if strong else "replica"
            if value is not None and not strong:
                await self._try(self._redis.set(name, value))
        if value is None:
            raise RefusedError(Code.NOT_FOUND, "RESOURCE_NOT_FOUND", None, name)
        reply: Any = self._methods[path].output_class(name=name, display_name=value)
        return Answer(reply.SerializeToString(), {ANSWERED_BY_KEY: source})

    async def _update(self, name: str, value: str) -> Answer:
        await self._primary.execute(_UPSERT, name, value)
        self._crash_now_and_then()
        await self._try(self._redis.set(name, value) if self._strategy == "set" else self._redis.delete(name))
        return Answer(b"", {ANSWERED_BY_KEY: "primary"})

    async def _delete(self, name: str) -> Answer:
        await self._primary.execute("DELETE FROM users WHERE name = $1", name)
        self._crash_now_and_then()
        await self._try(self._redis.delete(name))
        return Answer(b"", {ANSWERED_BY_KEY: "primary"})

    def _crash_now_and_then(self) -> None:
        if self._dice.random() < CRASH:
            raise RefusedError(Code.UNAVAILABLE, "", None, "the process ended between commit and cache")

    async def _cached(self, name: str) -> bytes | None:
        found = await self._try(self._redis.get(name))
        return found if isinstance(found, bytes) else None

    async def _try(self, command: Any) -> object:
        try:
            return await command
        except (RedisError, OSError, TimeoutError):
            return None

    async def _pool(self, url: str) -> Any:
        return await asyncpg.create_pool(
            url, min_size=1, max_size=4, timeout=CACHE_S, command_timeout=CACHE_S
        )
