"""The scenarios: who plays, what is broken and how often, and what must hold beyond the checks that always must."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from tests.chaos import network_faults, postgres_faults, process_faults, redis_faults, verification
from tests.chaos.ground import Cast, Ground

Action = Callable[[Ground], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of trouble: one of `actions` after another, with calm between, as long as it lasts.

    Every action leaves everything working again, but for what `Ground.heal` mends at the end.
    """

    name: str
    actions: tuple[Action, ...]
    cast: Cast = field(default_factory=Cast)
    before: tuple[Action, ...] = ()  # what is wrong all the time
    at_last: tuple[Action, ...] = ()  # when the time is over, and the load goes on
    seconds: float = 85.0
    quick_seconds: float = 10.0
    calm_s: tuple[float, float] = (0.3, 1.5)
    actions_max: int = 1000
    is_quick: bool = False  # played in the quick sample
    is_naive: bool = False  # violations must be seen
    recovery_s_max: float = 15.0
    hit_age_s_max: float = math.inf  # of BOUNDED answers from the cache: the lag of the relay
    reads_min: float = 0.0  # share of reads that must be answered while a fault lasts, STRONG ones aside
    updates_min: float = 0.0
    hits_back_s_max: float = math.inf  # until hits are as frequent as before a fault
    refused_ms_max: float = math.inf  # p99 of updates that fail, beyond the p99 of hits in the same moments


_CAST = Cast()
_AMISS = replace(_CAST, serve=process_faults.SERVE_AMISS)
_NAIVE = (redis_faults.empty, postgres_faults.lag_a_little)
_STORM = (
    process_faults.kill_server,
    process_faults.kill_relay,
    process_faults.pause,
    postgres_faults.kill_replica,
    postgres_faults.lag,
    redis_faults.kill,
    redis_faults.empty,
    redis_faults.evict,
    network_faults.cut,
    network_faults.refuse,
    network_faults.slow,
    network_faults.silence,
)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "naive_delete",
            _NAIVE,
            Cast(servers=0, relays=0, ways=("delete", "delete")),
            seconds=20.0,
            is_quick=True,
            is_naive=True,
        ),
        Scenario("kill_server", (process_faults.kill_server,)),
        Scenario(
            "crash_before_put",
            (process_faults.start_those_that_crashed,),
            replace(_CAST, serve=(*process_faults.SERVE_AMISS, "--die-before-puts", "0.01")),
            calm_s=(0.2, 0.4),
            is_quick=True,
        ),
        Scenario("kill_relay", (process_faults.kill_relay,)),
        Scenario(
            "pause",
            (process_faults.pause,),
            replace(
                _CAST,
                shared=6,
                busy=0.5,
                contention=0.3,
                settings={"ENTRESOL_CACHE_LEASE_S": str(process_faults.LEASE_S)},
            ),
        ),
        Scenario(
            "given_up",
            (redis_faults.empty, redis_faults.evict),
            replace(_CAST, hurried=0.3),
            seconds=45.0,
            is_quick=True,
        ),
        Scenario("clock_skew", (process_faults.skew,), _AMISS, seconds=30.0, calm_s=(1.0, 4.0)),
        Scenario("rolling_restart", (process_faults.roll,)),
        Scenario(
            "kill_redis",
            (redis_faults.kill,),
            is_quick=True,
            reads_min=0.999,
            updates_min=0.999,
            hits_back_s_max=10.0,
        ),
        Scenario("empty_redis", (redis_faults.empty, redis_faults.evict), seconds=60.0, calm_s=(0.5, 3.0)),
        Scenario("redis_failover", (redis_faults.fail_over,), is_quick=True),
        Scenario("eviction", (redis_faults.squeeze,), replace(_CAST, payload_bytes=2000)),
        Scenario("kill_replica", (postgres_faults.kill_replica,), reads_min=0.999),
        Scenario(
            "kill_primary",
            (postgres_faults.kill_primary,),
            # On a full machine a refusal's time is that of its turn: here there is room, so that it is the platform's.
            replace(_CAST, sessions=10),
            calm_s=(1.0, 4.0),
            reads_min=0.999,
            refused_ms_max=100.0,
        ),
        Scenario(
            "promotion",
            (postgres_faults.promote,),
            seconds=45.0,
            calm_s=(4.0, 8.0),
            actions_max=2,
            is_quick=True,
        ),
        Scenario("replica_lag", (postgres_faults.lag, redis_faults.evict, redis_faults.evict)),
        Scenario(
            "psql",
            (postgres_faults.psql,),
            replace(_CAST, extra=postgres_faults.PSQL_KEYS),
            seconds=45.0,
            calm_s=(0.1, 0.5),
        ),
        Scenario(
            "network",
            (network_faults.cut, network_faults.refuse, network_faults.slow, network_faults.silence),
        ),
        Scenario(
            "races",
            (postgres_faults.psql_beneath_readers,),
            replace(_CAST, extra=postgres_faults.PSQL_KEYS, shared=2, busy=0.7, lost_puts=0.2),
            before=(network_faults.slow_databases, postgres_faults.lag_a_little),
            calm_s=(0.0, 0.1),
            is_quick=True,
            hit_age_s_max=3.0,
        ),
        Scenario(
            "verify",
            (
                process_faults.kill_server,
                process_faults.kill_relay,
                postgres_faults.kill_replica,
                postgres_faults.lag,
                redis_faults.empty,
                redis_faults.evict,
            ),
            replace(_CAST, sessions=8),
            before=(verification.begin,),
            at_last=(verification.plant,),
            seconds=50.0,
        ),
        Scenario("storm", _STORM, seconds=120.0, is_quick=True, recovery_s_max=20.0),
        Scenario(
            "naive_set",
            _NAIVE,
            Cast(servers=0, relays=0, ways=("set", "set")),
            seconds=20.0,
            is_naive=True,
        ),
    )
}
