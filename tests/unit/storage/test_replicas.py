"""What a replica may answer, and which position it may promise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from entresol.config import Settings
from entresol.storage.connections import Address
from entresol.storage.replicas import Replica


def replica(**state: Any) -> Replica:
    made = Replica("postgresql://localhost/x", Address("localhost", 5432), Settings(replica_lag_max_s=10))
    for name, value in state.items():
        setattr(made, name, value)
    return made


def connection(made_s: float, replayed: int) -> Any:
    return SimpleNamespace(made_s=made_s, replayed=replayed)


def test_a_replica_serves_when_it_is_live_near_and_far_enough() -> None:
    good = {"live": True, "lag_s": 10.0, "replayed": 100}
    assert replica(**good).serves(100)
    assert not replica(**good).serves(101)
    assert not replica(**good | {"lag_s": 10.1}).serves(0)
    assert not replica(**good | {"live": False}).serves(0)
    assert not replica().serves(0)


def test_a_polled_position_counts_for_connections_that_were_there_when_it_was_polled() -> None:
    polled = replica(replayed=100, polled_s=5.0)
    assert polled.position(connection(made_s=4.0, replayed=50)) == 100
    # It may have crashed after the poll and come back with less: only what this connection saw is sure.
    assert polled.position(connection(made_s=6.0, replayed=90)) == 90
    assert polled.position(connection(made_s=6.0, replayed=120)) == 120
    assert polled.position(connection(made_s=4.0, replayed=120)) == 120
