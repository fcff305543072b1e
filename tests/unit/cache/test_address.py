"""What the setting `cache_url` may say."""

from __future__ import annotations

import pytest

from entresol.cache.address import parse
from entresol.errors import ConfigurationError


def test_one_server_is_named_by_host_or_socket() -> None:
    (host,) = parse("redis://ada:secret@cache:6380/2").hosts
    assert (host.host, host.port, host.user, host.password, host.database, host.tls) == (
        "cache",
        6380,
        "ada",
        "secret",
        2,
        None,
    )
    (socket,) = parse("unix:///run/redis.sock?db=3").hosts
    assert (socket.socket, socket.database, str(socket)) == ("/run/redis.sock", 3, "/run/redis.sock")
    assert parse("rediss://cache").hosts[0].tls is not None


def test_sentinels_are_named_with_what_they_call_the_primary() -> None:
    found = parse("redis+sentinel://ada:s%40cret@one,two:26380,[::1]:26381/cache/4")
    assert (found.kind, found.name, found.database) == ("sentinel", "cache", 4)
    assert [(host.host, host.port, host.password) for host in found.hosts] == [
        ("one", 26379, "s@cret"),
        ("two", 26380, "s@cret"),
        ("::1", 26381, "s@cret"),
    ]


def test_a_cluster_is_named_by_some_of_its_servers() -> None:
    found = parse("rediss+cluster://one,two:6380")
    assert (found.kind, [(host.host, host.port) for host in found.hosts]) == (
        "cluster",
        [("one", 6379), ("two", 6380)],
    )
    assert all(host.tls is not None for host in found.hosts)


@pytest.mark.parametrize(
    "url",
    [
        "http://cache",
        "redis+sentinel://one",
        "redis+cluster://one/cache",
        "redis+ring://one",
        "redis+cluster://one:x",
    ],
)
def test_what_says_nothing_is_a_mistake_with_a_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"setting cache_url: .*(write|no port)"):
        parse(url)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in str(parse("redis://:secret@cache").hosts[0])
