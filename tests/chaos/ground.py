"""What a scenario is played on: stores, servers, relays and clients as processes, a network between all, and a record.

Every process is owned by a guard that ends it when this process is gone, however it went.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.chaos.lag import Lag
from tests.chaos.network import Network, Target, at_port, at_socket
from tests.chaos.worker import Plan
from tests.chaos.workload import Crowd, Requests
from tests.consistency.checks.operation import Operation

from entresol.app import load_model
from entresol.cache.keys import Layout
from entresol.cli.folders import migration_folders
from entresol.config import Settings
from entresol.embedded import EmbeddedServers, PostgresServer
from entresol.embedded.polling import until
from entresol.embedded.postgres import MARK, free_port
from entresol.embedded.processes import Processes, last_lines
from entresol.storage.migrate import migrate

ROOT = Path(__file__).resolve().parents[2]
START_S = 60.0
END_S = 20.0
QUIET_S = 60.0
REDIS_S = 2.0
LONG_S = 60.0
META = "{entresol:0}:meta"
SERVE = ("-m", "entresol.cli.main", "serve")
RELAY = ("-m", "entresol.cli.main", "relay")


class ChaosError(Exception):
    """The scenario could not be played; the text says why. That is not a violation, and not a success."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that was broken, and when."""

    kind: str
    target: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: how many servers and relays, and the way of each worker."""

    servers: int = 3
    relays: int = 2
    ways: tuple[str, ...] = ("platform", "platform", "wire")
    platforms: int = 2  # in each worker's process
    sessions: int = 25  # of each worker; half as many over the wire
    shared: int = 12
    extra: tuple[str, ...] = ()
    busy: float = 0.25  # share of reads that go to shared and extra keys
    contention: float = 0.03  # share of writes of shared keys
    hurried: float = 0.0  # share of calls that are given up after some milliseconds
    pause_s: float = 0.05
    payload_bytes: int = 0
    lost_puts: float = 0.0  # share, of platforms in a worker's process
    settings: Mapping[str, str] = field(default_factory=dict)
    serve: tuple[str, ...] = SERVE  # arguments of Python

    def smaller(self) -> Cast:
        """Return a cast for a sample."""
        return replace(self, servers=min(self.servers, 2), ways=self.ways[-2:])

    @property
    def crowd(self) -> Crowd:
        """Return all clients."""
        return Crowd(
            workers=len(self.ways),
            sessions=self.sessions,
            shared=self.shared,
            extra=self.extra,
            busy=self.busy,
            contention=self.contention,
            hurried=self.hurried,
        )


class Ground:
    """Everything that runs. `opened` starts it and ends it."""

    def __init__(self, cast: Cast, servers: EmbeddedServers, folder: Path, seed: int, seconds: float) -> None:
        self.cast = cast
        self.servers = servers
        self.folder = folder
        self.seed = seed
        self.dice = random.Random(seed)
        self.seconds = seconds
        self.ends_s = 0.0
        self.faults: list[Fault] = []
        self.noted: list[Operation] = []  # what the faults themselves wrote, as psql does
        self.lag = Lag()
        self._watching: asyncio.Task[None] | None = None
        self.figures: dict[str, Any] = {}  # what a scenario wants to be told of
        self.loss: list[tuple[float, float]] = []  # moments between which promotions document a loss
        self._model = load_model(Settings(protos=str(ROOT / "protos")))
        self.requests = Requests(self._model, 0)
        self.primary: PostgresServer = servers.primary
        self.pair: Any = None  # of Redis, where a scenario needs two
        self.redis = Redis(
            unix_socket_path=str(servers.redis.socket), decode_responses=True, socket_timeout=REDIS_S
        )
        self.raw = Redis(unix_socket_path=str(servers.redis.socket), socket_timeout=REDIS_S)  # of bytes
        self.processes = Processes(None, [folder], folder / "guard.log")
        self.network = Network(
            {
                "redis": Target(at_socket(str(servers.redis.socket))),
                "primary": Target(at_port(servers.primary.port)),
                **{replica.name: Target(at_port(replica.port)) for replica in servers.replicas},
            }
        )
        self.server_names = [f"server-{number}" for number in range(1, cast.servers + 1)]
        self.relay_names = [f"relay-{number}" for number in range(1, cast.relays + 1)]
        self.plans: list[Plan] = []
        self._listen = {name: free_port() for name in self.server_names}
        self._environment: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def opened(cls, cast: Cast, folder: Path, seed: int, seconds: float) -> AsyncIterator[Ground]:
        """Start all of it, play clients, and end all of it."""
        settings = Settings.load()
        async with AsyncExitStack() as stack:
            servers = await stack.enter_async_context(
                await EmbeddedServers.start(postgres_bin=settings.postgres_bin, redis_bin=settings.redis_bin)
            )
            await migrate(servers.write_url, migration_folders(Settings(migrations=str(ROOT / "migrations"))))
            await servers.settle()
            ground = cls(cast, servers, folder, seed, seconds)
            stack.push_async_callback(ground.processes.close)
            stack.push_async_callback(ground.network.close)
            stack.push_async_callback(ground.close)
            await ground._start()
            yield ground

    async def close(self) -> None:
        """Let go of Redis, and look no more how far the cache is."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
            if not self._watching.cancelled() and (error := self._watching.exception()):
                raise error
        await self.redis.aclose()
        await self.raw.aclose()

    @property
    def is_long(self) -> bool:
        """Whether there is time for long faults."""
        return self.seconds >= LONG_S

    async def calm(self, shortest_s: float, longest_s: float) -> None:
        """Break nothing for a time between these."""
        await asyncio.sleep(self.dice.uniform(shortest_s, longest_s))

    @asynccontextmanager
    async def fault(self, kind: str, target: str) -> AsyncIterator[None]:
        """Note a fault, which lasts as long as the block."""
        start_s = time.monotonic()
        yield
        self.faults.append(Fault(kind, target, start_s, time.monotonic()))

    async def heal(self) -> None:
        """Start what is down of our own, servers with nothing amiss, and let replicas follow at once."""
        for name in self.server_names:
            if self.cast.serve != SERVE or await self.processes.exit_code(name) is not None:
                async with self.fault("heal", name):
                    await self.kill(name)
                    await self.start_server(name, SERVE)
        for link in self.network.links.values():
            link.heal()
        for replica in self.servers.replicas:
            if replica is not self.primary and await replica.is_running():
                await replica.set_delay(0)

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a process of ours with a signal, and return when it is gone."""
        await self.processes.signal(name, number)
        if not await self.processes.has_ended(name, END_S):
            raise ChaosError(f"{name} did not end after {number.name}. {last_lines(self.log(name), 4)}")

    def log(self, name: str) -> Path:
        """Return where a process prints."""
        return self.folder / f"{name}.log"

    def address(self, server: str) -> str:
        """Return where a server listens."""
        return f"127.0.0.1:{self._listen[server]}"

    async def start_server(self, name: str, arguments: Sequence[str] = (), **settings: str) -> None:
        """Start a server and return when it listens."""
        # Both transports serve, side by side; what a client sees must not tell them apart.
        transport = ("http2", "grpcio")[self.server_names.index(name) % 2]
        more = {"ENTRESOL_LISTEN": self.address(name), "ENTRESOL_TRANSPORT": transport, **settings}
        await self.start_process(name, arguments or self.cast.serve, more)

        async def listens() -> bool:
            with socket.socket() as probe:
                probe.settimeout(0.5)
                return probe.connect_ex(("127.0.0.1", self._listen[name])) == 0

        await self._until(name, listens)

    async def start_relay(self, name: str) -> None:
        """Start a relay, which works or stands by."""
        await self.start_process(name, RELAY, {})

    def entry(self, key: str) -> bytes:
        """Return where Redis has the entry of a key."""
        table = self._model.resources["stories.entresol.dev/User"].table
        return Layout("entresol", 1, Settings().cache_buckets).place(table, key).entry

    async def watermark(self) -> int:
        """Return what the cache has applied; 0 while it does not answer or knows nothing."""
        try:
            return int(await self.redis.hget(META, "W") or "0", 16)
        except (RedisError, OSError, TimeoutError):
            return 0

    async def caught_up(self, timeout_s: float = QUIET_S) -> None:
        """Return when the relay has applied all that is committed now."""
        position = int(await self.primary.psql(MARK))

        async def has_applied() -> bool:
            return await self.watermark() >= position

        if not await until(has_applied, timeout_s):
            raise ChaosError(f"the relay has not caught up within {timeout_s:g} s. {self.logs()}")

    async def settle(self, timeout_s: float) -> None:
        """Return when every replica that follows the primary has replayed what is committed now."""
        position = int(await self.primary.psql(MARK))
        for replica in self.servers.replicas:
            if replica is not self.primary and await replica.is_running():
                await replica.wait_for(position, timeout_s=timeout_s)

    async def appears(self, path: Path) -> None:
        """Return when a file is there that a process makes as a sign."""
        if not await until(lambda: asyncio.to_thread(path.exists), QUIET_S):
            raise ChaosError(f"{path.name} did not appear within {QUIET_S:g} s")

    async def rows(self) -> dict[str, int | None]:
        """Return the value of every key on the primary."""
        text = await self.primary.psql("SELECT name, display_name FROM users")
        return {name: int(value) for name, value in (line.split("|") for line in text.splitlines())}

    async def environment(self, process: str) -> dict[str, str]:
        """Return the settings of a process: every store by its own link."""
        links = {store: await self.network.link(process, store) for store in self.network.targets}
        password = self.servers.primary.tcp_url().partition("@")[0]
        databases = ["primary", *(replica.name for replica in self.servers.replicas)]
        hosts = {store: f"127.0.0.1:{links[store].port}" for store in databases}
        replicas = [f"{password}@{hosts[store]}/entresol?sslmode=disable" for store in databases[1:]]
        return {
            **self._environment,
            "ENTRESOL_DATABASE_WRITE": f"{password}@{','.join(hosts.values())}/entresol?sslmode=disable",
            "ENTRESOL_DATABASE_READ": " ".join(replicas),
            "ENTRESOL_CACHE_URL": f"redis://127.0.0.1:{links['redis'].port}/0",
            **self.cast.settings,
        }

    async def _start(self) -> None:
        descriptors = self.folder / "protos.binpb"
        descriptors.write_bytes(self._model.descriptor_set)
        self._environment = {
            "ENTRESOL_PROTOS": str(descriptors),
            "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
            "ENTRESOL_DATABASE_WRITE_CONNECTIONS": "4",
            "ENTRESOL_DATABASE_READ_CONNECTIONS": "4",
        }
        for name in self.relay_names:
            await self.start_relay(name)
        await asyncio.gather(*map(self.start_server, self.server_names))
        if self.relay_names:
            await self.caught_up(START_S)
            self._watching = asyncio.create_task(self.lag.watch(lambda: self.primary.url(), self.watermark))
        await asyncio.gather(*(self._start_worker(number, way) for number, way in enumerate(self.cast.ways)))
        self.ends_s = time.monotonic() + self.seconds

    async def _start_worker(self, number: int, way: str) -> None:
        name, cast = f"worker-{number}", self.cast
        plan = Plan(
            number=number,
            seed=self.seed,
            way=way,
            settings=await self.environment(name),
            addresses=[self.address(server) for server in self.server_names],
            platforms=cast.platforms,
            crowd=asdict(cast.crowd),
            pause_s=cast.pause_s,
            payload_bytes=cast.payload_bytes,
            lost_puts=cast.lost_puts,
            folder=str(self.folder),
        )
        self.plans.append(plan)
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(asdict(plan)))
        await self.start_process(name, ("-m", "tests.chaos.worker", str(path)), {})

        await self._until(name, lambda: asyncio.to_thread(plan.ready.exists))

    async def start_process(self, name: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        """Start Python with these arguments; what it prints is in its log."""
        environment = {**await self.environment(name), **settings}
        argv = ["/usr/bin/env", *(f"{key}={value}" for key, value in environment.items())]
        await self.processes.start(
            name, [*argv, sys.executable, *arguments], ROOT, self.log(name), signal.SIGKILL
        )

    async def _until(self, name: str, claim: Any) -> None:
        async def is_settled() -> bool:
            return await claim() or await self.processes.exit_code(name) is not None

        if not await until(is_settled, START_S) or not await claim():
            raise ChaosError(f"{name} did not start. {last_lines(self.log(name), 4)}")

    def logs(self) -> str:
        """Return what the relays printed last."""
        return "\n".join(last_lines(self.log(name), 2) for name in self.relay_names)
