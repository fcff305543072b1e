"""What the servers are once they run."""

from __future__ import annotations

import asyncpg
import pytest
import redis.asyncio

from entresol.embedded import EmbeddedServers
from entresol.errors import ServerCommandError


async def test_a_write_reaches_every_replica(servers: EmbeddedServers) -> None:
    await servers.psql("CREATE TABLE reached (number int); INSERT INTO reached VALUES (7)")
    await servers.settle()
    assert [await replica.psql("TABLE reached") for replica in servers.replicas] == ["7", "7"]


async def test_a_replica_refuses_writes(servers: EmbeddedServers) -> None:
    with pytest.raises(ServerCommandError, match="read-only transaction"):
        await servers.replicas[0].psql("CREATE TABLE refused ()")


async def test_asyncpg_takes_every_url(servers: EmbeddedServers) -> None:
    for url in (servers.write_url, *servers.read_urls, servers.primary.tcp_url()):
        connection = await asyncpg.connect(url, timeout=5)
        assert await connection.fetchval("SELECT current_database()") == "entresol"
        await connection.close()


async def test_tcp_needs_the_password(servers: EmbeddedServers) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(servers.primary.tcp_url().replace("entresol:", "entresol:not-"), timeout=5)


async def test_only_the_owner_may_enter_where_the_socket_is(servers: EmbeddedServers) -> None:
    assert servers.primary.sockets.stat().st_mode & 0o077 == 0


async def test_postgresql_does_not_run_as_root(servers: EmbeddedServers) -> None:
    assert servers.primary.data.stat().st_uid != 0


async def test_the_primary_decodes_its_changes(servers: EmbeddedServers) -> None:
    await servers.psql(
        "CREATE TABLE decoded (number int);"
        "CREATE PUBLICATION decoded FOR TABLE decoded;"
        "SELECT pg_create_logical_replication_slot('decoded', 'pgoutput');"
        "INSERT INTO decoded VALUES (1)"
    )
    kinds = await servers.psql(
        "SELECT chr(get_byte(data, 0)) FROM pg_logical_slot_get_binary_changes("
        "'decoded', NULL, NULL, 'proto_version', '1', 'publication_names', 'decoded')"
    )
    await servers.psql("SELECT pg_drop_replication_slot('decoded')")
    assert kinds.split() == ["B", "R", "I", "C"]


async def test_letters_of_every_script_have_two_cases(servers: EmbeddedServers) -> None:
    assert await servers.psql("SELECT upper('éß'), 'a' < 'B'") == "Éß|f"


async def test_redis_evicts_only_what_may_expire_and_keeps_nothing_on_disk(servers: EmbeddedServers) -> None:
    client = redis.asyncio.from_url(servers.cache_url, decode_responses=True)
    settings = await client.config_get("maxmemory-policy", "save", "appendonly")
    await client.aclose()
    assert settings == {"maxmemory-policy": "volatile-lru", "save": "", "appendonly": "no"}


async def test_statements_are_transactions_of_their_own(servers: EmbeddedServers) -> None:
    with pytest.raises(ServerCommandError, match="division by zero"):
        await servers.psql("CREATE TABLE kept (); SELECT 1/0; CREATE TABLE not_reached ()")
    assert await servers.psql("SELECT to_regclass('kept'), to_regclass('not_reached')") == "kept|"


async def test_a_refused_redis_command_is_an_error(servers: EmbeddedServers) -> None:
    with pytest.raises(ServerCommandError, match="unknown command"):
        await servers.redis.command("NONSENSE")
