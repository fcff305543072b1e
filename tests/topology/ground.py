"""What an event happens to: stores, servers and their balancer as real processes on loopback.

Every process but those of Redis is owned by a guard that ends it when this process is gone, however it went.
"""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import random
import signal
import socket
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.haproxy import haproxy
from tests.topology.load import Load
from tests.topology.patroni import patroni as patroni_programs
from tests.topology.patroni import postgres_bin

from entresol.app import load_model
from entresol.cli.balanced import databases
from entresol.cli.folders import migration_folders
from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers
from entresol.embedded.haproxy import Haproxy
from entresol.embedded.patroni import TTL_S, Patroni
from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port
from entresol.embedded.processes import Processes, last_lines
from entresol.schema.model import Model
from entresol.storage.migrate import migrate
from entresol.topology import Databases, Endpoint, Listen, Platforms, Topology, configuration

ROOT = Path(__file__).resolve().parents[2]
START_S, END_S, SEEN_S = 60.0, 20.0, 20.0
LAG_S_MAX = 1.0  # of a replica that the balancer gives reads to
PLATFORM, REPLICAS, PRIMARY = "be_platform", "be_replicas", "be_primary"
Row = Mapping[str, str]


class TopologyError(Exception):
    """What was to happen could not; the text says why."""


