"""Checks of what no test does to a real server, each with the value from which on it speaks."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.doctor.made import cache as made_cache
from tests.unit.doctor.made import facts, one, server, told

from entresol.cache.examination import CacheExamination
from entresol.config import UnknownVariable
from entresol.doctor import cache, database, fleet, process, queue, replicas, settings, slots
from entresol.doctor.facts import PROTOS, Asked, Facts, Fleet, Silent
from entresol.doctor.finding import Severity, size
from entresol.storage.examination import Follower, OpenTransaction, OwnTable, SlotState, Statistics, Unserved
from entresol.storage.migrate import MigrationState

ERROR, WARNING, NOTE = Severity.ERROR, Severity.WARNING, Severity.NOTE


def slot(name: str = "s", **changes: Any) -> SlotState:
    known = {"kind": "logical", "database": "x", "active": True, "temporary": False, "wal_status": "reserved"}
    return SlotState(**{"name": name, **known, "held_bytes": 0, "xmin_age": 0, **changes})


@pytest.mark.parametrize(
    ("info", "severity", "text"),
    [
        ({"redis_mode": "cluster"}, ERROR, "Redis Cluster"),
        ({"redis_mode": "sentinel"}, ERROR, "a Sentinel"),
        ({"role": "slave"}, ERROR, "a replica"),
    ],
)
def test_a_cache_of_the_wrong_kind_is_an_error(info: dict[str, str], severity: Severity, text: str) -> None:
    found = one(cache.mode, facts(caches=[made_cache(**info)]))
    assert found[0] is severity
    assert text in found[1]


@pytest.mark.parametrize(
    ("version", "is_old"), [("6.0.9", True), ("6.2.0", False), ("7.2.4", False), ("10.0", False)]
)
def test_versions_of_the_cache(version: str, is_old: bool) -> None:
    assert bool(told(cache.version, facts(caches=[made_cache(redis_version=version)]))) is is_old


def test_a_save_that_failed_stops_writes_unless_it_is_told_not_to() -> None:
    failed = made_cache(rdb_last_bgsave_status="err")
    assert one(cache.persistence, facts(caches=[failed]))[0] is ERROR
    lenient = CacheExamination("cache:6379", failed.info, 0.0, 0.001, {"stop-writes-on-bgsave-error": "no"})
    assert told(cache.persistence, facts(caches=[lenient])) == []
    saving = CacheExamination("cache:6379", made_cache().info, 0.0, 0.001, {"save": "60 1"})
    assert one(cache.persistence, facts(caches=[saving]))[0] is NOTE


def test_a_cache_without_a_replica_is_noted() -> None:
    assert one(cache.replication, facts(caches=[made_cache(connected_slaves="0")]))[0] is NOTE


@pytest.mark.parametrize(
    ("version", "severity"),
    [(130_010, ERROR), (140_003, NOTE), (160_001, NOTE), (170_000, None), (180_000, None)],
)
def test_versions_of_postgresql(version: int, severity: Severity | None) -> None:
    found = told(database.version, facts(primary=server(version=version)))
    assert [severity for severity, _ in found] == ([] if severity is None else [severity])


def test_two_servers_that_accept_writes_are_an_error() -> None:
    assert one(database.primary, facts(replica=server("two:5432")))[0] is ERROR


def test_a_log_that_cannot_be_decoded_matters_only_to_a_cache() -> None:
    wrong = server(parameters={"wal_level": "replica"})
    assert one(database.parameters, facts(primary=wrong)) == (ERROR, "primary one:5432 wal_level is replica")
    assert told(database.parameters, facts(primary=wrong, settings={"cache_url": ""})) == []


def test_a_transaction_timeout_shorter_than_calls_is_found() -> None:
    assert (
        one(database.parameters, facts(primary=server(parameters={"transaction_timeout": "30000"})))[0]
        is WARNING
    )
    assert told(database.parameters, facts(primary=server(parameters={"transaction_timeout": "90000"}))) == []


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_database_that_a_crash_may_ruin_is_found(name: str) -> None:
    assert (
        one(database.durability, facts(primary=server(parameters={name: "off"}, followers=[_sync()])))[0]
        is WARNING
    )


def _sync() -> Follower:
    return Follower("s", "streaming", "sync", 0)


def test_a_pooler_that_drops_what_a_session_asks_for_is_found() -> None:
    assert one(database.sessions, facts(primary=server(session_jit="on")))[0] is WARNING
    assert one(database.sessions, facts(primary=server(session_timeout="0")))[0] is WARNING


def test_old_transactions_are_told_with_the_command_that_ends_them() -> None:
    open_ = [
        OpenTransaction("77", "app", "idle in transaction", 301.0, "SELECT 1"),
        OpenTransaction("held", "app", "prepared", 9000.0, ""),
        OpenTransaction("78", "app", "active", 299.0, "SELECT 2"),
    ]
    found = list(database.transactions(facts(primary=server(transactions=open_))))
    assert [("pg_terminate_backend(77)" in one.remedy, "PREPARED 'held'" in one.remedy) for one in found] == [
        (True, False),
        (False, True),
    ]


def test_standbys_and_slots_that_hold_back_vacuum_are_told() -> None:
    held = server(
        followers=[Follower("far", "streaming", "async", 20_000_000)], slots=[slot(xmin_age=20_000_000)]
    )
    assert [text for _, text in told(database.transactions, facts(primary=held))] == [
        "primary one:5432 standby far holds back 20000000 transactions",
        "primary one:5432 slot s holds back 20000000 transactions",
    ]


@pytest.mark.parametrize(
    ("age", "severity"), [(999_999_999, None), (1_500_000_000, WARNING), (1_900_000_000, ERROR)]
)
def test_wraparound_is_told_in_time(age: int, severity: Severity | None) -> None:
    found = told(database.wraparound, facts(primary=server(frozen_age=age)))
    assert [severity for severity, _ in found] == ([] if severity is None else [severity])


@pytest.mark.parametrize(
    ("state", "steps"),
    [
        (Statistics(is_available=False, is_loaded=False, is_created=False), 3),
        (Statistics(is_available=True, is_loaded=False, is_created=True), 1),
    ],
)
def test_what_counts_statements_is_enabled_step_by_step(state: Statistics, steps: int) -> None:
    (found,) = database.statistics(facts(primary=server(statistics=state)))
    assert found.remedy.count(", then ") == steps - 1


def test_migrations_are_told_by_their_state() -> None:
    states = [
        MigrationState("system", f"{name}.sql", name) for name in ("applied", "pending", "changed", "unknown")
    ]
    assert [severity for severity, _ in told(database.migrations, facts(migrations=states))] == [
        WARNING,
        ERROR,
        NOTE,
    ]


def test_room_for_slots_and_senders() -> None:
    nine = [slot(f"s{number}") for number in range(9)]
    assert one(slots.room, facts(primary=server(slots=nine)))[0] is WARNING
    assert one(slots.room, facts(primary=server(slots=[*nine, slot("last")])))[0] is ERROR
    unbounded = server(slots=[slot()], parameters={"max_slot_wal_keep_size": "-1"})
    assert one(slots.room, facts(primary=unbounded))[0] is WARNING
    assert told(slots.room, facts(primary=server(parameters={"max_slot_wal_keep_size": "-1"}))) == []


@pytest.mark.parametrize(("held", "severity"), [(0, NOTE), (1, WARNING), (2 * 1024**3, ERROR)])
def test_a_slot_that_nobody_reads_is_as_bad_as_what_it_holds(held: int, severity: Severity) -> None:
    forgotten = slot("forgotten", active=False, held_bytes=held)
    found = one(slots.inactive, facts(primary=server(slots=[forgotten, slot()])))
    assert found[0] is severity
    assert size(held) in found[1]


def test_a_relay_s_slot_that_is_lost_or_may_not_be_read() -> None:
    lost = slot("entresol", wal_status="lost")
    assert "is lost" in one(slots.relay, facts(primary=server(slots=[lost])))[1]
    found = told(slots.relay, facts(primary=server(may_replicate=False, slots=[slot("entresol")])))
    assert found == [(ERROR, "primary one:5432 the role has no REPLICATION")]
    assert told(slots.relay, facts(primary=server(unread={"slots": "permission denied"}))) == []


def test_replicas_that_do_not_stream_or_cancel_reads() -> None:
    alone = server("two:5432", in_recovery=True)
    assert one(replicas.lag, facts(replica=alone))[0] is WARNING
    quiet = server(
        "two:5432", in_recovery=True, is_streaming=True, parameters={"hot_standby_feedback": "off"}
    )
    assert one(replicas.conflicts, facts(replica=quiet))[0] is NOTE
    # A standby for analyses is to have none.
    assert told(replicas.conflicts, facts(replica=quiet, settings={"database_analytics": quiet.url})) == []


def test_several_replicas_in_one_url_are_found() -> None:
    assert one(replicas.roles, facts(settings={"database_read": ("postgresql://a,b/x",)}))[0] is WARNING


@pytest.mark.parametrize(
    ("waiting", "url", "severity"),
    [
        (0, "", None),
        (1, "", ERROR),  # which nobody moves
        (1000, "postgresql://queue/x", None),
        (1001, "postgresql://queue/x", WARNING),
    ],
)
def test_jobs_that_do_not_leave_the_outbox_are_told(
    waiting: int, url: str, severity: Severity | None
) -> None:
    primary = server(own_tables=[OwnTable("outbox", waiting, 0, is_off=False)])
    found = told(queue.outbox, facts(primary=primary, settings={"database_jobs": url}))
    assert [one for one, _ in found] == ([] if severity is None else [severity])


def test_a_queue_that_no_worker_serves_is_an_error() -> None:
    primary = server(unserved=[Unserved("typo", 3)])
    severity, told_ = one(queue.unserved, facts(primary=primary))
    assert (severity, told_) == (ERROR, "queue typo has jobs that are ready (3), and no worker")
    assert told(queue.unserved, facts(primary=server())) == []


def test_what_a_server_keeps_to_itself_is_noted() -> None:
    found = one(fleet.silence, facts(primary=server(unread={"own_tables": "permission denied"})))
    assert found == (NOTE, "primary one:5432 did not tell its own tables: permission denied")
    silent = facts(silent=[Silent(PROTOS, "two mistakes")])
    assert one(fleet.silence, silent) == (ERROR, "protos cannot be used: two mistakes")


def test_skew_within_a_round_trip_is_none() -> None:
    assert told(fleet.clocks, facts(primary=server(clock_offset_s=1.4, round_trip_s=1.0))) == []
    assert one(fleet.clocks, facts(primary=server(clock_offset_s=-1.6, round_trip_s=1.0)))[0] is WARNING


def test_pools_are_added_up() -> None:
    # 2 x 3 x (8 + 8) + 1 x (8 + 8 + 2 + 2 x 4) + 3 = 125, of 97
    looked_at = facts(fleet=Fleet(servers=2, processes=3, workers=1), settings={"jobs_processes": 4})
    severity, text = one(fleet.connections, looked_at)
    assert severity is ERROR
    assert "= 125" in text
    assert "room for 97" in text
    enough = server(parameters={"max_connections": "200"})
    assert (
        told(fleet.connections, facts(primary=enough, fleet=Fleet(2, 3, 1), settings={"jobs_processes": 4}))
        == []
    )
    tight = server(parameters={"max_connections": "140"})
    found = one(fleet.connections, facts(primary=tight, fleet=Fleet(2, 3, 1), settings={"jobs_processes": 4}))
    assert found[0] is WARNING


def test_variables_that_are_no_settings_are_told_with_what_may_be_meant() -> None:
    looked_at = facts()
    asked = Asked(
        looked_at.settings, looked_at.asked.host, [UnknownVariable("ENTRESOL_LISTN", "ENTRESOL_LISTEN")]
    )
    (found,) = settings.unknown(Facts(asked))
    assert found.severity is WARNING
    assert "ENTRESOL_LISTEN" in found.remedy


@pytest.mark.parametrize(
    ("changes", "severity", "subject"),
    [
        ({"deadline_default_s": 61.0, "drain_s": 70.0}, WARNING, "ENTRESOL_DEADLINE_DEFAULT_S"),
        ({"database_statement_timeout_s": 61.0}, WARNING, "ENTRESOL_DATABASE_STATEMENT_TIMEOUT_S"),
        ({"database_wait_s": 15.0}, WARNING, "ENTRESOL_DATABASE_WAIT_S"),
        ({"cache_timeout_s": 15.0}, WARNING, "ENTRESOL_CACHE_TIMEOUT_S"),
        ({"drain_s": 5.0}, NOTE, "ENTRESOL_DRAIN_S"),
    ],
)
def test_deadlines_that_do_not_fit(changes: dict[str, Any], severity: Severity, subject: str) -> None:
    found = one(settings.deadlines, facts(settings=changes))
    assert found[0] is severity
    assert found[1].startswith(subject)


@pytest.mark.parametrize(
    ("changes", "severity", "subject"),
    [
        ({"cache_fence_s": 3.0}, ERROR, "ENTRESOL_CACHE_FENCE_S"),
        ({"jobs_lease_s": 0.7}, WARNING, "ENTRESOL_JOBS_LEASE_S"),
        ({"relay_tick_s": 2.0}, WARNING, "ENTRESOL_RELAY_LEASE_S"),
        ({"replica_poll_s": 5.0}, WARNING, "ENTRESOL_REPLICA_LAG_MAX_S"),
    ],
)
def test_leases_that_do_not_fit(changes: dict[str, Any], severity: Severity, subject: str) -> None:
    found = one(settings.leases, facts(settings=changes))
    assert found[0] is severity
    assert found[1].startswith(subject)


def test_keys_of_tokens() -> None:
    assert (
        one(settings.tokens, facts(settings={"token_keys": ("entresol-known-to-everybody",)}))[0] is WARNING
    )
    assert one(settings.tokens, facts(settings={"token_keys": ("k" * 32, "short")}))[0] is ERROR


@pytest.mark.parametrize(
    ("changes", "severity"),
    [
        ({"cache_url": ""}, NOTE),
        ({"database_read": ()}, NOTE),
        ({"database_read": ("postgresql://one/x",)}, WARNING),
        ({"jobs_relayed": True}, ERROR),
        ({"tls_key": "key.pem"}, ERROR),
    ],
)
def test_stores_that_are_not_named_or_twice(changes: dict[str, Any], severity: Severity) -> None:
    assert one(settings.stores, facts(settings=changes))[0] is severity


def test_servers_that_change_roles_may_be_named_twice() -> None:
    both = "postgresql://one,two/x"
    changes = {"database_write": both, "database_read": ("postgresql://one/x", "postgresql://two/x")}
    assert told(settings.stores, facts(settings=changes)) == []


def test_files_memory_and_processors() -> None:
    assert one(process.files, facts(host={"files_soft": 1024}))[0] is WARNING
    assert told(process.files, facts(host={"files_soft": 1200})) == []
    assert (
        one(process.memory, facts(host={"memory_bytes": 200 << 20}, settings={"batches_memory_bytes": 0}))[0]
        is ERROR
    )
    small = {"near_bytes_max": 900 << 20}
    assert one(process.memory, facts(host={"memory_bytes": 1200 << 20}, settings=small))[0] is WARNING
    assert one(process.memory, facts(host={"memory_bytes": 900 << 20}))[1].endswith("a batch 1 GiB")
    assert told(process.memory, facts(host={"memory_bytes": None})) == []
    assert one(process.processors, facts(fleet=Fleet(processes=5)))[0] is WARNING
    assert one(process.processors, facts(host={"processors_granted": 1.5}))[1].endswith("and may use 1.5")
    assert one(process.loop, facts(host={"has_uvloop": False}))[0] is ERROR
