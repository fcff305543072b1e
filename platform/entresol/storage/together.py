"""Updates by key that come at the same moment, done together: one round trip and one wait for the disk for all of them.

Updates of one record are done one after the other, each with a version of its own. None of them waits for a lock. What
is not done here, because another transaction holds the row, or it has another version, or a constraint refuses, is left
to a transaction of its own, which can wait and can tell why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from entresol.errors import UnavailableError
from entresol.storage import sql
from entresol.storage.connections import Record, ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.pools import Pools
from entresol.storage.sql import Statement, TableSql
from entresol.storage.sqlstate import DRIVER_ERRORS, is_server_gone
from entresol.storage.statements import run_many
from entresol.storage.transaction import UNKNOWN_OUTCOME
from entresol.storage.writer import Change
from entresol.turns import Turn

SIZE_MAX = 64
# While as many of a resource are on their way, what comes waits for the next: the busier, the more are done at once.
RUNNING_MAX = 2
WAITING_MAX = 10_000
_POSITION_S = 2.0  # for the position behind a commit that is known


@dataclass(frozen=True, slots=True)
class Wanted:
    """An update of the record `name`; its statement, of `TableSql.update(waits=False)`, returns what was done."""

    table: TableSql
    name: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class Committed:
    """A record that changed, by a commit before `commit_lsn`; `message` is what this change made of it.

    The same commit may have changed it again (each change has its version). See `Transaction`.
    """

    changes: Sequence[Change]
    commit_lsn: int
    message: bytes
    complete: bool = True


class Together:
    """Collects updates while others run, those of each resource for themselves. Belongs to one event loop.

    Those of one record are never under way twice, for one transaction would find the row locked by the other.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._turns: dict[str, Turn[Wanted, Committed | Exception | None]] = {}

    async def update(self, wanted: Wanted) -> Committed | None:
        """Return what was committed; None when nothing was, and it should be tried by itself.

        Raises:
            UnavailableError: the connection broke, so that the outcome is unknown.
            ResourceExhaustedError: too many wait, or no connection became free in time.
        """
        type_ = wanted.table.resource.type
        turn = self._turns.get(type_)
        if turn is None:
            turn = self._turns[type_] = Turn(self._update, SIZE_MAX, RUNNING_MAX, WAITING_MAX, key=_name)
        done = await turn.submit(wanted)
        if isinstance(done, Exception):
            raise done
        return done

    async def _update(self, wanted: list[Wanted]) -> Sequence[Committed | Exception | None]:
        results: dict[int, Committed | Exception] = {}
        under_way: Sequence[int] = ()
        try:
            async with self._pools.write() as connection:
                for text, under_way in _by_text(wanted).items():
                    deadline = self._pools.deadline(None)
                    done = await _transaction(connection, text, [wanted[at] for at in under_way], deadline)
                    results |= {under_way[number]: result for number, result in done.items()}
        except DRIVER_ERRORS:
            results |= {at: UnavailableError(UNKNOWN_OUTCOME) for at in under_way}
        return [results.get(at) for at in range(len(wanted))]


async def _transaction(
    connection: ServerConnection, text: str, group: Sequence[Wanted], deadline: Deadline
) -> dict[int, Committed | Exception]:
    """Run one statement for each of `group` in one transaction, and return what it committed, by place in the group."""
    table = group[0].table
    parameters = [(*one.statement.parameters, number) for number, one in enumerate(group)]
    try:
        records = await run_many(connection, text, parameters, deadline, table.resource.type, "update")
    except asyncpg.PostgresError as error:
        if is_server_gone(error):
            raise
        return {}  # all of them are undone, and nobody is told so: each tries alone
    if not records:
        return {}
    await connection.execute(sql.AFTER_COMMIT, timeout=_POSITION_S)
    position = sql.parse_position(connection.get_settings().application_name)
    return {record[-2]: _committed(table, record, position) for record in records}


def _committed(table: TableSql, record: Record, position: int) -> Committed | Exception:
    """Return what a record tells; a row that cannot be read is an error of its own, not of those beside it."""
    try:
        row = table.codec.row(record)
    except Exception as error:
        return error
    change = Change(table.resource, row.name, row.version, row, record[-1])
    return Committed([change], position, row.message)


def _by_text(wanted: Sequence[Wanted]) -> dict[str, list[int]]:
    """Return the places of those that share a text."""
    groups: dict[str, list[int]] = {}
    for at, one in enumerate(wanted):
        groups.setdefault(one.statement.text, []).append(at)
    return groups


def _name(wanted: Wanted) -> str:
    return wanted.name
