"""What can be done to a server, and that it comes back from it."""

from __future__ import annotations

import asyncio
import time

import pytest

from entresol.embedded import EmbeddedServers
from entresol.errors import ServerCommandError

pytestmark = pytest.mark.timeout(60)


async def test_a_delayed_replica_shows_a_write_late(breakable: EmbeddedServers) -> None:
    (replica,) = breakable.replicas
    await replica.set_delay(400)
    began = time.monotonic()
    position = int(
        await breakable.psql("CREATE TABLE delayed (); SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    )
    assert await replica.replay_position() < position
    await replica.wait_for(position)
    assert time.monotonic() - began > 0.35
    await replica.set_delay(0)
    await breakable.psql("CREATE TABLE prompt ()")
    await breakable.settle(timeout_s=5)
    assert await replica.psql("SELECT to_regclass('prompt')") == "prompt"


async def test_waiting_for_a_replica_is_bounded(breakable: EmbeddedServers) -> None:
    (replica,) = breakable.replicas
    await replica.set_delay(60_000)
    await breakable.psql("CREATE TABLE out_of_sight ()")
    with pytest.raises(ServerCommandError, match="statement timeout"):
        await breakable.settle(timeout_s=0.2)
    await replica.set_delay(0)
    await breakable.settle()


async def test_a_killed_primary_keeps_what_was_committed(breakable: EmbeddedServers) -> None:
    await breakable.psql("CREATE TABLE survives ()")
    await breakable.primary.kill()
    assert not await breakable.primary.is_running()
    with pytest.raises(ServerCommandError):
        await breakable.psql("SELECT 1")
    await breakable.primary.start()
    assert await breakable.psql("SELECT to_regclass('survives')") == "survives"
    await breakable.settle()


async def test_a_killed_replica_follows_again(breakable: EmbeddedServers) -> None:
    (replica,) = breakable.replicas
    await replica.kill()
    await breakable.psql("CREATE TABLE missed ()")
    await replica.start()
    await breakable.settle()
    assert await replica.psql("SELECT to_regclass('missed')") == "missed"


async def test_a_stopped_server_starts_again(breakable: EmbeddedServers) -> None:
    for server in (*breakable.replicas, breakable.primary, breakable.redis):
        await server.stop()
        assert not await server.is_running()
        await server.start()
        await server.start()  # does nothing to one that runs
    await breakable.settle()


async def test_a_paused_primary_is_silent_until_it_goes_on(breakable: EmbeddedServers) -> None:
    await breakable.primary.pause()
    with pytest.raises(ServerCommandError, match="no answer"):
        await breakable.psql("SELECT 1", timeout_s=0.3)
    await breakable.primary.resume()
    assert await breakable.psql("SELECT 1") == "1"


async def test_a_paused_replica_stops_in_time(breakable: EmbeddedServers) -> None:
    (replica,) = breakable.replicas
    await replica.pause()
    await replica.stop()
    await replica.start()
    await breakable.settle()


async def test_a_promoted_replica_takes_writes_until_it_is_rebuilt(breakable: EmbeddedServers) -> None:
    (replica,) = breakable.replicas
    await replica.promote()
    await replica.psql("CREATE TABLE diverged ()")
    await replica.rebuild()
    await breakable.settle()
    assert await replica.psql("SELECT to_regclass('diverged'), pg_is_in_recovery()") == "|t"


async def test_redis_is_empty_after_a_kill(breakable: EmbeddedServers) -> None:
    await breakable.redis.command("SET", "key", "value")
    await breakable.redis.kill()
    with pytest.raises(ServerCommandError):
        await breakable.redis.command("PING")
    await breakable.redis.start()
    assert await breakable.redis.command("EXISTS", "key") == "0"


async def test_a_paused_redis_is_silent_until_it_goes_on(breakable: EmbeddedServers) -> None:
    await breakable.redis.pause()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(breakable.redis.command("PING"), 0.2)
    await breakable.redis.resume()
    assert await breakable.redis.command("PING") == "PONG"
