"""What one PostgreSQL server tells of itself, read once for `entresol doctor`: what it keeps back hides no more."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg

from entresol.clock import Clock
from entresol.config import Settings
from entresol.storage.catalog import read_query
from entresol.storage.connections import Address, Connection, Record, connect
from entresol.storage.sqlstate import DRIVER_ERRORS

_SECTION_S = 3.0  # for each query
_LOOKS = 3  # at the clock; the quickest is the most exact
_PARAMETERS = (
    "autovacuum",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "fsync",
    "full_page_writes",
    "hot_standby_feedback",
    "idle_session_timeout",
    "max_connections",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_standby_streaming_delay",
    "max_wal_senders",
    "reserved_connections",
    "superuser_reserved_connections",
    "synchronous_commit",
    "synchronous_standby_names",
    "transaction_timeout",
    "wal_level",
)
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Instance:
    """The server, and the session and the role that asked it. Limits of -1 are none."""

    version: int  # 150004
    in_recovery: bool
    connections: int
    database_limit: int
    role_limit: int
    frozen_age: int  # transactions
    may_replicate: bool
    is_streaming: bool
    is_paused: bool
    lag_s: float
    session_jit: str
    session_timeout: str


@dataclass(frozen=True, slots=True)
class SlotState:
    """A replication slot."""

    name: str
    kind: str  # logical, physical
    database: str
    active: bool
    temporary: bool
    wal_status: str
    held_bytes: int
    xmin_age: int  # transactions


@dataclass(frozen=True, slots=True)
class Follower:
    """Who is sent the log."""

    name: str
    state: str
    sync_state: str
    xmin_age: int


@dataclass(frozen=True, slots=True)
class OpenTransaction:
    """A transaction of a process, or one that was prepared: then `name` is its identifier."""

    name: str
    role: str
    state: str
    age_s: float
    query: str


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of the platform's own, and its rows."""

    name: str
    live: int
    dead: int
    is_off: bool  # autovacuum does not look at it


@dataclass(frozen=True, slots=True)
class Unserved:
    """A queue that no worker serves, and how many of its jobs have been ready for a minute, of at most 1,000 a lane."""

    queue: str
    jobs: int


@dataclass(frozen=True, slots=True)
class IndexUse:
    """An index, and how often this server read it."""

    table: str
    name: str
    full_name: str
    size_bytes: int
    scans: int
    is_valid: bool
    is_needed: bool  # whether or not it is read


@dataclass(frozen=True, slots=True)
class Statistics:
    """How far pg_stat_statements is there."""

    is_available: bool
    is_loaded: bool
    is_created: bool


@dataclass(slots=True)
class Examination:
    """What a server told. What it did not is empty, and in `unread` by name, with the reason."""

    address: str
    url: str
    instance: Instance
    clock_offset_s: float  # its clock less ours
    round_trip_s: float
    parameters: Mapping[str, str] = field(default_factory=dict)
    slots: Sequence[SlotState] = ()
    followers: Sequence[Follower] = ()
    transactions: Sequence[OpenTransaction] = ()
    own_tables: Sequence[OwnTable] = ()
    unserved: Sequence[Unserved] = ()
    indexes: Sequence[IndexUse] = ()
    statistics: Statistics | None = None
    unread: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return what the server is, and where."""
        return f"{'replica' if self.instance.in_recovery else 'primary'} {self.address}"

    def number(self, parameter: str) -> int | None:
        """Return a setting of the server; None where it has none of the name, or did not tell."""
        text = self.parameters.get(parameter)
        return None if text is None else int(text)


async def examine(url: str, address: Address, settings: Settings, clock: Clock) -> Examination:
    """Return what the server at `address` tells over a connection that is made as the platform makes its own.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it cannot be reached, or refuses.
    """
    connection = await connect(url, address, settings, primary=False)
    try:
        (row,) = await _fetch(connection, "instance")
        offset_s, round_trip_s = await _compare_clocks(connection, clock)
        found = Examination(str(address), url, Instance(**row), offset_s, round_trip_s)
        for name, kind in _LISTS.items():
            await _read(found, name, _rows(connection, name, kind))
        await _read(found, "parameters", _parameters(connection))
        await _read(found, "statistics", _statistics(connection))
        return found
    finally:
        connection.terminate()


_LISTS: Mapping[str, type] = {
    "slots": SlotState,
    "followers": Follower,
    "transactions": OpenTransaction,
    "own_tables": OwnTable,
    "unserved": Unserved,
    "indexes": IndexUse,
}


async def _read(found: Examination, name: str, reading: Any) -> None:
    try:
        setattr(found, name, await reading)
    except asyncpg.UndefinedTableError:  # it is not migrated, which another check tells
        pass
    except DRIVER_ERRORS as error:
        found.unread[name] = str(error) or type(error).__name__


async def _rows(connection: Connection, name: str, kind: type[_Row]) -> list[_Row]:
    return [kind(**row) for row in await _fetch(connection, name)]


async def _parameters(connection: Connection) -> dict[str, str]:
    rows = await _fetch(connection, "parameters", list(_PARAMETERS))
    return {row["name"]: row["value"] for row in rows}


async def _statistics(connection: Connection) -> Statistics:
    (row,) = await _fetch(connection, "statistics")
    return Statistics(**row)


async def _fetch(connection: Connection, name: str, *parameters: object) -> list[Record]:
    records: list[Record] = await connection.fetch(
        read_query(f"doctor/{name}"), *parameters, timeout=_SECTION_S
    )
    return records


async def _compare_clocks(connection: Connection, clock: Clock) -> tuple[float, float]:
    """Return by how much the server's clock is ahead of ours, and the round trip within which that is uncertain."""
    looks = []
    for _ in range(_LOOKS):
        before_s, started_s = clock.now_s(), time.perf_counter()
        theirs_s = await connection.fetchval(read_query("doctor/clock"), timeout=_SECTION_S)
        round_trip_s = time.perf_counter() - started_s
        looks.append((round_trip_s, theirs_s - before_s - round_trip_s / 2))
    round_trip_s, offset_s = min(looks)
    return offset_s, round_trip_s
