"""What a replica may answer, and which position it may promise, by the server that a connection leads to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from entresol.config import Settings
from entresol.storage.connections import Address
from entresol.storage.replicas import Replica
from entresol.storage.standing import Standings

HERE = {"host": "10.0.0.1", "port": 5432, "start": 1}
THERE = {"host": "10.0.0.2", "port": 5432, "start": 1}


def replica(**state: Any) -> Replica:
    made = Replica("postgresql://localhost/x", Address("localhost", 5432), Settings(replica_lag_max_s=10))
    for name, value in state.items():
        setattr(made, name, value)
    return made


def state(server: Mapping[str, Any] = HERE, **changes: Any) -> dict[str, Any]:
    """Return what REPLICA_STATE answers."""
    told = {"in_recovery": True, "replayed": 100, "caught_up": True, "streaming": True, "behind_s": 0.0}
    return {**server, **told, **changes}


class Connection(SimpleNamespace):
    """A connection to a server that answers with `told`."""

    async def fetchrow(self, _text: str, **_: Any) -> dict[str, Any]:
        self.asked = getattr(self, "asked", 0) + 1
        return self.told


def standings(**changes: Any) -> Standings:
    known = Standings()
    known.of(HERE).take(state(**changes), started_s=time.monotonic())
    return known


def test_a_replica_serves_when_it_is_live_near_and_far_enough() -> None:
    good = {"live": True, "lag_s": 10.0, "standings": standings(replayed=100)}
    assert replica(**good).serves(100)
    assert not replica(**good).serves(101)
    assert not replica(**good | {"lag_s": 10.1}).serves(0)
    assert not replica(**good | {"live": False}).serves(0)
    assert not replica().serves(0)


def test_a_polled_position_counts_for_connections_that_were_there_when_it_was_polled() -> None:
    standing = Standings().of(HERE)
    standing.take(state(replayed=100), started_s=5.0)
    assert standing.position(50, made_s=4.0) == 100
    # It may have crashed after the poll and come back with less: only what this connection saw is sure.
    assert standing.position(90, made_s=6.0) == 90
    assert standing.position(120, made_s=6.0) == 120
    assert standing.position(120, made_s=4.0) == 120


async def test_a_server_that_nobody_polls_is_asked_by_the_connection_that_leads_there_and_only_now_and_then() -> (
    None
):
    known = standings(replayed=100)
    balanced = replica(standings=known)
    connection = Connection(standing=known.of(THERE), told=state(THERE, replayed=7))
    for _ in range(3):
        standing = await balanced.look(connection)
        assert standing is not None
        assert standing.position(0, made_s=0.0) == 7
    assert connection.asked == 1
    polled = Connection(standing=known.of(HERE), told=None)
    assert (await balanced.look(polled)).replayed == 100  # type: ignore[union-attr]
    assert not hasattr(polled, "asked")


async def test_a_connection_that_leads_to_a_primary_or_too_far_behind_answers_no_reads() -> None:
    balanced = replica()
    for told in (state(THERE, in_recovery=False), state(THERE, caught_up=False, behind_s=99.0)):
        standing = Standings().of(THERE)
        standing._current_s -= 99
        balanced.standings._by_server[standing.server] = standing
        assert await balanced.look(Connection(standing=standing, told=told)) is None


def test_another_start_of_a_server_is_another_server_and_few_are_remembered() -> None:
    known = standings(replayed=100)
    for start in range(2, 100):
        assert known.of({**HERE, "start": start}).replayed == 0
        known.of({**HERE, "start": start}).take(state(replayed=start), started_s=time.monotonic())
    assert len(known._by_server) == 16
    assert known.replayed == 99


def test_a_server_behind_another_port_is_told_by_its_own_address() -> None:
    assert str(replica().address_of(Standings().of(THERE))) == "localhost:5432"
    balanced = Replica("postgresql://localhost:9001/x", Address("localhost", 9001), Settings())
    assert str(balanced.address_of(Standings().of(THERE))) == "10.0.0.2:5432"
    socket = {"host": None, "port": None, "start": 1}
    assert str(balanced.address_of(Standings().of(socket))) == "localhost:9001"


async def test_of_several_servers_behind_a_url_one_that_is_lost_does_not_take_the_others_away() -> None:
    alone, balanced = replica(standings=standings()), replica(standings=standings())
    balanced.standings.of(THERE).take(state(THERE), started_s=time.monotonic())
    for each in (alone, balanced):
        each.live = True
        each._lost(ConnectionResetError())
        each._stop_cutting()
    assert (alone.live, balanced.live) == (False, True)
