"""What batches read: one moment of one replica, by every reader, or an error after which another is read."""

from __future__ import annotations

import asyncio

import pytest

from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers
from entresol.errors import StoreUnavailableError
from entresol.storage.analytics import SnapshotLostError, open_analytics
from entresol.storage.arrow import read
from entresol.testing.servers import Database

COUNT = "SELECT count(*) FROM things"


def settings_of(database: Database | EmbeddedServers, **changes: object) -> Settings:
    return Settings.load(
        {}, database_write=database.write_url, database_read=tuple(database.read_urls), **changes
    )


def numbers(moment: object) -> int:
    return sum(table.num_rows for table in read(moment, "SELECT number FROM things"))  # type: ignore[arg-type]


async def test_readers_see_the_moment_of_the_coordinator(database: Database) -> None:
    await database.psql("CREATE TABLE things AS SELECT generate_series(1, 5000) AS number")
    await database.settle()
    async with open_analytics(settings_of(database), attempt=1, at_least=0, timeout_s=30) as analytics:
        await database.psql("DELETE FROM things WHERE number <= 1000")
        await database.settle()
        assert await analytics.count(COUNT) == 5000
        assert await asyncio.to_thread(numbers, analytics.moment) == 5000
        seen = analytics.moment
    assert seen.server.startswith("replica:")
    with pytest.raises(SnapshotLostError):  # the coordinator is gone, and so is its snapshot
        await asyncio.to_thread(numbers, seen)


async def test_each_attempt_begins_with_another_replica_and_the_primary_is_none(database: Database) -> None:
    settings = settings_of(database)
    servers = []
    for attempt in (1, 2, 3):
        async with open_analytics(settings, attempt=attempt, at_least=0, timeout_s=30) as analytics:
            servers.append(analytics.moment.server)
    assert servers[0] == servers[2] != servers[1]
    gone = Settings.load({}, database_write=database.write_url, database_read="postgresql://127.0.0.1:1/none")
    with pytest.raises(StoreUnavailableError, match="no server that batches may read"):
        async with open_analytics(gone, attempt=1, at_least=0, timeout_s=30):
            raise AssertionError("there is no replica")


async def test_a_server_of_its_own_is_read_and_the_primary_only_without_any(database: Database) -> None:
    own = settings_of(database, database_analytics=database.read_urls[1])
    async with open_analytics(own, attempt=1, at_least=0, timeout_s=30) as analytics:
        assert analytics.moment.server.startswith("analytics:")
    alone = Settings.load({}, database_write=database.write_url)
    async with open_analytics(alone, attempt=1, at_least=0, timeout_s=30) as analytics:
        assert analytics.moment.server.startswith("primary:")


@pytest.mark.timeout(240)
async def test_what_replay_takes_away_and_what_is_late_are_errors_that_may_be_tried_again() -> None:
    async with await EmbeddedServers.start(replicas=1, cache=CacheKind.NONE) as servers:
        replica = servers.replicas[0]
        await servers.psql("CREATE TABLE things AS SELECT generate_series(1, 5000) AS number")
        await servers.settle()
        await replica.psql("ALTER SYSTEM SET max_standby_streaming_delay = 0", database="postgres")
        await replica.psql("SELECT pg_reload_conf()", database="postgres")
        settings = settings_of(servers, replica_lag_max_s=0.5)
        async with open_analytics(settings, attempt=1, at_least=0, timeout_s=30) as analytics:
            assert await analytics.count(COUNT) == 5000
            await servers.psql("TRUNCATE things")
            await servers.settle()
            with pytest.raises((SnapshotLostError, StoreUnavailableError)):
                await analytics.count(COUNT)
            with pytest.raises((SnapshotLostError, StoreUnavailableError)):
                await asyncio.to_thread(numbers, analytics.moment)
        await replica.set_delay(60_000)
        await servers.psql("INSERT INTO things VALUES (1)")
        position = await servers.primary.position()
        with pytest.raises(StoreUnavailableError, match=r"more than 0\.5 s behind"):
            async with open_analytics(settings, attempt=1, at_least=position, timeout_s=30):
                raise AssertionError("it lacks what is asked for")
