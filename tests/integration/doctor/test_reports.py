"""Which statements cost most, and which records are hot: a load of known shape is found again on real servers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner
from tests.integration.doctor.conftest import Patient

from entresol.cli.main import entresol
from entresol.testing.running import RunningPlatform
from entresol.transport.caller import Caller

USERS = "stories.v1.UserService"
USER = "stories.entresol.dev/User"


def report(patient: Patient, *arguments: str) -> Any:
    settings = patient.settings
    variables = {
        "ENTRESOL_PROTOS": settings.protos,
        "ENTRESOL_DATABASE_WRITE": settings.database_write,
        "ENTRESOL_DATABASE_READ": " ".join(settings.database_read),
        "ENTRESOL_CACHE_URL": settings.cache_url,
        "ENTRESOL_CACHE_PREFIX": settings.cache_prefix,
    }
    assert not {name for name in os.environ if name.startswith("ENTRESOL_DATABASE")}
    result = CliRunner().invoke(
        entresol, ["report", *arguments, "--json"], env=variables, standalone_mode=False
    )
    assert result.exception is None, result.output
    return json.loads(result.stdout)


@pytest.fixture
def served(patient: Patient) -> Iterator[RunningPlatform]:
    settings = replace(patient.settings, listen="127.0.0.1:0", near_age_max_s=0.0, relay_tick_s=0.02)
    with RunningPlatform(settings) as running:
        yield running


def made(served: RunningPlatform, count: int) -> list[str]:
    with Caller(served.address) as caller:
        request = {"user": {"display_name": "Ada"}}
        return [caller.call(f"{USERS}/CreateUser", request).reply.name for _ in range(count)]


def read(served: RunningPlatform, name: str, times: int) -> None:
    with Caller(served.address) as caller:
        for _ in range(times):
            caller.call(f"{USERS}/GetUser", {"name": name})


def configure(patient: Patient, name: str, value: str) -> None:
    asyncio.run(patient.servers.redis.command("CONFIG", "SET", name, value))


def test_hot_records_are_those_that_were_read_most(patient: Patient, served: RunningPlatform) -> None:
    configure(patient, "maxmemory-policy", "volatile-lfu")
    configure(
        patient, "lfu-log-factor", "1"
    )  # by the usual 10 some tens of reads are told from one by luck alone
    names = made(served, 10)
    read(served, names[3], 400)
    read(served, names[7], 60)
    for name in names:
        read(served, name, 1)
    facts = report(patient, "hot", "--limit", "3")
    assert facts["counted"] is True
    assert facts["remedy"] == ""
    records = facts["records"]
    assert [record["name"] for record in records[:2]] == [names[3], names[7]]
    assert {record["resource"] for record in records} == {USER}
    assert len(records) == 3
    assert records[0]["reads_per_minute"] > records[1]["reads_per_minute"] > 0
    configure(patient, "lfu-log-factor", "10")


def test_a_cache_that_does_not_count_says_how_it_would(patient: Patient, served: RunningPlatform) -> None:
    configure(patient, "maxmemory-policy", "volatile-lru")
    read(served, made(served, 1)[0], 2)
    facts = report(patient, "hot")
    assert facts["counted"] is False
    assert "volatile-lfu" in facts["remedy"]
    assert all(record["idle_s"] is not None for record in facts["records"])


def test_statements_that_are_not_counted_are_told_with_what_to_do(patient: Patient) -> None:
    facts = report(patient, "slow")
    assert facts["complete"] is False
    assert [lack["server"].partition(" ")[0] for lack in facts["lacks"]] == ["primary", "replica"]
    assert all("shared_preload_libraries" in lack["remedy"] for lack in facts["lacks"])


async def _restart(patient: Patient, change: str) -> None:
    """Have primary and replica begin anew with another setting."""
    for server in (patient.servers.primary, *patient.servers.replicas):
        await server.psql(change)
        await server.stop()
        await server.start()
    await patient.servers.settle()


async def _is_available(patient: Patient) -> bool:
    sql = "SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_stat_statements'"
    return await patient.database.psql(sql) == "1"


def test_statements_are_told_by_resource_and_operation_where_they_are_counted(patient: Patient) -> None:
    if not asyncio.run(_is_available(patient)):  # PostgreSQL's wheel has no contrib modules
        remedies = [lack["remedy"] for lack in report(patient, "slow")["lacks"]]
        assert all(remedy.startswith("install PostgreSQL's contrib package") for remedy in remedies)
        return
    asyncio.run(_restart(patient, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"))
    try:
        asyncio.run(patient.psql("CREATE EXTENSION pg_stat_statements"))
        asyncio.run(patient.servers.settle())
        assert asyncio.run(patient.look("database.statistics")) == []
        settings = replace(patient.settings, cache_url="", listen="127.0.0.1:0")
        with RunningPlatform(settings) as served:
            names = made(served, 5)
            read(served, names[0], 30)
        facts = report(patient, "slow", "--limit", "1000")
        assert facts["complete"] is True
        told = {(row["resource"], row["operation"], row["role"]): row for row in facts["statements"]}
        assert told[USER, "insert", "primary"]["calls"] == 5
        gets = [
            row["calls"]
            for (resource, operation, _), row in told.items()
            if (resource, operation) == (USER, "get")
        ]
        assert sum(gets) >= 30
        assert ("entresol", "replicas/poll", "replica") in told
        assert abs(sum(row["share"] for row in facts["statements"] if row["role"] == "primary") - 1) < 0.01
    finally:
        asyncio.run(patient.psql("DROP EXTENSION IF EXISTS pg_stat_statements"))
        asyncio.run(_restart(patient, "ALTER SYSTEM RESET shared_preload_libraries"))
    assert asyncio.run(patient.look("database.statistics"))
