"""The database is never asked by more than was settled, whether the cache is empty, away, or coming back."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import asyncpg
import pytest
from tests.integration.service.conftest import ROOT, settings_of

from entresol.app import load_model, relaying
from entresol.cache.session import EMPTY
from entresol.embedded import EmbeddedServers
from entresol.embedded.polling import until
from entresol.errors import ResourceExhaustedError
from entresol.records import CACHE, Demand, Records
from entresol.schema.model import Consistency, Resource
from entresol.stores import open_records
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate

READERS = 1000
ROUNDS = 3
NAMES = [f"users/u{number}" for number in range(300)]
INSERT = (
    "INSERT INTO users (name, create_time, update_time) "
    "SELECT 'users/u' || i, now(), now() FROM generate_series(0, 299) i"
)
LOADS_MAX = 3


@pytest.fixture
def loaded(database: Database, cache_url: str) -> Iterator[RunningPlatform]:
    """Give a platform of its own over 300 users, which may ask the database three things at once."""
    settings = settings_of(
        database, database.name, ROOT / "protos", str(ROOT / "protos" / "stories" / "functions.py")
    )
    settings = dataclasses.replace(settings, cache_url=cache_url, database_loads_max=LOADS_MAX)
    asyncio.run(database.psql(INSERT))
    asyncio.run(database.settle())
    with RunningPlatform(settings) as running:
        yield running


@pytest.fixture
def users(loaded: RunningPlatform) -> Resource:
    return loaded.platform.model.by_message["stories.v1.User"]


class Running:
    """Counts the queries that run at once."""

    def __init__(self, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.most = self.total = 0
        real = records.store.get

        async def get(*arguments: Any, **options: Any) -> Any:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)
            try:
                return await real(*arguments, **options)
            finally:
                self.now -= 1

        monkeypatch.setattr(records.store, "get", get)

    def reach(self, count: int) -> Callable[[], Awaitable[bool]]:
        async def reached() -> bool:
            return self.now >= count

        return reached


@pytest.mark.parametrize("away", [False, True])
def test_a_thousand_readers_of_an_empty_or_missing_cache_are_answered_within_the_bound(
    loaded: RunningPlatform, users: Resource, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    records = loaded.platform.records
    queries = Running(records, monkeypatch)

    async def read(number: int) -> None:
        for step in range(ROUNDS):
            name = NAMES[(number * 7 + step * 31) % len(NAMES)]
            found = await records.get_one(users, name)
            assert users.message_class.FromString(found.message).name == name

    async def work() -> None:
        assert records.entries is not None
        if away:
            for _ in range(loaded.settings.cache_breaker_failures):
                records.entries.connection.breaker.fail()
            assert records.entries.is_away
        else:
            await records.entries.connection.execute(("FLUSHDB",))
        await asyncio.gather(*map(read, range(READERS)))

    loaded.run(work())
    assert 0 < queries.most <= LOADS_MAX
    assert queries.total < READERS


def test_who_finds_too_many_waiting_is_refused_and_the_others_are_answered(
    loaded: RunningPlatform, users: Resource, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = loaded.platform.records
    queries = Running(records, monkeypatch)
    demand = Demand(EMPTY, Consistency.STRONG)  # of the primary, where a lock holds them up

    async def work() -> None:
        holder = await asyncpg.connect(loaded.settings.database_write)
        async with holder.transaction():
            await holder.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            reading = []
            for name in NAMES[:LOADS_MAX]:
                reading.append(asyncio.ensure_future(records.get_one(users, name, demand)))
                assert await until(queries.reach(len(reading)), 10.0)
            crowd = [
                asyncio.ensure_future(records.get(users, NAMES[:250], demand)) for _ in range(4 * LOADS_MAX)
            ]
            for _ in range(3):  # until the last of them has asked
                await asyncio.sleep(0)
            with pytest.raises(ResourceExhaustedError) as error:
                await records.get_one(users, NAMES[0], demand)
            assert error.value.retry_after_s
        await asyncio.gather(*reading, *crowd)
        await holder.close()

    loaded.run(work())
    assert queries.most == LOADS_MAX
    assert queries.total <= 2 * LOADS_MAX


def test_who_wants_the_last_commit_is_never_given_what_the_cache_holds(
    loaded: RunningPlatform, users: Resource
) -> None:
    records = loaded.platform.records

    async def work() -> list[str]:
        sources = []
        for consistency in (None, None, Consistency.STRONG):
            (found,) = await records.get(users, NAMES[:1], Demand(EMPTY, consistency))
            sources.append(found.answered_by)
        return sources

    assert loaded.run(work())[1:] == ["cache", "primary"]


async def test_a_redis_that_is_killed_under_load_costs_nobody_an_answer_and_fills_again(
    migrate_database: Migrate,
) -> None:
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(await EmbeddedServers.start(replicas=1))
        database = await Databases(servers).create(migrate_database)
        await database.psql(INSERT)
        await database.settle()
        settings = settings_of(database, database.name, ROOT / "protos")
        await stack.enter_async_context(relaying(settings))
        model = load_model(settings)
        records = await stack.enter_async_context(open_records(settings, model))
        users = model.by_message["stories.v1.User"]
        about = users.by_name["about"]
        sources: list[str] = []
        stopped = asyncio.Event()

        async def read(number: int) -> None:
            while not stopped.is_set():
                number += 7
                (found,) = await records.get(users, [NAMES[number % len(NAMES)]])
                sources.append(found.answered_by)
                await asyncio.sleep(0.005)

        async def write(number: int) -> None:
            while not stopped.is_set():
                number += 7
                changed = users.message_class(name=NAMES[number % len(NAMES)], about="changed")
                async with records.transaction(timeout_s=5.0) as transaction:
                    await transaction.update(users, changed, [about], version=None)
                await asyncio.sleep(0.02)

        async def has_hits(least: float, most: float) -> bool:
            """Tell whether this share of the next answers comes from the cache."""
            sources.clear()

            async def are_enough() -> bool:
                return len(sources) >= 200

            assert await until(are_enough, 20.0)
            return least <= sources.count(CACHE) / len(sources) <= most

        async with asyncio.TaskGroup() as group:  # which ends with the first call that fails
            for number in range(16):
                group.create_task(read(number))
            for number in range(2):
                group.create_task(write(number))
            assert await until(partial(has_hits, 0.95, 1.0), 20.0)
            await servers.redis.kill()
            assert await until(partial(has_hits, 0.0, 0.0), 20.0)
            await servers.redis.start()
            assert await until(partial(has_hits, 0.95, 1.0), 20.0)
            stopped.set()
