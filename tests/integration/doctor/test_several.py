"""What the doctor finds where the cache is several servers: each of them is looked at, and named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.cache.several import redis_cluster, redis_sentinels
from tests.integration.doctor.conftest import Patient

from entresol.doctor.finding import Severity


@pytest.mark.timeout(120)
async def test_every_server_of_a_cluster_is_looked_at(patient: Patient, tmp_path: Path) -> None:
    with redis_cluster(patient.servers.redis.argv[0], tmp_path / "cluster") as servers:
        hosts = ",".join(server.address for server in servers[:2])
        how = {"cache_url": f"redis+cluster://{hosts}", "cache_partitions": 12}
        assert len((await patient.facts(**how)).caches) == 3
        assert await patient.look("cache.mode", **how) == []
        memory = await patient.look("cache.memory", **how)
        assert {one.subject for one in memory} == {f"cache {server.address}" for server in servers[:3]}
        servers[1].client.config_set("maxmemory", "64mb")
        assert len(await patient.look("cache.memory", **how)) == 2
        few = {**how, "cache_partitions": 2}
        assert await patient.says("cache.mode", Severity.WARNING, "3 servers and 2 partitions", **few)
        one = {"cache_url": f"redis://{servers[0].address}/0"}
        assert await patient.says("cache.mode", Severity.ERROR, "part of a Redis Cluster", **one)


@pytest.mark.timeout(120)
async def test_the_primary_that_sentinels_keep_is_looked_at(patient: Patient, tmp_path: Path) -> None:
    with redis_sentinels(patient.servers.redis.argv[0], tmp_path / "kept") as (servers, sentinels):
        hosts = ",".join(sentinel.address for sentinel in sentinels)
        how = {"cache_url": f"redis+sentinel://{hosts}/cache"}
        assert await patient.look("cache.mode", "cache.replication", **how) == []
        replica = {"cache_url": f"redis://{servers[1].address}/0"}
        assert await patient.says("cache.mode", Severity.ERROR, "is a replica", **replica)
        sentinel = {"cache_url": f"redis://{sentinels[0].address}"}
        found = await patient.look("fleet.silence", "cache.mode", **sentinel)
        assert any("Sentinel" in one.remedy for one in found), found
