"""Two running platforms, shared by the tests of this folder: the stories, and a museum for what they cannot show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from tests.integration.service.api import Api, new_id
from tests.integration.service.museum import PROTOS, registry

from entresol.codegen.protos import compile_protos
from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.schema.load import load
from entresol.schema.model import Model
from entresol.testing.platforms import make_tables
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate
from entresol.transport.caller import Caller

ROOT = Path(__file__).resolve().parents[3]
LAG_MS = 60_000


@contextmanager
def database_of(databases: Databases, ready: Migrate) -> Iterator[Database]:
    database = asyncio.run(databases.create(ready, replicated=True))
    yield database
    asyncio.run(databases.drop(database))


def settings_of(database: Database, name: str, protos: Path, functions: str = "") -> Settings:
    return Settings.load(
        {},
        protos=str(protos),
        functions=functions,
        listen="127.0.0.1:0",
        database_write=database.write_url,
        database_read=database.read_urls,
        cache_url=database.servers.cache_url,
        cache_prefix=name,
        relay_slot=name,
        replica_poll_s=0.02,
        relay_tick_s=0.02,
    )


@pytest.fixture(scope="session")
def stories(databases: Databases, migrate_database: Migrate) -> Iterator[RunningPlatform]:
    functions = str(ROOT / "protos" / "stories" / "functions.py")
    with database_of(databases, migrate_database) as database:
        settings = settings_of(database, "stories", ROOT / "protos", functions)
        with RunningPlatform(settings) as running:
            yield running


@pytest.fixture(scope="session")
def museum_model() -> Model:
    return load(compile_protos(PROTOS))


@pytest.fixture(scope="session")
def museum_database(databases: Databases, museum_model: Model) -> Iterator[Database]:
    async def ready(url: str) -> None:
        await make_tables(url, museum_model)

    with database_of(databases, ready) as database:
        yield database


@pytest.fixture(scope="session")
def museum(museum_database: Database) -> Iterator[RunningPlatform]:
    with RunningPlatform(settings_of(museum_database, "museum", PROTOS), functions=registry()) as running:
        yield running


@pytest.fixture
def caller(stories: RunningPlatform) -> Iterator[Caller]:
    with Caller(stories.address) as caller:
        yield caller


@pytest.fixture(scope="session")
def stories_caller(stories: RunningPlatform) -> Iterator[Caller]:
    with Caller(stories.address) as caller:
        yield caller


@pytest.fixture(scope="session")
def museum_caller(museum: RunningPlatform) -> Iterator[Caller]:
    with Caller(museum.address) as caller:
        yield caller


@pytest.fixture
def api(stories: RunningPlatform, stories_caller: Caller) -> Api:
    """Give a caller of the stories, with a session of its own."""
    return Api(stories_caller, stories.platform.model)


@pytest.fixture
def halls(museum_caller: Caller, museum_model: Model) -> Api:
    """Give a caller of the museum, with a session of its own."""
    return Api(museum_caller, museum_model)


@pytest.fixture(scope="session")
def ann(stories: RunningPlatform, stories_caller: Caller) -> str:
    """Give the name of a user who writes what the tests need written."""
    api = Api(stories_caller, stories.platform.model)
    return str(api.call("CreateUser", user={"display_name": "Ann"}, user_id=new_id("ann")).name)


@pytest.fixture
def lagging(servers: EmbeddedServers) -> Callable[[], AbstractContextManager[None]]:
    """Give a block within which no replica replays what is committed."""

    @contextmanager
    def block() -> Iterator[None]:
        for replica in servers.replicas:
            asyncio.run(replica.set_delay(LAG_MS))
        try:
            yield
        finally:
            for replica in servers.replicas:
                asyncio.run(replica.set_delay(0))
            asyncio.run(servers.settle())

    return block
