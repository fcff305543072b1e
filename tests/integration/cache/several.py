"""Redis servers of a test's own that know of one another, for tests that run in no event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import redis
from redis.crc import key_slot

from entresol.embedded.binaries import find_redis
from entresol.embedded.folders import open_folders
from entresol.embedded.processes import Processes
from entresol.embedded.redis_sets import ClusterRedis, Member, SentinelRedis
from entresol.testing.servers import run

_Set = TypeVar("_Set", ClusterRedis, SentinelRedis)


class RedisProcess:
    """One of the servers, and a client of it."""

    def __init__(self, member: Member, url: str) -> None:
        self._member = member
        self.port, self.address, self.url = member.port, member.address, url
        self.client = redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)

    def answers(self) -> bool:
        """Tell whether it does."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def role(self) -> str:
        """Return whether it is a master or a slave; nothing where it does not say, as while it becomes one."""
        try:
            return str(self.client.info("replication")["role"])
        except redis.RedisError:
            return ""

    def kill(self) -> None:
        """End it as a machine ends that loses its power."""
        run(self._member.kill())


@dataclass(frozen=True)
class Several:
    """Servers with data, Sentinels if there are any, and the URL of all."""

    servers: list[RedisProcess]
    sentinels: list[RedisProcess]
    url: str


@contextmanager
def redis_cluster() -> Iterator[Several]:
    """Give a cluster: three primaries, each with as many slots, and behind them a replica of each."""
    with _started(ClusterRedis) as cluster:
        url = cluster.url().replace("redis+cluster", "redis").partition(",")[0]
        yield Several([_process(member, url) for member in cluster.members], [], cluster.url())


@contextmanager
def redis_sentinels() -> Iterator[Several]:
    """Give a primary and its replica, and three Sentinels that know the primary as `cache`."""
    with _started(SentinelRedis) as kept:
        url = kept.url().replace("redis+sentinel", "redis").partition(",")[0]
        servers = [_process(member, url) for member in kept.members]
        sentinels = [RedisProcess(one, f"redis://{one.address}") for one in kept.sentinels]
        yield Several(servers, sentinels, kept.url())


def _process(member: Member, url: str) -> RedisProcess:
    """Return a server that is called as `url` says, but for the host."""
    return RedisProcess(member, f"{url.rpartition('@')[0]}@{member.address}")


@contextmanager
def _started(kind: type[_Set]) -> Iterator[_Set]:
    folders = open_folders(None)
    processes = Processes(folders.account, folders.temporary, folders.log("guard"))
    try:
        several = kind(find_redis("", folders), folders, processes)
        run(several.start())
        yield several
    finally:
        run(processes.close())


def owner(servers: list[RedisProcess], key: bytes) -> RedisProcess:
    """Return the server of a cluster that has a key, as one that answers says."""
    slot = key_slot(key)
    asked = next(server for server in servers if server.answers())
    for first, last, (_, port, *_), *_ in asked.client.execute_command("CLUSTER SLOTS"):
        if first <= slot <= last:
            return next(server for server in servers if server.port == port)
    raise AssertionError(f"nobody has slot {slot}")


def until(claim: Callable[[], object], timeout_s: float) -> None:
    """Return once `claim` holds; fail after `timeout_s`."""
    end_s = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < end_s, "it did not come about in time"
        time.sleep(0.02)
