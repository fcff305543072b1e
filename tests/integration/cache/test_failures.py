"""A Redis that is killed, paused, emptied, full or wrong is never an error to a caller."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.integration.cache.stage import ITEM, Stage

from entresol.cache import Entries, Entry, Rank, check_server
from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.errors import ConfigurationError
from entresol.testing import ManualClock


async def test_a_killed_redis_is_a_miss_and_an_empty_one_is_filled_again(
    stage: Stage, own_servers: EmbeddedServers
) -> None:
    async with stage.relaying() as relay:
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        await own_servers.redis.kill()
        assert await stage.look("a") is None
        assert not (await stage.entries.begin(ITEM, ["a"])).spots
        assert await stage.put(await stage.write("a", "new")) == "failed"
        await own_servers.redis.start()
        await relay.reached((await stage.write("b", "")).lsn)
        await stage.until_back()
        assert (await stage.cache("a")).message == b"new"


@pytest.mark.parametrize("redis_too", [False, True])
async def test_a_relay_holds_no_primary_up_that_shuts_down_whether_redis_is_there_or_not(
    stage: Stage, own_servers: EmbeddedServers, redis_too: bool
) -> None:
    async with stage.relaying() as relay:
        await stage.write("a", "body")
        await stage.applied()
        if redis_too:
            await own_servers.redis.kill()
        await stage.write("b", "body")  # the relay keeps it back, or has yet to apply it
        await own_servers.primary.stop()
        assert await own_servers.primary.was_stopped_in_order()
        await own_servers.primary.start()
        if redis_too:
            await own_servers.redis.start()
        async with asyncio.timeout(20):
            await relay.reached((await stage.write("b", "new", await stage.connect())).lsn)


async def test_a_silent_redis_opens_the_breaker_which_closes_by_itself(
    stage: Stage, own_servers: EmbeddedServers
) -> None:
    clock = ManualClock()
    settings = replace(
        stage.settings, cache_timeout_s=0.05, cache_breaker_failures=2, cache_breaker_reset_s=1.0
    )
    entries = Entries.open(settings, clock=clock)
    fill = await entries.begin(ITEM, ["a"])
    await entries.fill(fill, {"a": (1, b"x")}, None)
    await own_servers.redis.pause()
    try:
        assert await entries.get(ITEM, ["a"]) == [None]
        assert not entries.is_away
        assert await entries.get(ITEM, ["a"]) == [None]
        assert entries.is_away
        began_s = asyncio.get_running_loop().time()
        assert await asyncio.gather(*(entries.get(ITEM, ["a"]) for _ in range(50))) == [[None]] * 50
        assert asyncio.get_running_loop().time() - began_s < 0.05
        assert await entries.put(ITEM, "a", 2, Rank.VALUE, 1, b"y", mark=await entries.mark()) == "failed"
    finally:
        await own_servers.redis.resume()
    assert await entries.get(ITEM, ["a"]) == [None]
    clock.advance(1.0)
    (entry,) = await entries.get(ITEM, ["a"])
    assert entry is not None
    assert not entries.is_away
    await entries.close()


async def test_scripts_that_the_server_forgot_are_loaded_again(stage: Stage) -> None:
    first, second, third = [await stage.write("a", text) for text in ("one", "two", "three")]
    assert await stage.put(first) == "ok"
    await stage.redis("SCRIPT", "FLUSH")
    assert await stage.put(second) == "failed"
    assert await stage.put(third) == "ok"


async def test_a_command_that_is_cancelled_disturbs_no_other(stage: Stage) -> None:
    await stage.write("a", "body")
    async with stage.relaying():
        await stage.applied()
        await stage.cache("a")
        impatient = [asyncio.create_task(stage.look("a")) for _ in range(3)]
        patient = asyncio.create_task(stage.look("a"))
        await asyncio.sleep(0)
        for task in impatient:
            task.cancel()
        entry = await patient
        assert entry is not None
        assert entry.message == b"body"


async def test_an_error_of_one_command_is_a_failure_of_its_caller_alone(stage: Stage) -> None:
    await stage.redis("LPUSH", stage.entries.layout.place("items", "a").entry, "not an entry")
    broken, good = await asyncio.gather(
        stage.put(await stage.write("a", "one")), stage.put(await stage.write("b", "two"))
    )
    assert (broken, good) == ("failed", "ok")


@pytest.mark.parametrize("spoiled", ["entry", "watermark"])
async def test_what_a_stranger_wrote_is_a_miss_however_it_is_asked_for(stage: Stage, spoiled: str) -> None:
    entries, place = stage.entries, stage.entries.layout.place("items", "a")
    await stage.write("a", "body")
    async with stage.relaying():
        await stage.applied()
        await stage.cache("a")
        assert await stage.look("a") is not None
    meta = entries.layout.meta(place.partition)
    if spoiled == "entry":  # its version, which the generation, by which it is known for ours, stands before
        generation = await stage.redis("HGET", meta, "g")
        assert isinstance(generation, bytes)
        await stage.redis("SETRANGE", place.entry, len(generation), "?")
    else:
        await stage.redis("HSET", meta, "W", "?")
    assert await entries.get(ITEM, ["a"]) == [None]
    told: asyncio.Future[Sequence[Entry | None]] = asyncio.get_running_loop().create_future()
    entries.ask(ITEM, ["a"], told.set_result)
    assert await asyncio.wait_for(told, 5) == [None]


async def test_the_check_names_the_remedy(stage: Stage) -> None:
    connection = stage.entries.connection
    assert await check_server(connection, 1) == []
    await stage.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        (warning,) = await check_server(connection, 1)
        assert "allkeys-lru" in warning
        assert "volatile-lfu" in warning
        await stage.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
        assert "volatile-lfu" in (await check_server(connection, 1))[0]
    finally:
        await stage.redis("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
    limit = await stage.redis("CONFIG", "GET", "maxmemory")
    assert isinstance(limit, list)
    await stage.redis("CONFIG", "SET", "maxmemory", "0")
    try:
        assert "maxmemory" in (await check_server(connection, 1))[0]
    finally:
        await stage.redis("CONFIG", "SET", "maxmemory", limit[1])


async def test_a_replica_of_redis_is_refused(stage: Stage, own_servers: EmbeddedServers) -> None:
    await stage.redis("REPLICAOF", "localhost", "1")
    try:
        with pytest.raises(ConfigurationError, match="replica"):
            await check_server(stage.entries.connection, 1)
        assert await stage.put(await stage.write("a", "one")) == "failed"
    finally:
        await stage.redis("REPLICAOF", "NO", "ONE")


async def test_a_server_that_is_away_is_a_warning() -> None:
    entries = Entries.open(replace(Settings(), cache_url="unix:///nowhere"))
    (warning,) = await check_server(entries.connection, 1)
    assert "does not answer" in warning
    await entries.close()


@pytest.mark.parametrize("url", ["http://host", "localhost:6379", ""])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="cache_url"):
        Entries.open(replace(Settings(), cache_url=url))
