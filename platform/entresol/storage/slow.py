"""Which statements cost a server most: counted by pg_stat_statements, or where it is not, those that run just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from entresol.config import Settings
from entresol.storage.catalog import read_query
from entresol.storage.connections import Address, connect
from entresol.storage.examination import Statistics

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class StatementUse:
    """A statement, and what it cost since the server counts."""

    query: str
    calls: int
    total_s: float
    max_ms: float
    rows: int
    blocks_read: int  # that were not in the server's memory


@dataclass(frozen=True, slots=True)
class Running:
    """A statement that runs."""

    query: str
    running_s: float


@dataclass(frozen=True, slots=True)
class Statements:
    """What one server tells of its statements: `uses`, where `statistics` are there, else those that are `running`."""

    address: str
    in_recovery: bool
    statistics: Statistics
    uses: Sequence[StatementUse] = field(default=())
    running: Sequence[Running] = field(default=())

    @property
    def is_counted(self) -> bool:
        """Whether the server counts statements."""
        return self.statistics.is_loaded and self.statistics.is_created


async def statements(url: str, address: Address, settings: Settings, limit: int) -> Statements:
    """Return what the server at `address` tells, at most `limit` statements.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: it cannot be reached, or refuses.
    """
    connection = await connect(url, address, settings, primary=False)
    try:
        in_recovery = await connection.fetchval("SELECT pg_is_in_recovery()", timeout=_TIMEOUT_S)
        (row,) = await connection.fetch(read_query("doctor/statistics"), timeout=_TIMEOUT_S)
        found = Statements(str(address), in_recovery, Statistics(**row))
        query = "doctor/statements" if found.is_counted else "doctor/running"
        rows = await connection.fetch(read_query(query), limit, timeout=_TIMEOUT_S)
    finally:
        connection.terminate()
    if found.is_counted:
        uses = [StatementUse(**row) for row in rows]
        return Statements(found.address, in_recovery, found.statistics, uses=uses)
    running = [Running(**row) for row in rows]
    return Statements(found.address, in_recovery, found.statistics, running=running)
