"""Reads through a balancer, which leads each connection to another server: none promises what another has replayed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from tests.integration.storage.proxy import Proxy
from tests.integration.storage.test_pools import opened, reached, replicas, write

from entresol.config import Settings
from entresol.embedded import CacheKind, EmbeddedServers
from entresol.embedded.polling import until
from entresol.schema.model import Model, Resource
from entresol.storage.pools import Pools
from entresol.storage.store import Store
from entresol.testing.plugin import run
from entresol.testing.servers import Database, Databases

AT_ONCE = 6  # reads, and so connections


@pytest.fixture(scope="module")
def balanced() -> Iterator[EmbeddedServers]:
    """Give servers of the module's own, of which replicas are to lag."""
    started = run(EmbeddedServers.start(replicas=2, cache=CacheKind.NONE))
    yield started
    run(started.stop())


@pytest.fixture(scope="module")
def databases(balanced: EmbeddedServers) -> Databases:
    return Databases(balanced)


@pytest.fixture(autouse=True)
def whole(balanced: EmbeddedServers) -> Iterator[None]:
    async def mend() -> None:
        for replica in balanced.replicas:
            await replica.set_delay(0)

    yield
    run(mend())


@pytest.fixture
async def balancer(balanced: EmbeddedServers, database: Database) -> AsyncIterator[Proxy]:
    async with Proxy(*(replica.tcp_url(database.name) for replica in balanced.replicas)) as proxy:
        yield proxy


@pytest.fixture
def settings(balanced: EmbeddedServers, database: Database, balancer: Proxy) -> Settings:
    return Settings(
        database_write=database.write_url,
        database_read=(balancer.url("sslmode=disable"),),
        replica_poll_s=0.02,
    )


@pytest.fixture
def house(zoo: Model) -> Resource:
    return zoo.resources["zoo.example.com/House"]


@pytest.mark.parametrize("lagging", [0, 1])  # the first connection is the one that polls
async def test_what_was_written_is_read_by_who_wrote_it_though_one_of_two_replicas_lags(
    balanced: EmbeddedServers, settings: Settings, zoo: Model, house: Resource, lagging: int
) -> None:
    lags, follows = balanced.replicas[lagging], balanced.replicas[1 - lagging]
    async with opened(settings) as pools:
        store = Store(pools, zoo)
        await asyncio.gather(*(store.get(house, ["houses/none"]) for _ in range(AT_ONCE)))
        await lags.set_delay(60_000)
        for number in range(10):
            name = f"houses/h{number}"
            position = await write(store, house, name)
            await follows.wait_for(position)
            reads = await asyncio.gather(
                *(store.get(house, [name], at_least=position) for _ in range(AT_ONCE))
            )
            assert [list(read.rows) for read in reads] == [[name]] * AT_ONCE
            assert not any(str(lags.port) in str(read.source) for read in reads)
        reads = await asyncio.gather(*(store.get(house, ["houses/h0"]) for _ in range(AT_ONCE)))
        ports = {str(read.source).rpartition(":")[2] for read in reads}
        assert ports == {str(lags.port), str(follows.port)}  # or the above has proved nothing


@pytest.mark.parametrize("lagging", [0, 1])
async def test_no_connection_promises_what_another_server_has_replayed(
    balanced: EmbeddedServers, settings: Settings, zoo: Model, house: Resource, lagging: int
) -> None:
    await balanced.replicas[lagging].set_delay(60_000)
    async with opened(settings) as pools:
        store = Store(pools, zoo)
        for number in range(5):
            position = await write(store, house, f"houses/p{lagging}{number}")
            await balanced.replicas[1 - lagging].wait_for(position)
            promised = await asyncio.gather(*(_promised(pools) for _ in range(AT_ONCE)))
            assert all(position <= replayed for position, replayed in promised), promised
            assert len({replayed for _, replayed in promised}) > 1, "connections led to one server alone"


async def _promised(pools: Pools) -> tuple[int, int]:
    """Return the position that a lease promises, and the one that its server has replayed."""
    async with pools.read() as lease:
        assert lease.position is not None
        await asyncio.sleep(0.01)  # the others take connections of their own meanwhile
        return lease.position, await lease.connection.fetchval("SELECT pg_last_wal_replay_lsn()")


@pytest.mark.parametrize("lagging", [0, 1])
async def test_while_the_primary_is_away_who_wrote_is_led_to_a_replica_that_has_it(
    balanced: EmbeddedServers, settings: Settings, zoo: Model, house: Resource, lagging: int
) -> None:
    name = f"houses/away{lagging}"
    async with opened(settings) as pools:
        store = Store(pools, zoo)
        await asyncio.gather(*(store.get(house, ["houses/none"]) for _ in range(AT_ONCE)))
        await balanced.replicas[lagging].set_delay(60_000)
        position = await write(store, house, name)
        await balanced.replicas[1 - lagging].wait_for(position)
        await balanced.primary.kill()
        try:
            reads = await asyncio.gather(
                *(store.get(house, [name], at_least=position) for _ in range(AT_ONCE))
            )
            assert [list(read.rows) for read in reads] == [[name]] * AT_ONCE
        finally:
            await balanced.primary.start()


async def test_reads_leave_a_balancer_that_falls_back_to_the_primary_and_return_with_the_replicas(
    balanced: EmbeddedServers,
    balancer: Proxy,
    settings: Settings,
    zoo: Model,
    house: Resource,
    database: Database,
) -> None:
    async with opened(settings) as pools:
        store = Store(pools, zoo)
        assert (await store.get(house, ["houses/a"])).source.kind == "replica"
        of_replicas = balancer.urls
        balancer.urls = [balanced.primary.tcp_url(database.name)]
        balancer.cut()
        await reached(lambda: not replicas(pools)[0].live)
        await reached(lambda: "no replica" in replicas(pools)[0].reason)
        assert (await store.get(house, ["houses/a"])).source.kind == "primary"
        balancer.urls = of_replicas  # the connection to the primary stays: nobody cuts it
        await reached(lambda: replicas(pools)[0].live)
        assert (await store.get(house, ["houses/a"])).source.kind == "replica"


async def test_a_balancer_that_leads_to_one_that_lags_too_much_is_tried_again_until_it_leads_elsewhere(
    balanced: EmbeddedServers, balancer: Proxy, settings: Settings, zoo: Model, house: Resource
) -> None:
    lags, follows = balanced.replicas
    async with opened(replace(settings, replica_lag_max_s=0.2)) as pools:
        store = Store(pools, zoo)
        await lags.set_delay(60_000)
        await write(store, house, "houses/late")

        async def leads_elsewhere() -> bool:
            await write(
                store, house, f"houses/{uuid.uuid4()}"
            )  # of a primary that commits nothing nobody lags
            return str(follows.port) in str((await store.get(house, ["houses/late"])).source)

        assert await until(leads_elsewhere, 15)
