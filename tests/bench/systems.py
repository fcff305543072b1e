"""The systems under test: what each needs in the stores, and which processes it is."""

from __future__ import annotations

import abc
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import rows
from tests.bench.processes import ROOT, run_to_end
from tests.bench.stores import Stores


@dataclass(frozen=True)
class Command:
    """A process of a system: its CPU counts, whatever its role."""

    role: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


class System(abc.ABC):
    """One service that answers `stories.v1.StoryService/GetStory` and `UpdateStory` over the stores."""

    name: str

    @property
    def database(self) -> str:
        """Name of the database that only this system uses."""
        return f"bench_{self.name}"

    @abc.abstractmethod
    async def prepare(self, stores: Stores, row_count: int, seed: int) -> None:
        """Make the tables and the rows in an empty database."""

    @abc.abstractmethod
    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        """Return the processes that serve at `address`, with the cache or without one."""


class Entresol(System):
    """The platform: the server and, with a cache, the relay that keeps it coherent."""

    def __init__(self, name: str = "entresol", transport: str = "http2", near_age_s: float = 0.0) -> None:
        """Serve by this transport; without copies in the process, as the peers have none either, unless asked for."""
        self.name = name
        self._transport = transport
        self._near_age_s = near_age_s

    def settings(self, stores: Stores, *, cached: bool) -> dict[str, str]:
        return {
            "ENTRESOL_PROTOS": str(ROOT / "protos"),
            "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
            "ENTRESOL_MIGRATIONS": str(ROOT / "migrations"),
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
            await connection.execute("INSERT INTO users (name) VALUES ($1)", rows.AUTHOR)
            await rows.fill(connection, row_count, seed, uid_type="text")

    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        settings = self.settings(stores, cached=cached)
        serve = self._command("serve", settings | {"ENTRESOL_LISTEN": address})
        return (serve, self._command("relay", settings)) if cached else (serve,)


class GrpcAio(System):
    """The handwritten peer of `peers/grpc_aio.py`."""

    name = "grpc_aio"

    async def prepare(self, stores: Stores, row_count: int, seed: int) -> None:
        schema = (Path(__file__).parent / "peers" / "schema.sql").read_text()
        async with stores.connect(stores.write_to(self.database)) as connection:
            await connection.execute(schema)
            await rows.fill(connection, row_count, seed, uid_type="uuid")

    def commands(self, stores: Stores, address: str, *, cached: bool) -> tuple[Command, ...]:
        settings = {
            "--listen": address,
            "--database-write": stores.write_to(self.database),
            "--database-read": stores.read_from(self.database),
            "--cache": stores.cache if cached else "",
        }
        flags = (part for pair in settings.items() for part in pair)
        return (Command("serve", (sys.executable, "-m", "tests.bench.peers.grpc_aio", *flags)),)


SYSTEMS: Mapping[str, System] = {
    system.name: system
    for system in (
        Entresol(),
        Entresol("entresol_near", near_age_s=1.0),
        Entresol("entresol_grpcio", transport="grpcio"),
        GrpcAio(),
    )
}
