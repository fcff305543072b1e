"""A record that changes around the cache stays cached: the relay drops it and reads it again."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import AsyncExitStack

import asyncpg
import pytest
from tests.integration.service.conftest import ROOT, settings_of

from entresol.app import load_model, open_relay
from entresol.cache.relay import Relay
from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.records import CACHE, Records
from entresol.schema.model import Model, Resource
from entresol.stores import open_records
from entresol.testing.servers import Database

COUNT = 400
NAMES = [f"users/u{number}" for number in range(COUNT)]
INSERT = (
    "INSERT INTO users (name, create_time, update_time) "
    f"SELECT 'users/u' || i, now(), now() FROM generate_series(0, {COUNT - 1}) i"
)
LSN = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(Settings.load({}, protos=str(ROOT / "protos")))


@pytest.fixture
def refilled(database: Database, cache_url: str) -> Settings:
    asyncio.run(database.psql(INSERT))
    asyncio.run(database.settle())
    settings = settings_of(database, database.name, ROOT / "protos")
    return dataclasses.replace(settings, cache_url=cache_url)


class Scene:
    """A relay, and a reader in a process of its own but for that."""

    def __init__(self, relay: Relay, records: Records, connection: asyncpg.Connection) -> None:
        self.relay = relay
        self.records = records
        self.users: Resource = records.model.by_message["stories.v1.User"]
        self._connection = connection

    @classmethod
    async def open(cls, settings: Settings, model: Model, stack: AsyncExitStack) -> Scene:
        relay = await stack.enter_async_context(open_relay(settings, model))
        task = asyncio.create_task(relay.run())

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        stack.push_async_callback(end)
        await relay.ready()
        records = await stack.enter_async_context(open_records(settings, model))
        connection = await asyncpg.connect(settings.database_write)
        stack.push_async_callback(connection.close)
        return cls(relay, records, connection)

    async def change(self, about: str, name: str = "%") -> None:
        """Change records around the platform, and wait until the relay has passed it."""
        await self._connection.execute("UPDATE users SET about = $1 WHERE name LIKE $2", about, name)
        await self.relay.reached(await self._connection.fetchval(LSN))

    async def cached(self, *names: str) -> list[str | None]:
        """Return `about` of each entry, None where there is none. Nothing is loaded by it."""
        assert self.records.entries is not None
        found = await self.records.entries.get(self.users, names)
        kind = self.users.message_class
        return [kind.FromString(item.message).about if item else None for item in found]

    async def until_cached(self, about: str, *names: str) -> bool:
        async def shown() -> bool:
            return await self.cached(*names) == [about] * len(names)

        return await until(shown, 15.0)


async def test_after_a_change_by_psql_the_next_read_is_a_hit_with_the_new_value(
    refilled: Settings, model: Model
) -> None:
    async with AsyncExitStack() as stack:
        scene = await Scene.open(refilled, model, stack)
        await scene.records.get(scene.users, NAMES[:2])
        assert await scene.until_cached("", *NAMES[:2])
        await scene.change("by hand", NAMES[0])
        assert await scene.until_cached("by hand", NAMES[0])
        (found,) = await scene.records.get(scene.users, NAMES[:1])
        assert found.answered_by == CACHE
        assert await scene.cached(NAMES[1], NAMES[2]) == [
            "",
            None,
        ]  # what nobody had read is not cached for it


async def test_without_the_setting_it_is_only_dropped(refilled: Settings, model: Model) -> None:
    async with AsyncExitStack() as stack:
        scene = await Scene.open(dataclasses.replace(refilled, relay_refill=False), model, stack)
        assert scene.relay.refill is None
        await scene.records.get(scene.users, NAMES[:1])
        await scene.change("by hand", NAMES[0])
        assert await scene.cached(NAMES[0]) == [None]


async def test_a_flood_of_changes_is_applied_as_it_comes_and_refilled_when_it_ends(
    refilled: Settings, model: Model
) -> None:
    async with AsyncExitStack() as stack:
        scene = await Scene.open(refilled, model, stack)
        lags = []
        await scene.records.get(scene.users, NAMES)
        assert await scene.until_cached("", *NAMES)
        for step in range(5):
            await scene.change(f"step {step}")
            lags.append(scene.relay.progress.lag_s)
        assert await scene.until_cached("step 4", *NAMES)
        assert max(lags) < 5.0
