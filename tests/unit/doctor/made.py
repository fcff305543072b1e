"""Facts made by hand, for what no test wants to do to a server."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from entresol.cache.examination import CacheExamination
from entresol.config import Settings
from entresol.doctor.facts import Asked, Facts, Fleet
from entresol.doctor.finding import Finding, Severity
from entresol.doctor.host import Host
from entresol.storage.examination import Examination, Follower, Instance, SlotState, Statistics

HOST = Host(
    files_soft=1 << 20, files_hard=1 << 20, processors=4, processors_granted=4.0, memory_bytes=8 << 30
)
SETTINGS = Settings(
    cache_url="redis://cache:6379/0",
    database_write="postgresql://one/x",
    database_read=("postgresql://two/x",),
    token_keys=("k" * 32,),
    drain_s=20.0,
)
INSTANCE = Instance(
    version=180_001,
    in_recovery=False,
    connections=3,
    database_limit=-1,
    role_limit=-1,
    frozen_age=1000,
    may_replicate=True,
    is_streaming=False,
    is_paused=False,
    lag_s=0.0,
    session_jit="off",
    session_timeout="1min",
)
PARAMETERS = {
    "autovacuum": "on",
    "default_transaction_isolation": "read committed",
    "max_connections": "100",
    "max_replication_slots": "10",
    "max_slot_wal_keep_size": "4096",
    "max_wal_senders": "10",
    "superuser_reserved_connections": "3",
    "synchronous_commit": "on",
    "synchronous_standby_names": "s",
    "wal_level": "logical",
}


def server(address: str = "one:5432", **changes: Any) -> Examination:
    """Return a server in good health, with changes of its instance or of the rest."""
    known = {name: changes.pop(name) for name in list(changes) if name in Instance.__slots__}
    parameters = {**PARAMETERS, **changes.pop("parameters", {})}
    made = Examination(
        address, f"postgresql://{address}/x", replace(INSTANCE, **known), 0.0, 0.001, parameters
    )
    made.statistics = Statistics(is_available=True, is_loaded=True, is_created=True)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def cache(**info: str) -> CacheExamination:
    """Return a cache in good health, with changes of what INFO says."""
    healthy = {
        "redis_version": "8.0.1",
        "redis_mode": "standalone",
        "role": "master",
        "maxmemory": "1000",
        "used_memory": "10",
        "maxmemory_policy": "volatile-lfu",
        "connected_slaves": "1",
    }
    return CacheExamination("cache:6379", {**healthy, **info}, 0.0, 0.0001)


def facts(
    *,
    primary: Examination | None = None,
    replica: Examination | None = None,
    settings: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    fleet: Fleet | None = None,
    **more: Any,
) -> Facts:
    """Return facts of a fleet in good health, with changes."""
    asked = Asked(replace(SETTINGS, **settings or {}), replace(HOST, **host or {}), fleet=fleet or Fleet())
    standby = server("two:5432", in_recovery=True, is_streaming=True)
    healthy = server(
        followers=[Follower("s", "streaming", "sync", 0)],
        slots=[SlotState("entresol", "logical", "x", True, False, "reserved", 0, 0)],
    )
    return Facts(asked, [primary or healthy], [replica or standby], **{"caches": [cache()], **more})


def told(check: Any, looked_at: Facts) -> list[tuple[Severity, str]]:
    """Return what a check finds, as severity and text; each says why, and what to do."""
    found: list[Finding] = list(check(looked_at))
    assert all(one.why and one.remedy and one.subject for one in found)
    return [(one.severity, f"{one.subject} {one.problem}") for one in found]


def one(check: Any, looked_at: Facts) -> tuple[Severity, str]:
    """Return the one thing that a check finds."""
    (only,) = told(check, looked_at)
    return only
