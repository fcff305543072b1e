"""The cache behind Sentinels: a primary that dies is followed by its replica, and no read fails meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.integration.cache.several import Several, redis_sentinels, until

from entresol.testing.platforms import Platforms, ServedPlatform
from entresol.testing.servers import run

NAME = "users/ada"


@pytest.fixture
def kept() -> Iterator[Several]:
    with redis_sentinels() as started:
        yield started


@pytest.fixture
def platform(platforms: Platforms, kept: Several) -> Iterator[ServedPlatform]:
    with platforms.serve(cache_url=kept.url, near_age_max_s=0.0) as served:
        served.call("stories.v1.UserService/CreateUser", user={"display_name": "Ada"}, user_id="ada")
        until(lambda: read(served)[1] == "cache", 10)
        yield served


def read(platform: ServedPlatform) -> tuple[str, str]:
    """Return what a Get shows, and who answered it."""
    user = platform.call("stories.v1.UserService/GetUser", name=NAME)
    return user.display_name, platform.answered_by.partition(":")[0]


def test_a_primary_that_dies_is_followed_by_its_replica(platform: ServedPlatform, kept: Several) -> None:
    primary, replica = kept.servers
    primary.kill()
    end_s = time.monotonic() + 30
    while read(platform) != ("Ada", "cache"):  # each of them is answered, whoever does it
        assert time.monotonic() < end_s
        time.sleep(0.01)
    assert replica.role() == "master"
    run(platform.database.psql("UPDATE users SET display_name = 'Countess'"))
    until(lambda: read(platform)[0] == "Countess", 5)


def test_a_primary_that_comes_back_as_a_replica_is_not_taken_for_one(
    platform: ServedPlatform, kept: Several
) -> None:
    primary, replica = kept.servers
    kept.sentinels[0].client.execute_command("SENTINEL FAILOVER", "cache")
    until(lambda: replica.role() == "master", 20)
    until(lambda: primary.role() == "slave", 20)
    until(lambda: read(platform)[1] == "cache", 20)
    for name in ("Byron", "Lovelace"):
        run(platform.database.psql(f"UPDATE users SET display_name = '{name}'"))
        until(lambda name=name: read(platform)[0] == name, 5)  # type: ignore[misc]


def test_a_sentinel_that_is_gone_is_passed_over(platforms: Platforms, kept: Several) -> None:
    kept.sentinels[0].kill()
    with platforms.serve(cache_url=kept.url, near_age_max_s=0.0) as served:
        served.call("stories.v1.UserService/CreateUser", user={"display_name": "Ada"}, user_id="ada")
        until(lambda: read(served)[1] == "cache", 10)
