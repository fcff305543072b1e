"""What the doctor finds where the cache is several servers: each of them is looked at, and named."""

from __future__ import annotations

import pytest
from tests.integration.cache.several import redis_cluster, redis_sentinels
from tests.integration.doctor.conftest import Patient

from entresol.doctor.finding import Severity


@pytest.mark.timeout(120)
async def test_every_server_of_a_cluster_is_looked_at(patient: Patient) -> None:
    with redis_cluster() as several:
        servers = several.servers
        how = {"cache_url": several.url, "cache_partitions": 12}
        assert len((await patient.facts(**how)).caches) == 3
        assert await patient.look("cache.mode", **how) == []
        for server in servers[:3]:
            server.client.config_set("maxmemory", 0)
        memory = await patient.look("cache.memory", **how)
        assert {one.subject for one in memory} == {f"cache {server.address}" for server in servers[:3]}
        servers[1].client.config_set("maxmemory", "64mb")
        assert len(await patient.look("cache.memory", **how)) == 2
        few = {**how, "cache_partitions": 2}
        assert await patient.says("cache.mode", Severity.WARNING, "3 servers and 2 partitions", **few)
        one = {"cache_url": servers[0].url}
        assert await patient.says("cache.mode", Severity.ERROR, "part of a Redis Cluster", **one)


@pytest.mark.timeout(120)
async def test_the_primary_that_sentinels_keep_is_looked_at(patient: Patient) -> None:
    with redis_sentinels() as kept:
        how = {"cache_url": kept.url}
        assert await patient.look("cache.mode", "cache.replication", **how) == []
        replica = {"cache_url": kept.servers[1].url}
        assert await patient.says("cache.mode", Severity.ERROR, "is a replica", **replica)
        sentinel = {"cache_url": kept.sentinels[0].url}
        found = await patient.look("fleet.silence", "cache.mode", **sentinel)
        assert any("Sentinel" in one.remedy for one in found), found
