"""The systems under test: what each needs in the stores, and which processes it is."""

from __future__ import annotations

import abc
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import asyncpg
from tests.bench import graph, rows
from tests.bench.processes import ROOT, free_address, run_to_end
from tests.bench.report import PYTHON
from tests.bench.stores import Stores

HERE = Path(__file__).parent
PEERS = HERE / "peers"
GO = PEERS / "go" / "build"
NODE_MODULES = PEERS / "fastify" / "node_modules"
GET_AND_UPDATE = frozenset({"get", "update"})
EVERY_KIND = GET_AND_UPDATE | {"create", "list", "batch_get", "modify"}


@dataclass(frozen=True)
class Command:
    """A process of a system: its CPU counts, whatever its role."""

    role: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Domain:
    """What a service is about: the protos and migrations of the platform, the tables of peers, and rows for both."""

    protos: Path
    migrations: Path
    functions: str
    tables: Path
    fill: Callable[..., Awaitable[None]]


async def _stories(
    connection: asyncpg.Connection,
    row_count: int,
    seed: int,
    *,
    uid_type: str,
    lines: Sequence[int] = rows.TEXT_LINES,
) -> None:
    if uid_type == "text":  # the platform knows what a story refers to
        await connection.execute("INSERT INTO users (name) VALUES ($1)", rows.AUTHOR)
    await rows.fill(connection, row_count, seed, uid_type=uid_type, lines=lines)


STORIES = Domain(
    ROOT / "protos",
    ROOT / "migrations",
    str(ROOT / "protos" / "stories" / "functions.py"),
    PEERS / "schema.sql",
    _stories,
)


def stories_of(lines: Sequence[int]) -> Domain:
    """Return the stories, with texts of so many lines in turn."""
    return replace(STORIES, fill=partial(_stories, lines=lines))


BY_HAND = replace(STORIES, functions=f"{STORIES.functions},{HERE / 'by_hand.py'}")
GUARDED = replace(STORIES, functions=f"{STORIES.functions},{HERE / 'policy.py'}")
GRAPH = Domain(
    HERE / "protos", HERE / "migrations", str(HERE / "graph_functions.py"), PEERS / "tao.sql", graph.fill
)


class System(abc.ABC):
    """One service over the stores: `speech` is how it is talked to, `kinds` what can be asked of it."""

    name: str
    speech: str = "grpc"
    kinds: frozenset[str] = EVERY_KIND
    warm_up: int = 0  # Gets until it is as quick as it will be

    @property
    def database(self) -> str:
        """Name of the database that only this system uses."""
        return f"bench_{self.name}"

    def missing(self) -> str | None:
        """Return why it cannot run on this machine, None when it can."""
        return None

    @abc.abstractmethod
    async def prepare(self, stores: Stores, row_count: int, seed: int) -> None:
        """Make the tables and the rows in an empty database."""

    @abc.abstractmethod
    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        """Return the processes that serve at `address`, with the cache or without one."""


class Entresol(System):
    """The platform: the server and, with a cache, the relay that keeps it coherent."""

    def __init__(
        self,
        name: str = "entresol",
        transport: str = "http2",
        near_age_s: float = 0.0,
        speech: str = "grpc",
        domain: Domain = STORIES,
        kinds: frozenset[str] = EVERY_KIND,
    ) -> None:
        """Serve by this transport; without copies in the process, as the peers have none either, unless asked for."""
        self.name = name
        self.speech = speech
        self.kinds = kinds
        self._domain = domain
        self._transport = transport
        self._near_age_s = near_age_s

    def settings(self, stores: Stores, *, cached: bool) -> dict[str, str]:
        return {
            "ENTRESOL_PROTOS": str(self._domain.protos),
            "ENTRESOL_FUNCTIONS": self._domain.functions,
            "ENTRESOL_MIGRATIONS": str(self._domain.migrations),
            "ENTRESOL_DATABASE_WRITE": stores.write_to(self.database),
            "ENTRESOL_DATABASE_READ": stores.read_from(self.database),
            "ENTRESOL_CACHE_URL": stores.cache if cached else "",
            "ENTRESOL_CACHE_PREFIX": self.database,
            "ENTRESOL_NEAR_AGE_MAX_S": str(self._near_age_s),
            "ENTRESOL_TRANSPORT": self._transport,
            "ENTRESOL_RELAY_SLOT": self.database,
            "ENTRESOL_RELAY_PUBLICATION": self.database,
        }

    def _command(self, role: str, settings: Mapping[str, str]) -> Command:
        return Command(role, (sys.executable, "-m", "entresol.cli.main", role), settings)

    async def prepare(self, stores: Stores, row_count: int, seed: int) -> None:
        migrate = self._command("migrate", self.settings(stores, cached=False))
        await run_to_end(migrate.arguments, migrate.environment)
        async with stores.connect(stores.write_to(self.database)) as connection:
            await self._domain.fill(connection, row_count, seed, uid_type="text")

    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        settings = self.settings(stores, cached=cached)
        listen = (
            {"ENTRESOL_LISTEN": address}
            if self.speech != "json"
            else {"ENTRESOL_LISTEN": free_address(), "ENTRESOL_WEB_LISTEN": address}
        )
        serve = self._command("serve", settings | listen)
        return (serve, self._command("relay", settings)) if cached else (serve,)


