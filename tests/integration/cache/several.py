"""Redis servers of a test's own that know of one another: a cluster, or a primary that Sentinels keep."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import redis
from redis.crc import key_slot

SLOTS = 16384
START_S, AGREE_S, STOP_S = 10.0, 30.0, 5.0
BUS = 10_000  # what a cluster's servers add to the port for what they tell each other
FAILED_MS = 1000  # of silence, after which a server is taken for dead


class RedisProcess:
    """One server, in a folder of its own."""

    def __init__(self, program: str, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True)
        self.port = _free_port()
        self.options = options
        self._program = program
        self._folder = folder
        self._config = folder / "redis.conf"
        self._config.write_text(
            "\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", "save ''", *options])
        )

    def start(self) -> None:
        """Start it, with what it had written down of itself before."""
        sentinel = ("--sentinel",) if any("sentinel" in option for option in self.options) else ()
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, str(self._config), *sentinel], stdout=log, stderr=log
            )
        self.client = redis.Redis(port=self.port, socket_timeout=5, decode_responses=True)
        until(self.answers, START_S)

    def answers(self) -> bool:
        """Tell whether it does."""
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """End it as a machine ends that loses its power."""
        self._process.kill()
        self._process.wait(STOP_S)

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"


@contextmanager
def redis_cluster(program: str, folder: Path, primaries: int = 3) -> Iterator[list[RedisProcess]]:
    """Give a cluster: the primaries, each with as many slots, and behind them a replica of each."""
    options = ("cluster-enabled yes", f"cluster-node-timeout {FAILED_MS}", "appendonly no")
    with _running(program, folder, 2 * primaries, options) as servers:
        first, step = servers[0], SLOTS // primaries
        for other in servers[1:]:
            first.client.execute_command("CLUSTER MEET", "127.0.0.1", other.port)
        for number, server in enumerate(servers[:primaries]):
            last = SLOTS if number == primaries - 1 else (number + 1) * step
            server.client.execute_command("CLUSTER ADDSLOTS", *range(number * step, last))
        until(lambda: all(_known(server) == len(servers) for server in servers), AGREE_S)
        for primary, replica in zip(servers, servers[primaries:], strict=False):
            name = primary.client.execute_command("CLUSTER MYID")
            until(lambda name=name, replica=replica: name in _nodes(replica), AGREE_S)  # type: ignore[misc]
            replica.client.execute_command("CLUSTER REPLICATE", name)
        until(lambda: all(_is_ok(server) for server in servers), AGREE_S)
        until(lambda: all(_is_linked(server) for server in servers[primaries:]), AGREE_S)
        yield servers


@contextmanager
def redis_sentinels(program: str, folder: Path) -> Iterator[tuple[list[RedisProcess], list[RedisProcess]]]:
    """Give a primary and its replica, and three Sentinels that know the primary as `cache`."""
    with _running(program, folder / "data", 2, ()) as servers:
        primary, replica = servers
        replica.client.execute_command("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda: _is_linked(replica), AGREE_S)
        options = (
            f"sentinel monitor cache 127.0.0.1 {primary.port} 2",
            f"sentinel down-after-milliseconds cache {FAILED_MS}",
            "sentinel failover-timeout cache 5000",
        )
        with _running(program, folder / "sentinels", 3, options) as sentinels:
            until(lambda: all(_others(sentinel) == 2 for sentinel in sentinels), AGREE_S)
            yield servers, sentinels


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


@contextmanager
def _running(
    program: str, folder: Path, count: int, options: tuple[str, ...]
) -> Iterator[list[RedisProcess]]:
    with ExitStack() as stack:
        servers = [RedisProcess(program, folder / str(number), *options) for number in range(count)]
        for server in servers:
            server.start()
            stack.callback(server.kill)
        yield servers


def _nodes(server: RedisProcess) -> str:
    return str(server.client.execute_command("CLUSTER NODES"))


def _known(server: RedisProcess) -> int:
    return int(server.client.execute_command("CLUSTER INFO")["cluster_known_nodes"])


def _is_ok(server: RedisProcess) -> bool:
    return bool(server.client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")


def _is_linked(replica: RedisProcess) -> bool:
    return replica.client.info("replication").get("master_link_status") == "up"


def _others(sentinel: RedisProcess) -> int:
    return int(sentinel.client.execute_command("SENTINEL MASTER", "cache")["num-other-sentinels"])


def _free_port() -> int:
    """Return a port that is free, as is the one of a cluster's bus."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            if port + BUS > 65_535:
                continue
            try:
                socket.create_server(("127.0.0.1", port + BUS)).close()
            except OSError:
                continue
            return int(port)
