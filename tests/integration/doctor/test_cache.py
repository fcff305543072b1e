"""What the doctor finds at Redis: each thing is broken on a real server, seen, mended, and seen no more."""

from __future__ import annotations

import pytest
from tests.integration.doctor.conftest import Patient

from entresol.doctor.finding import Severity


@pytest.fixture(autouse=True)
async def _sound(patient: Patient) -> None:
    """Have the policy and the bound that the cache asks for, whatever the test before left."""
    for name, value in (("maxmemory-policy", "volatile-lfu"), ("maxmemory", "64mb")):
        await patient.servers.redis.command("CONFIG", "SET", name, value)


async def configure(patient: Patient, name: str, value: str) -> None:
    await patient.servers.redis.command("CONFIG", "SET", name, value)


async def test_a_sound_cache_has_no_finding_worse_than_a_note(patient: Patient) -> None:
    found = await patient.look("cache")
    assert {one.severity for one in found} <= {Severity.NOTE}, found


@pytest.mark.parametrize("policy", ["allkeys-lru", "noeviction"])
async def test_a_policy_that_does_not_fit_is_found(patient: Patient, policy: str) -> None:
    await configure(patient, "maxmemory-policy", policy)
    assert await patient.says("cache.eviction", Severity.WARNING, policy)
    await configure(patient, "maxmemory-policy", "volatile-lru")
    assert await patient.look("cache.eviction") == []


async def test_a_cache_that_is_full_and_evicts_nothing_is_an_error(patient: Patient) -> None:
    await configure(patient, "maxmemory-policy", "noeviction")
    await configure(patient, "maxmemory", "1mb")
    try:
        assert await patient.says("cache.eviction", Severity.ERROR, "noeviction")
    finally:
        await configure(patient, "maxmemory", "64mb")
    assert await patient.says("cache.eviction", Severity.WARNING, "noeviction")


async def test_memory_without_a_bound_is_found(patient: Patient) -> None:
    await configure(patient, "maxmemory", "0")
    assert await patient.says("cache.memory", Severity.WARNING, "no memory bound")
    await configure(patient, "maxmemory", "64mb")
    assert await patient.look("cache.memory") == []


async def test_writes_that_wait_for_replicas_are_found(patient: Patient) -> None:
    await configure(patient, "min-replicas-to-write", "1")
    try:
        assert await patient.says("cache.replication", Severity.ERROR, "has 0 replicas and wants 1")
    finally:
        await configure(patient, "min-replicas-to-write", "0")
    assert not await patient.says("cache.replication", Severity.ERROR, "replicas")


async def test_a_log_that_waits_for_the_disk_is_found(patient: Patient) -> None:
    await configure(patient, "appendfsync", "always")
    await configure(patient, "appendonly", "yes")
    try:
        assert await patient.says("cache.persistence", Severity.WARNING, "to disk first")
    finally:
        await configure(patient, "appendonly", "no")
        await configure(patient, "appendfsync", "everysec")
    assert await patient.look("cache.persistence") == []


async def test_a_cache_that_is_too_far_away_is_found(patient: Patient) -> None:
    assert await patient.says("cache.latency", Severity.WARNING, "quickest", cache_timeout_s=0.000_001)
    assert await patient.look("cache.latency", cache_timeout_s=60.0) == []


async def test_a_cache_that_is_away_hides_nothing_else(patient: Patient) -> None:
    away = "unix:///nowhere/redis.sock"
    assert await patient.says("fleet.silence", Severity.ERROR, "cache", cache_url=away)
    assert await patient.look("cache", cache_url=away) == []
    facts = await patient.facts(cache_url=away)
    assert facts.primary is not None
    assert facts.catalog is not None
    assert await patient.look("fleet.silence") == []