class Peer(System):
    """A handwritten service of `peers/`: `start` are the words that begin its command, `needs` what must be there."""

    def __init__(
        self,
        name: str,
        start: tuple[str, ...],
        speech: str,
        kinds: frozenset[str] = EVERY_KIND,
        needs: Path | None = None,
        domain: Domain = STORIES,
        warm_up: int = 0,
    ) -> None:
        self.name = name
        self.speech = speech
        self.kinds = kinds
        self.warm_up = warm_up
        self._start = start
        self._needs = needs
        self._domain = domain

    def missing(self) -> str | None:
        if self._needs is not None and not self._needs.exists():
            return f"{self._needs.relative_to(ROOT)} is not there: make peers"
        return None if shutil.which(self._start[0]) else f"there is no {self._start[0]} on this machine"

    async def prepare(self, stores: Stores, row_count: int, seed: int) -> None:
        async with stores.connect(stores.write_to(self.database)) as connection:
            await connection.execute(self._domain.tables.read_text())
            await self._domain.fill(connection, row_count, seed, uid_type="uuid")

    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        settings = {
            "--listen": address,
            "--database-write": stores.write_to(self.database),
            "--database-read": stores.read_from(self.database),
            "--cache": stores.cache if cached else "",
        }
        flags = (part for pair in settings.items() for part in pair)
        return (Command("serve", (*self._start, *flags), {"GOMAXPROCS": "1"}),)


def _python(module: str, *words: str) -> tuple[str, ...]:
    return (str(PYTHON), "-m", f"tests.bench.peers.{module}", *words)


SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        Entresol(),
        Entresol("entresol_near", near_age_s=1.0),
        Entresol("entresol_policy", near_age_s=1.0, domain=GUARDED, kinds=frozenset({"get"})),
        Entresol("entresol_grpcio", transport="grpcio"),
        Entresol("entresol_grpcio_near", transport="grpcio", near_age_s=1.0),
        Entresol("entresol_json", speech="json"),
        Entresol("entresol_by_hand", domain=BY_HAND, kinds=GET_AND_UPDATE),
        Peer("grpc_aio", (sys.executable, "-m", "tests.bench.peers.grpc_aio"), "grpc"),
        Peer("echo", (sys.executable, "-m", "tests.bench.peers.echo"), "grpc", frozenset({"get"})),
        Peer("grpc_sync", _python("grpc_sync"), "grpc", GET_AND_UPDATE, PYTHON),
        Peer("fastapi", _python("fastapi_stories", "--server", "uvicorn"), "json", needs=PYTHON),
        Peer("fastapi_granian", _python("fastapi_stories", "--server", "granian"), "json", needs=PYTHON),
        Peer("litestar", _python("litestar_stories"), "json", GET_AND_UPDATE, PYTHON),
        Peer("django", _python("django_stories"), "json", GET_AND_UPDATE, PYTHON),
        Peer(
            "fastify",
            ("node", str(PEERS / "fastify" / "server.mjs")),
            "json",
            needs=NODE_MODULES,
            warm_up=6000,  # its compiler looks at what is called often
        ),
        Entresol("graph_entresol", speech="graph", domain=GRAPH, kinds=graph.KINDS),
        Entresol("graph_entresol_near", near_age_s=1.0, speech="graph", domain=GRAPH, kinds=graph.KINDS),
        Peer(
            "graph_grpc_aio",
            (sys.executable, "-m", "tests.bench.peers.tao_grpc_aio"),
            "graph",
            graph.KINDS,
            domain=GRAPH,
        ),
        *(
            Peer(name, (str(GO / program),), "grpc", GET_AND_UPDATE | {"batch_get"}, GO / program)
            for name, program in (("go", "stories"), ("gozero", "gozero"))
        ),
    )
}
