"""The zoo, with a field of every kind, on the servers of the session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.integration.storage.zoo import zoo_model

from entresol.config import Settings
from entresol.schema.model import Model
from entresol.storage.pools import Pools
from entresol.storage.store import Store
from entresol.testing.platforms import make_tables
from entresol.testing.servers import Database, Migrate


@pytest.fixture(scope="session")
def zoo() -> Model:
    return zoo_model()


@pytest.fixture(scope="session")
def migrate_database(zoo: Model) -> Migrate:
    async def apply(url: str) -> None:
        await make_tables(url, zoo)

    return apply


@pytest.fixture
def settings(database: Database) -> Settings:
    return Settings(database_write=database.write_url, database_read=database.read_urls, replica_poll_s=0.02)


@pytest.fixture
async def pools(settings: Settings) -> AsyncIterator[Pools]:
    pools = await Pools.open(settings)
    yield pools
    await pools.close()


@pytest.fixture
def store(pools: Pools, zoo: Model) -> Store:
    return Store(pools, zoo)
