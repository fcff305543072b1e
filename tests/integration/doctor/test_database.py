"""What the doctor finds at PostgreSQL: each thing is broken on real servers, seen, mended, and seen no more."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from tests.integration.doctor.conftest import Patient

from entresol.doctor import database as database_checks
from entresol.doctor import indexes as index_checks
from entresol.doctor import queue as queue_checks
from entresol.doctor.facts import Fleet
from entresol.doctor.finding import Severity
from entresol.testing import ManualClock

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


async def reconfigure(patient: Patient, *statements: str) -> None:
    """Change settings of the primary and wait until sessions that begin now have them."""
    await patient.psql(*statements, "SELECT pg_reload_conf()")


async def test_sound_servers_have_no_error_but_that_nobody_relays(patient: Patient) -> None:
    found = await patient.look()
    errors = [one for one in found if one.severity is ERROR]
    assert [one.subject for one in errors] == [f"slot {patient.settings.relay_slot}"], found


async def test_pools_that_do_not_fit_are_told_with_their_sum(patient: Patient) -> None:
    fleet = Fleet(servers=3, processes=8, workers=2)
    assert await patient.says("fleet.connections", ERROR, "3 servers x 8 processes x (8 + 8)", fleet=fleet)
    assert await patient.look("fleet.connections") == []


async def test_limits_of_the_database_count_as_those_of_the_server(patient: Patient) -> None:
    name = patient.database.name
    await patient.psql(f"ALTER DATABASE {name} CONNECTION LIMIT 20")
    try:
        assert await patient.says("fleet.connections", ERROR, "there is room for 20")
    finally:
        await patient.psql(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
    assert await patient.look("fleet.connections") == []


async def test_clocks_that_differ_are_found(patient: Patient) -> None:
    true = patient.clock
    patient.clock = ManualClock(true.now_s() - 40.0)
    try:
        assert await patient.says("fleet.clocks", ERROR, "s ahead of this machine's")
        subjects = {one.subject.partition(" ")[0] for one in await patient.look("fleet.clocks")}
        assert subjects == {"primary", "replica", "cache"}
        patient.clock = ManualClock(true.now_s() + 10.0)
        assert await patient.says("fleet.clocks", WARNING, "s behind this machine's")
    finally:
        patient.clock = true
    assert await patient.look("fleet.clocks") == []


async def test_a_slot_that_nobody_reads_is_found_until_it_is_dropped(patient: Patient) -> None:
    await patient.psql("SELECT pg_create_logical_replication_slot('forgotten', 'pgoutput')")
    try:
        await patient.psql("SELECT pg_switch_wal()", "SELECT pg_switch_wal()")
        assert await patient.says("slots.inactive", WARNING, "slot forgotten")
    finally:
        await patient.psql("SELECT pg_drop_replication_slot('forgotten')")
    assert await patient.look("slots.inactive") == []


async def test_a_relay_that_does_not_run_is_found(patient: Patient) -> None:
    slot = patient.settings.relay_slot
    assert await patient.says("slots.relay", ERROR, f"slot {slot} does not exist")
    await patient.psql(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    try:
        assert await patient.says("slots.relay", ERROR, f"slot {slot} is not read")
    finally:
        await patient.psql(f"SELECT pg_drop_replication_slot('{slot}')")
    assert await patient.look("slots.relay", cache_url="") == []


async def test_commits_that_may_be_lost_are_found(patient: Patient) -> None:
    await reconfigure(patient, "ALTER SYSTEM SET synchronous_commit = off")
    try:
        await patient.until(lambda: patient.says("database.durability", ERROR, "synchronous_commit is off"))
    finally:
        await reconfigure(patient, "ALTER SYSTEM RESET synchronous_commit")
    await patient.until(lambda: _silent(patient, "database.durability", "synchronous_commit"))


async def test_commits_that_wait_for_nobody_are_found(patient: Patient) -> None:
    await reconfigure(patient, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    try:
        await patient.until(lambda: patient.says("database.durability", ERROR, "'nobody'"))
    finally:
        await reconfigure(patient, "ALTER SYSTEM RESET synchronous_standby_names")
    await patient.until(lambda: _silent(patient, "database.durability", "nobody"))
    assert await patient.says("database.durability", NOTE, "no standby is synchronous")


async def _silent(patient: Patient, only: str, text: str) -> bool:
    return all(text not in one.problem for one in await patient.look(only))


@pytest.mark.parametrize(
    ("setting", "value", "severity"),
    [
        ("default_transaction_isolation", "'repeatable read'", WARNING),
        ("default_transaction_read_only", "on", ERROR),
        ("idle_session_timeout", "'10min'", WARNING),
    ],
)
async def test_settings_that_the_platform_does_not_count_on_are_found(
    patient: Patient, setting: str, value: str, severity: Severity
) -> None:
    name = patient.database.name
    await patient.psql(f"ALTER DATABASE {name} SET {setting} = {value}")
    try:
        assert await patient.says("database.parameters", severity, setting)
    finally:
        server = patient.servers.primary
        await server.psql(f"ALTER DATABASE {name} RESET {setting}", database="postgres")
    assert await patient.look("database.parameters") == []


async def test_a_transaction_that_stays_open_is_found_until_it_ends(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_checks, "LONG_S", 0.0)
    connection = await asyncpg.connect(patient.database.write_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT 'left open'")
        assert await patient.says("database.transactions", WARNING, "left open")
        await transaction.rollback()
        assert await _silent(patient, "database.transactions", "left open")
    finally:
        await connection.close()


async def test_an_index_that_is_dropped_is_missing_until_it_is_made_again(patient: Patient) -> None:
    index = patient.model.by_message["stories.v1.Story"].indexes[0]
    definition = await patient.database.psql(
        f"SELECT indexdef FROM pg_indexes WHERE indexname = '{index.name}'"
    )
    await patient.psql(f"DROP INDEX {index.name}")
    try:
        found = await patient.look("indexes.missing")
        assert any("public.stories" in one.subject for one in found)
        assert any(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index.name}" in one.remedy for one in found)
    finally:
        await patient.psql(definition)
    assert await patient.look("indexes") == []


async def test_an_index_that_was_broken_off_is_found_until_it_is_dropped(patient: Patient) -> None:
    await patient.psql("CREATE TABLE public.doubled (x int)", "INSERT INTO public.doubled VALUES (1), (1)")
    try:
        with pytest.raises(Exception, match="could not create unique index"):
            await patient.psql("CREATE UNIQUE INDEX CONCURRENTLY doubled_idx ON public.doubled (x)")
        assert await patient.says("indexes.invalid", WARNING, "public.doubled_idx")
        await patient.psql("DROP INDEX CONCURRENTLY public.doubled_idx")
        assert await patient.look("indexes.invalid") == []
    finally:
        await patient.psql("DROP TABLE public.doubled")


async def test_a_large_index_is_unused_until_some_server_reads_it(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_checks, "UNUSED_BYTES", 4096)
    await patient.psql(
        "CREATE TABLE large AS SELECT x FROM generate_series(1, 5000) x",
        "CREATE INDEX large_idx ON large (x)",
    )
    try:
        assert await patient.says("indexes.unused", NOTE, "large_idx")
        await patient.servers.settle()
        replica = await asyncpg.connect(patient.database.read_urls[0])
        try:
            await replica.execute("SET enable_seqscan = off")
            await replica.fetch("SELECT x FROM large WHERE x = 7")
        finally:
            await replica.close()
        await patient.until(lambda: _unsaid(patient, "indexes.unused", "large_idx"))
    finally:
        await patient.psql("DROP TABLE large")


async def _unsaid(patient: Patient, only: str, text: str) -> bool:
    return not any(text in one.subject for one in await patient.look(only))


async def test_a_queue_that_vacuum_leaves_alone_is_found(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await patient.psql("ALTER TABLE entresol.jobs SET (autovacuum_enabled = off)")
    try:
        assert await patient.says("queue.vacuum", ERROR, "table entresol.jobs")
        monkeypatch.setattr(queue_checks, "DEAD_ROWS", 50)
        await patient.psql(
            "INSERT INTO entresol.lanes (queue, kind, tenant, priority) "
            "SELECT 'q', 'k', i::text, 0 FROM generate_series(1, 100) i",
            "ALTER TABLE entresol.lanes SET (autovacuum_enabled = off)",
            "DELETE FROM entresol.lanes",
        )
        await patient.until(lambda: patient.says("queue.vacuum", WARNING, "dead rows beside 0"))
    finally:
        await patient.psql(
            "ALTER TABLE entresol.jobs RESET (autovacuum_enabled)",
            "ALTER TABLE entresol.lanes RESET (autovacuum_enabled)",
        )

    async def is_clean() -> bool:
        await patient.psql(
            "VACUUM entresol.lanes"
        )  # again while a replica still tells that somebody may see what died
        return await _unsaid(patient, "queue.vacuum", "entresol")

    await patient.until(is_clean)


async def test_a_queue_that_no_worker_serves_is_found(patient: Patient) -> None:
    await patient.database.psql(
        "INSERT INTO entresol.lanes (queue, kind, tenant, priority) VALUES ('typo', 'a', '', 0);"
        "INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request)"
        " SELECT gen_random_uuid(), id, 'ready', 0, now() - interval '2 minutes', 3, 60, '' FROM entresol.lanes"
        " WHERE queue = 'typo'"
    )
    assert await patient.says("queue.unserved", ERROR, "has jobs that are ready (1), and no worker")
    await patient.database.psql(
        "INSERT INTO entresol.workers (id, host, process, queues, lease_time)"
        " VALUES (gen_random_uuid(), 'here', 1, '{typo}', now() + interval '1 minute')"
    )
    assert await _unsaid(patient, "queue.unserved", "typo")
    await patient.database.psql(
        "DELETE FROM entresol.jobs; DELETE FROM entresol.workers; DELETE FROM entresol.lanes"
    )


async def test_a_replica_that_stops_is_told_and_hides_nothing(patient: Patient) -> None:
    replica = patient.servers.replicas[0]
    await replica.kill()
    try:
        assert await patient.says("fleet.silence", ERROR, str(replica.port), deadline_s=3.0)
        facts = await patient.facts(deadline_s=3.0)
        assert facts.primary is not None
        assert facts.caches
        assert facts.catalog is not None
    finally:
        await replica.start()
    await patient.until(lambda: _quiet(patient, "fleet.silence"))


async def test_a_replica_that_hangs_takes_no_longer_than_its_deadline(patient: Patient) -> None:
    replica = patient.servers.replicas[0]
    await replica.pause()
    try:
        async with asyncio.timeout(10):
            found = await patient.look("fleet", deadline_s=2.0)
        assert any(str(replica.port) in one.subject for one in found)
    finally:
        await replica.resume()
    await patient.until(lambda: _quiet(patient, "fleet.silence"))


async def test_a_replica_whose_replay_is_paused_is_found(patient: Patient) -> None:
    replica = patient.servers.replicas[0]
    await replica.psql("SELECT pg_wal_replay_pause()")
    try:
        assert await patient.says("replicas.lag", ERROR, "paused")
        await patient.psql("CREATE TABLE unseen ()", "DROP TABLE unseen")
        await patient.until(lambda: patient.says("replicas.lag", ERROR, "behind", replica_lag_max_s=0.01))
    finally:
        await replica.psql("SELECT pg_wal_replay_resume()")
    await patient.servers.settle()
    assert await patient.look("replicas.lag") == []


async def test_replay_that_waits_for_reads_without_end_is_found(patient: Patient) -> None:
    replica = patient.servers.replicas[0]
    assert await patient.look("replicas.conflicts") == []
    for statement in ("ALTER SYSTEM SET max_standby_streaming_delay = -1", "SELECT pg_reload_conf()"):
        await replica.psql(statement)
    try:
        await patient.until(lambda: patient.says("replicas.conflicts", WARNING, "has no bound"))
    finally:
        for statement in ("ALTER SYSTEM RESET max_standby_streaming_delay", "SELECT pg_reload_conf()"):
            await replica.psql(statement)
    await patient.until(lambda: _quiet(patient, "replicas.conflicts"))


async def test_a_primary_that_is_named_as_replica_is_found(patient: Patient) -> None:
    reads = (patient.database.write_url,)
    assert await patient.says("replicas.roles", WARNING, "named as a replica", database_read=reads)
    assert await patient.says("settings.stores", WARNING, "as primary and as replica", database_read=reads)
    assert await patient.look("replicas.roles") == []


async def test_a_replica_that_is_named_as_primary_is_found(patient: Patient) -> None:
    wrong = patient.database.read_urls[0]
    assert await patient.says("database.primary", ERROR, "is no primary", database_write=wrong)
    assert await patient.look("database.primary") == []


async def _quiet(patient: Patient, only: str) -> bool:
    return not await patient.look(only, deadline_s=3.0)


async def test_a_role_that_may_see_little_is_told_so_and_nothing_wrong(patient: Patient) -> None:
    await patient.psql("CREATE ROLE plain LOGIN")
    try:
        url = patient.settings.database_write
        how = {"database_write": url.replace("entresol@", "plain@"), "database_read": (), "cache_url": ""}
        assert how["database_write"] != url
        await reconfigure(patient, "ALTER SYSTEM SET synchronous_standby_names = '\"replica-1\"'")
        found = await patient.look("fleet", "database", "slots", "queue", **how)
        subjects = [f"{one.subject} {one.problem}" for one in found if one.severity is ERROR]
        assert subjects == [], found
        assert await patient.says("fleet.silence", NOTE, "did not tell its statistics", **how)
        assert await patient.says("fleet.silence", WARNING, "migrations cannot be read", **how)
    finally:
        await reconfigure(patient, "ALTER SYSTEM RESET synchronous_standby_names")
        await patient.psql("DROP ROLE plain")
    assert await patient.look("fleet.silence") == []


async def test_the_queue_s_own_cluster_is_looked_at(patient: Patient) -> None:
    empty = f"{patient.database.name}_queue"
    await patient.psql(f"CREATE DATABASE {empty}")
    try:
        how = {"database_jobs": patient.servers.primary.url(empty)}
        assert await patient.says(
            "database.migrations", WARNING, "database_jobs: system/0005_jobs.sql", **how
        )
        how = {"database_jobs": "postgresql://127.0.0.1:1/queue"}
        assert await patient.says("fleet.silence", ERROR, "127.0.0.1:1 does not answer", **how)
    finally:
        await patient.psql(f"DROP DATABASE {empty} WITH (FORCE)")
    assert await patient.look("database.migrations", database_jobs=patient.settings.database_write) == []
