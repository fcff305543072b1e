"""Redis servers that know of one another: a primary and its replica that Sentinels keep, or a cluster.

Beside the Unix socket of each, which we command it by, they listen on the loopback address, where they find one another
and clients find them, with a password: any user of the machine can reach it.
"""

from __future__ import annotations

import asyncio
import enum
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from entresol.embedded.folders import Folders
from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port
from entresol.embedded.processes import Processes, last_lines
from entresol.embedded.redis_server import RedisServer
from entresol.embedded.server import Server
from entresol.errors import ServerStartError

FAILED_MS = 1000  # of silence, after which a server is taken for dead
PRIMARIES, SENTINELS = 3, 3
NAME = "cache"  # by which Sentinels know the primary
_SLOTS = 16384
_BUS = 10_000  # what a cluster's servers add to the port for what they tell each other
_AGREE_S = 30.0


class CacheKind(enum.Enum):
    """What the cache is kept in."""

    NONE = "none"
    SERVER = "server"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Member(RedisServer):
    """One server of several. What it writes down of itself outlives its restarts, and ends with all of them."""

    def __init__(
        self,
        name: str,
        program: Path,
        folders: Folders,
        processes: Processes,
        password: str,
        *options: str,
    ) -> None:
        super().__init__(program, folders, processes, name)
        self.port = _free_port()
        self.options = options
        self._password = password
        self._greeting = (f"AUTH {password}",)
        self._file = self._folder / "redis.conf"

    @property
    def argv(self) -> list[str]:
        """Return the command line: the settings are in a file, for everybody may read command lines."""
        return [str(self._program), str(self._file)]

    @property
    def address(self) -> str:
        """Return host and port."""
        return f"127.0.0.1:{self.port}"

    async def info(self, section: str) -> dict[str, str]:
        """Return what it tells of itself."""
        lines = (await self.command("INFO", section)).splitlines()
        told = (line.partition(":") for line in lines)
        return {name: value for name, _, value in told}

    async def _prepare(self) -> None:
        await super()._prepare()
        if not await asyncio.to_thread(self._file.exists):
            await asyncio.to_thread(self._write)

    def _settings(self) -> dict[str, str]:
        own = {"port": str(self.port), "bind": "127.0.0.1"}
        return {**super()._settings(), **own, "requirepass": self._password, "masterauth": self._password}

    def _write(self) -> None:
        lines = [f'{name} "{value}"' for name, value in self._settings().items()]
        self._file.touch(mode=0o600)
        self._file.write_text("\n".join([*lines, *self.options, ""]))
        owner = self._folder.stat()
        os.chown(self._file, owner.st_uid, owner.st_gid)


class Sentinel(Member):
    """Who watches a primary. It asks for no password: clients send Sentinels none."""

    @property
    def argv(self) -> list[str]:
        """Return the command line."""
        return [*super().argv, "--sentinel"]

    def _settings(self) -> dict[str, str]:
        kept = ("port", "bind", "dir", "unixsocket", "unixsocketperm", "daemonize")
        return {name: value for name, value in super()._settings().items() if name in kept}