class Ground:
    """Everything that runs. `opened` starts it and ends it."""

    def __init__(
        self,
        servers: EmbeddedServers,
        folder: Path,
        model: Model,
        dice: random.Random,
    ) -> None:
        self.servers = servers
        self.names = ("server-1", "server-2")
        self.dice = dice
        self._ports = {name: free_port() for name in self.names}
        self._folder = folder
        self._processes = Processes(None, [], folder / "guard.log")
        self.listen = Listen(*(f"127.0.0.1:{free_port()}" for _ in range(4)))
        self.load = Load(self.listen.platform, model, dice)
        admin = int(self.listen.admin.rpartition(":")[2])
        text = configuration(self._topology(), model)
        self.balancer = Haproxy(haproxy(), text, admin, self._processes, folder, folder / "haproxy.log")

    @classmethod
    @asynccontextmanager
    async def opened(cls, seed: int, *, patroni: bool = False) -> AsyncIterator[Ground]:
        """Start all of it, and end all of it; the databases are embedded ones, or those that Patroni keeps."""
        settings = Settings.load()
        model = await asyncio.to_thread(load_model, Settings(protos=str(ROOT / "protos")))
        programs = await asyncio.to_thread(patroni_programs) if patroni else None
        async with AsyncExitStack() as stack:
            servers = await stack.enter_async_context(
                await EmbeddedServers.start(
                    cache=CacheKind.SENTINEL,
                    patroni=programs,
                    postgres_bin=postgres_bin() if patroni else settings.postgres_bin,
                    redis_bin=settings.redis_bin,
                )
            )
            folder = servers.temporary / "topology"
            folder.mkdir()
            ground = cls(servers, folder, model, random.Random(seed))
            stack.push_async_callback(ground._processes.close)
            await ground._start(model)
            yield ground

    async def start_server(self, name: str) -> None:
        """Start a server and return when the balancer gives it calls."""
        await self._start_python(name, "serve", "--listen", f"127.0.0.1:{self._ports[name]}")

        async def has_begun() -> bool:
            if await self._processes.exit_code(name) is not None:
                raise TopologyError(f"{name} ended. {self._log(name)}")
            return await asyncio.to_thread(self._listens, name)

        # First, for the balancer may not have seen yet that the one before has gone.
        await self.until(has_begun, f"{name} does not listen", START_S)
        await self.seen(PLATFORM, self._slot(name), "UP")

    async def end_server(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a server and return when it has ended."""
        await self._processes.signal(name, number)
        if not await self._processes.has_ended(name, END_S):
            raise TopologyError(f"{name} did not end. {self._log(name)}")

    async def strike(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a server."""
        await self._processes.signal(name, number)

    async def seen(self, backend: str, server: str, state: str, timeout_s: float = SEEN_S) -> None:
        """Return when the balancer takes a server for `UP`, or for `DOWN`."""

        async def is_seen() -> bool:
            return (await self.state(backend, server))["status"].startswith(state)

        await self.until(is_seen, f"the balancer has not seen {backend}/{server} {state}", timeout_s)

    async def until(self, claim: Callable[[], Awaitable[bool]], text: str, timeout_s: float = SEEN_S) -> None:
        """Return when something holds."""
        if not await until(claim, timeout_s):
            raise TopologyError(f"{text} within {timeout_s:g} s. {self._log('haproxy')}")

    async def state(self, backend: str, server: str) -> Row:
        """Return what the balancer knows of a server, by the names of its statistics."""
        return next(
            row for row in await self._rows() if (row["# pxname"], row["svname"]) == (backend, server)
        )

    async def answered(self) -> dict[str, int]:
        """Return how many calls each server was given until now."""
        return {name: int((await self.state(PLATFORM, self._slot(name)))["stot"]) for name in self.names}

    @property
    def patroni(self) -> Patroni:
        """Return what keeps the nodes."""
        assert self.servers.patroni is not None, "opened with patroni=True"
        return self.servers.patroni

    def replica_slot(self, number: int) -> str:
        """Return what the balancer calls a replica, the first of which has number 0."""
        return f"pg{number + 2}"

    async def _start(self, model: Model) -> None:
        (self._folder / "protos.binpb").write_bytes(model.descriptor_set)
        if not self.servers.patroni:
            await self.servers.trust(self._databases().role)
        folders = migration_folders(Settings(migrations=str(ROOT / "migrations")))
        await migrate(self.servers.write_url, folders)
        await self.balancer.start()

        async def are_told_apart() -> bool:
            rows = [
                row for row in await self._rows() if row["svname"].startswith("pg") and row["status"] == "UP"
            ]
            found = Counter(row["# pxname"] for row in rows)
            return (found[PRIMARY], found[REPLICAS]) == (1, 2)

        await self.until(are_told_apart, "the balancer does not know the primary from replicas")
        await self._start_python("relay", "relay")
        await asyncio.gather(*map(self.start_server, self.names))

    async def _start_python(self, name: str, *arguments: str) -> None:
        settings = {
            "ENTRESOL_PROTOS": str(self._folder / "protos.binpb"),
            "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
            "ENTRESOL_DATABASE_WRITE": self.servers.through(self.listen.writes),
            "ENTRESOL_DATABASE_READ": self.servers.through(self.listen.reads),
            "ENTRESOL_CACHE_URL": self.servers.cache_url,
            # The balancer asks each second, and twice before it believes; on a busy machine that takes its time.
            "ENTRESOL_DRAIN_DELAY_S": "4",
            # While one server does the work of two on such a machine, calls wait rather than are refused.
            "ENTRESOL_DATABASE_WAIT_S": "5",
            # Until another node leads, nobody can tell a replica that it has everything.
            **({"ENTRESOL_REPLICA_LAG_MAX_S": str(2 * TTL_S)} if self.servers.patroni else {}),
        }
        argv = ["/usr/bin/env", *(f"{key}={value}" for key, value in settings.items())]
        argv += [sys.executable, "-m", "entresol.cli.main", *arguments]
        await self._processes.start(name, argv, ROOT, self._folder / f"{name}.log", signal.SIGKILL)

    def logs(self) -> str:
        """Return what the servers and the balancer printed last."""
        return "\n".join(self._log(name) for name in (*self.names, "haproxy"))

    def _topology(self) -> Topology:
        return Topology(
            platforms=Platforms(tuple(Endpoint("127.0.0.1", self._ports[name]) for name in self.names)),
            databases=self._databases(),
            listen=self.listen,
        )

    def _databases(self) -> Databases:
        """Return what `up --topology` tells its balancer, but for a smaller lag, which takes less time to reach."""
        return dataclasses.replace(databases(self.servers), lag_s_max=LAG_S_MAX)

    def _slot(self, name: str) -> str:
        return f"p{self.names.index(name) + 1}"

    async def _rows(self) -> list[Row]:
        return await asyncio.to_thread(self._read_rows)

    def _listens(self, name: str) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            return probe.connect_ex(("127.0.0.1", self._ports[name])) == 0

    def _read_rows(self) -> list[Row]:
        with urllib.request.urlopen(f"http://{self.listen.admin}/stats;csv", timeout=5) as answer:
            return list(csv.DictReader(io.StringIO(answer.read().decode())))

    def _log(self, name: str) -> str:
        return last_lines(self._folder / f"{name}.log", 6)
