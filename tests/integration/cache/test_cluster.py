"""The cache on a Redis Cluster: partitions on several servers, one of which may die, and slots that move."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.integration.cache.several import RedisProcess, Several, owner, redis_cluster, until

from entresol.app import open_relay
from entresol.cache.entries import Entries
from entresol.cache.keys import Layout
from entresol.cache.server import check_server
from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.testing.platforms import Platforms, ServedPlatform
from entresol.testing.servers import run

PARTITIONS = 12
USERS = 60
PREFIX = "clustered"
LAYOUT = Layout(PREFIX, PARTITIONS, 4096)


@pytest.fixture
def several() -> Iterator[Several]:
    with redis_cluster() as started:
        yield started


@pytest.fixture
def cluster(several: Several) -> list[RedisProcess]:
    return several.servers


@pytest.fixture
def platform(platforms: Platforms, several: Several) -> Iterator[ServedPlatform]:
    of_two = ",".join(several.url.split(",")[:2])
    changes = {"cache_url": of_two, "cache_partitions": PARTITIONS, "cache_prefix": PREFIX}
    with platforms.serve(**changes, near_age_max_s=0.0) as served:
        yield served


def names() -> list[str]:
    return [f"users/u{number}" for number in range(USERS)]


def fill(platform: ServedPlatform) -> None:
    for name in names():
        platform.call(
            "stories.v1.UserService/CreateUser", user={"display_name": name}, user_id=name.partition("/")[2]
        )
    until(lambda: answered(platform) == {"cache": USERS}, 10)


def answered(platform: ServedPlatform) -> dict[str, int]:
    """Return who answered Gets, one for each user."""
    counts: dict[str, int] = {}
    for name in names():
        assert platform.call("stories.v1.UserService/GetUser", name=name).name == name
        who = platform.answered_by.partition(":")[0]
        counts[who] = counts.get(who, 0) + 1
    return counts


def shown(platform: ServedPlatform) -> set[str]:
    """Return what Gets show, of all users."""
    return {platform.call("stories.v1.UserService/GetUser", name=name).display_name for name in names()}


def place(name: str) -> bytes:
    return LAYOUT.place("users", name).entry


def test_records_are_spread_over_the_servers_and_stay_true(
    platform: ServedPlatform, cluster: list[RedisProcess]
) -> None:
    fill(platform)
    assert all(server.client.dbsize() > 2 for server in cluster[:3])
    batch = platform.call("stories.v1.UserService/BatchGetUsers", names=names())
    assert [user.name for user in batch.users] == names()
    assert platform.answered_by == "cache"
    run(platform.database.psql("UPDATE users SET display_name = 'changed'"))
    until(lambda: shown(platform) == {"changed"}, 5)


def test_a_server_that_dies_costs_its_share_until_its_replica_has_it(
    platform: ServedPlatform, cluster: list[RedisProcess]
) -> None:
    fill(platform)
    victim = cluster[1]
    share = sum(owner(cluster, place(name)) is victim for name in names())
    assert 0 < share < USERS
    victim.kill()
    found = answered(platform)
    assert found["cache"] == USERS - share
    run(platform.database.psql("UPDATE users SET display_name = 'meanwhile'"))
    until(lambda: shown(platform) == {"meanwhile"}, 3)  # the other partitions do not wait for this one
    until(lambda: owner(cluster, place(names()[0])).answers(), 20)
    until(lambda: answered(platform) == {"cache": USERS}, 30)
    assert shown(platform) == {"meanwhile"}
    run(platform.database.psql("UPDATE users SET display_name = 'changed'"))
    until(lambda: shown(platform) == {"changed"}, 5)


def test_a_slot_that_moves_is_found_again(platform: ServedPlatform, cluster: list[RedisProcess]) -> None:
    fill(platform)
    source = owner(cluster, place(names()[0]))
    target = next(server for server in cluster[:3] if server is not source)
    slot = int(source.client.execute_command("CLUSTER KEYSLOT", place(names()[0])))
    ids = [server.client.execute_command("CLUSTER MYID") for server in (source, target)]
    target.client.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[0])
    source.client.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[1])
    keys = source.client.execute_command("CLUSTER GETKEYSINSLOT", slot, 10_000)
    password = target.client.connection_pool.connection_kwargs["password"]
    to = ("127.0.0.1", target.port, "", 0, 5000, "AUTH", password)
    source.client.execute_command("MIGRATE", *to, "KEYS", *keys)
    for server in (target, source):
        server.client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[1])
    until(lambda: answered(platform) == {"cache": USERS}, 20)
    assert owner(cluster, place(names()[0])) is target


async def test_a_server_of_a_cluster_is_no_single_server(cluster: list[RedisProcess]) -> None:
    entries = Entries.open(replace(Settings(), cache_url=cluster[0].url))
    with pytest.raises(ConfigurationError, match=r"redis\+cluster://"):
        await check_server(entries.connection, 1)
    await entries.close()


async def test_a_relay_to_one_server_of_a_cluster_does_not_begin(
    platform: ServedPlatform, cluster: list[RedisProcess]
) -> None:
    settings = replace(platform.running.settings, cache_url=cluster[0].url)
    with pytest.raises(ConfigurationError, match=r"redis\+cluster://"):
        async with open_relay(settings):
            pytest.fail("it relays")


def test_fewer_partitions_than_servers_are_warned_of(
    platforms: Platforms, several: Several, caplog: pytest.LogCaptureFixture
) -> None:
    with platforms.serve(cache_url=several.url, cache_partitions=1):
        pass
    assert "ENTRESOL_CACHE_PARTITIONS" in caplog.text
