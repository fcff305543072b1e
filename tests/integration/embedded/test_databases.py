"""What the fixtures of entresol.testing.plugin give to a test."""

from __future__ import annotations

import asyncpg
import redis.asyncio

from entresol.embedded import EmbeddedServers
from entresol.testing.plugin import run
from entresol.testing.servers import Database, Databases, Migrate


async def test_a_database_is_migrated_and_on_every_replica(database: Database) -> None:
    for url in (database.write_url, *database.read_urls):
        connection = await asyncpg.connect(url, timeout=5)
        assert await connection.fetch("TABLE notes") == []
        await connection.close()
    await database.psql("INSERT INTO notes VALUES ('one')")
    await database.settle()


async def test_it_has_nothing_of_another_test(database: Database) -> None:
    assert await database.psql("TABLE notes") == ""


async def test_two_databases_share_nothing_but_the_migration(
    primary_database: Database, databases: Databases, migrate_database: Migrate
) -> None:
    await primary_database.psql("INSERT INTO notes VALUES ('one')")
    other = await databases.create(migrate_database)
    assert await other.psql("SELECT count(*) FROM notes") == "0"
    await databases.drop(other)


async def test_dropping_cuts_connections_and_drops_slots(
    databases: Databases, migrate_database: Migrate, servers: EmbeddedServers
) -> None:
    database = await databases.create(migrate_database, replicated=False)
    connection = await asyncpg.connect(database.write_url, timeout=5)
    await database.psql("SELECT pg_create_logical_replication_slot('left_behind', 'pgoutput')")
    await databases.drop(database)
    assert await servers.psql("SELECT FROM pg_replication_slots WHERE slot_name = 'left_behind'") == ""
    connection.terminate()


async def test_each_cache_is_empty(cache_url: str) -> None:
    await _is_empty_then_write(cache_url)


async def test_each_cache_is_empty_again(cache_url: str) -> None:
    await _is_empty_then_write(cache_url)


def test_servers_serve_more_than_one_event_loop(servers: EmbeddedServers) -> None:
    assert [run(servers.psql("SELECT 1")) for _ in range(2)] == ["1", "1"]


async def _is_empty_then_write(url: str) -> None:
    client = redis.asyncio.from_url(url)
    assert await client.dbsize() == 0
    await client.set("key", "value")
    await client.aclose()
