"""The scenarios: who plays, what is broken and how often, and what must hold beyond the checks that always must."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.chaos import process_faults, store_faults
from tests.chaos.ground import Cast, Ground

Play = Callable[[Ground], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of trouble. `play` breaks things until `Ground.is_over`, and leaves everything working."""

    name: str
    play: Play
    cast: Cast = field(default_factory=Cast)
    seconds: float = 90.0
    quick_seconds: float = 12.0
    is_quick: bool = False  # played in the quick sample
    is_naive: bool = False  # violations must be seen
    recovery_s_max: float = 15.0
    reads_min: float = 0.0  # share of reads that must be answered while a fault lasts, STRONG ones aside
    updates_min: float = 0.0


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("kill_server", process_faults.kill_server, is_quick=True),
        Scenario("kill_relay", process_faults.kill_relay, is_quick=True),
        Scenario("kill_redis", store_faults.kill_redis, is_quick=True, reads_min=0.999, updates_min=0.999),
        Scenario("kill_replica", store_faults.kill_replica, reads_min=0.999),
        Scenario("kill_primary", store_faults.kill_primary, is_quick=True, reads_min=0.999),
        Scenario("replica_lag", store_faults.replica_lag, is_quick=True),
        Scenario(
            "naive_delete",
            store_faults.lag_and_forget,
            Cast(servers=0, relays=0, ways=("delete", "delete")),
            seconds=20.0,
            is_quick=True,
            is_naive=True,
        ),
        Scenario(
            "naive_set",
            store_faults.lag_and_forget,
            Cast(servers=0, relays=0, ways=("set", "set")),
            seconds=20.0,
            is_quick=True,
            is_naive=True,
        ),
    )
}
