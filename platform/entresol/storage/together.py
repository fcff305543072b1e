"""Updates by key that come at the same moment, done together: one round trip and one wait for the disk for all of them.

None of them waits for a lock. What is not done here, because another transaction holds the row, or it has another
version, or a constraint refuses, is left to a transaction of its own, which can wait and can tell why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from entresol.errors import UnavailableError
from entresol.storage import sql
from entresol.storage.connections import ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.pools import Pools
from entresol.storage.sql import Statement, TableSql
from entresol.storage.sqlstate import DRIVER_ERRORS, is_server_gone
from entresol.storage.statements import run_many
from entresol.storage.transaction import UNKNOWN_OUTCOME
from entresol.storage.writer import Change
from entresol.turns import Turn

SIZE_MAX = 64
# While as many are on their way, what comes waits for the next: the busier, the more are done at once.
RUNNING_MAX = 2
WAITING_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """An update of the record `name`; its statement returns the record when it was done, and nothing else."""

    table: TableSql
    name: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Committed:
    """A record that changed, by a commit before `commit_lsn`; `message` is what it is now. See `Transaction`."""

    changes: Sequence[Change]
    commit_lsn: int
    message: bytes
    complete: bool = True


class Together:
    """Collects updates while others run. Belongs to one event loop."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._turn: Turn[Wanted, Committed | UnavailableError | None] = Turn(
            self._update, SIZE_MAX, RUNNING_MAX, WAITING_MAX
        )

    async def update(self, wanted: Wanted) -> Committed | None:
        """Return what was committed; None when nothing was, and it should be tried by itself.

        Raises:
            UnavailableError: the connection broke, so that the outcome is unknown.
            ResourceExhaustedError: too many wait, or no connection became free in time.
        """
        done = await self._turn.submit(wanted)
        if isinstance(done, UnavailableError):
            raise done
        return done

    async def _update(self, wanted: list[Wanted]) -> Sequence[Committed | UnavailableError | None]:
        deadline = self._pools.deadline(None)
        results: dict[int, Committed | UnavailableError] = {}
        under_way: Sequence[int] = ()
        try:
            async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                for text, under_way in _by_text(wanted).items():
                    committed = await _transaction(
                        connection, text, [wanted[at] for at in under_way], deadline
                    )
                    results |= {
                        at: committed[name] for at in under_way if (name := wanted[at].name) in committed
                    }
        except DRIVER_ERRORS:
            results |= {at: UnavailableError(UNKNOWN_OUTCOME) for at in under_way}
        return [results.get(at) for at in range(len(wanted))]


async def _transaction(
    connection: ServerConnection, text: str, group: Sequence[Wanted], deadline: Deadline
) -> dict[str, Committed]:
    """Run one statement for each of `group` in one transaction, and return what it committed, by name."""
    table = group[0].table
    parameters = [one.statement.parameters for one in group]
    try:
        records = await run_many(connection, text, parameters, deadline, table.resource.type, "update")
    except asyncpg.PostgresError as error:
        if is_server_gone(error):
            raise
        return {}  # all of them are undone, and nobody is told so: each tries alone
    if not records:
        return {}
    await connection.execute(sql.AFTER_COMMIT, timeout=deadline.left_s())
    position = sql.parse_position(connection.get_settings().application_name)
    rows = [(table.codec.row(record), record[-1]) for record in records]
    return {
        row.name: Committed([Change(table.resource, row.name, row.version, row, at)], position, row.message)
        for row, at in rows
    }


def _by_text(wanted: Sequence[Wanted]) -> dict[str, list[int]]:
    """Return the places of those that share a text; of those of one record, the first."""
    first: dict[tuple[str, str], int] = {}
    for at, one in enumerate(wanted):
        first.setdefault((one.table.resource.type, one.name), at)
    groups: dict[str, list[int]] = {}
    for at in first.values():
        groups.setdefault(wanted[at].statement.text, []).append(at)
    return groups