class SentinelRedis:
    """A primary, its replica, and the Sentinels that make the replica the primary when the other is gone."""

    def __init__(self, program: Path, folders: Folders, processes: Processes) -> None:
        self._password = secrets.token_urlsafe(18)
        parts = (program, folders, processes, self._password)
        self.members = tuple(Member(f"redis-{number}", *parts) for number in (1, 2))
        options = (
            f"sentinel monitor {NAME} {self.members[0].address.replace(':', ' ')} 2",
            f"sentinel auth-pass {NAME} {self._password}",
            f"sentinel down-after-milliseconds {NAME} {FAILED_MS}",
            f"sentinel failover-timeout {NAME} 5000",
        )
        names = [f"sentinel-{number}" for number in range(1, SENTINELS + 1)]
        self.sentinels = tuple(Sentinel(name, *parts, *options) for name in names)

    @property
    def program(self) -> str:
        """Return the path of the program."""
        return self.members[0].argv[0]

    def url(self) -> str:
        """Return the URL of whoever is the primary."""
        hosts = ",".join(sentinel.address for sentinel in self.sentinels)
        return f"redis+sentinel://:{self._password}@{hosts}/{NAME}"

    async def start(self) -> None:
        """Start all of them; return when the replica follows and the Sentinels know of one another."""
        primary, replica = self.members
        await asyncio.gather(primary.start(), replica.start())
        await replica.command("REPLICAOF", *primary.address.split(":"))
        await agreed(partial(is_linked, replica), replica)
        await asyncio.gather(*(sentinel.start() for sentinel in self.sentinels))
        for sentinel in self.sentinels:
            await agreed(partial(_knows_the_others, sentinel), sentinel)

    async def primary(self) -> Member:
        """Return the server that the Sentinels take for the primary."""
        told = (await self.sentinels[0].info("sentinel"))["master0"]
        return next(member for member in self.members if f"address={member.address}," in told)


class ClusterRedis:
    """A Redis Cluster: primaries that share the slots, each with a replica."""

    def __init__(self, program: Path, folders: Folders, processes: Processes) -> None:
        self._password = secrets.token_urlsafe(18)
        parts = (program, folders, processes, self._password)
        options = ("cluster-enabled yes", f"cluster-node-timeout {FAILED_MS}")
        names = [f"redis-{number}" for number in range(1, 2 * PRIMARIES + 1)]
        self.members = tuple(Member(name, *parts, *options) for name in names)

    @property
    def program(self) -> str:
        """Return the path of the program."""
        return self.members[0].argv[0]

    def url(self) -> str:
        """Return the URL of the cluster."""
        hosts = ",".join(member.address for member in self.members)
        return f"redis+cluster://:{self._password}@{hosts}"

    async def start(self) -> None:
        """Start all of them; return when each has its part and all take the cluster for whole."""
        first, *others = self.members
        await asyncio.gather(*(member.start() for member in self.members))
        for member in others:
            await first.command("CLUSTER", "MEET", *member.address.split(":"))
        primaries, replicas = self.members[:PRIMARIES], self.members[PRIMARIES:]
        for number, member in enumerate(primaries):
            slots = range(number * _SLOTS // PRIMARIES, (number + 1) * _SLOTS // PRIMARIES)
            await member.command("CLUSTER", "ADDSLOTS", *map(str, slots))
        for primary, replica in zip(primaries, replicas, strict=True):
            name = await primary.command("CLUSTER", "MYID")
            await agreed(partial(_knows, replica, name), replica)
            await replica.command("CLUSTER", "REPLICATE", name)
        for member in self.members:
            await agreed(partial(_is_whole, member), member)
        for replica in replicas:
            await agreed(partial(is_linked, replica), replica)


async def agreed(claim: Callable[[], Awaitable[bool]], server: Server) -> None:
    """Return once servers have found one another.

    Raises:
        ServerStartError: they have not in time.
    """
    if not await until(claim, _AGREE_S):
        raise ServerStartError(
            f"{server.name} did not find the others within {_AGREE_S:g} s. {last_lines(server.log)}"
        )


async def is_linked(replica: Member) -> bool:
    """Tell whether a replica follows its primary."""
    return (await replica.info("replication")).get("master_link_status") == "up"


async def _knows_the_others(sentinel: Member) -> bool:
    told = (await sentinel.info("sentinel"))["master0"].split(",")
    return f"sentinels={SENTINELS}" in told and "slaves=1" in told


async def _knows(member: Member, name: str) -> bool:
    return name in await member.command("CLUSTER", "NODES")


async def _is_whole(member: Member) -> bool:
    told = (await member.command("CLUSTER", "INFO")).splitlines()
    return "cluster_state:ok" in told and f"cluster_known_nodes:{2 * PRIMARIES}" in told


def _free_port() -> int:
    """Return a port that is free, as is the one of a cluster's bus."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port + _BUS))
            except OSError:
                continue
        return port
