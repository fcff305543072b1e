"""Events that callers create at the same moment, written together: one COPY, committed before any of them is answered.

What one caller sends is written whole or not at all. Where the database refuses a batch, it is halved until the refusal
stands alone: nobody fails by what another sent.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from entresol.errors import EntresolError, UnavailableError
from entresol.storage import sql
from entresol.storage.pools import Pools
from entresol.storage.requests import Answer, Key, keep
from entresol.storage.rows import Row
from entresol.storage.sql import TableSql
from entresol.storage.sqlstate import DRIVER_ERRORS, Tables, is_server_gone, meaning
from entresol.storage.statements import copy
from entresol.storage.transaction import UNKNOWN_OUTCOME
from entresol.storage.writer import Change
from entresol.turns import Turn

ROWS_MAX = 2000  # of one COPY
# While one is on its way to the disk, the next is sent; what comes meanwhile is the one after: the busier, the larger.
RUNNING_MAX = 2
ROWS_WAITING_MAX = 20_000
_POSITION_S = 2.0  # for the position behind a commit that is known
# What tells of the server, and nothing of the rows: each row would meet it again.
_OF_SERVER = ("08", "25", "40", "53", "55", "57", "58")


@dataclass(frozen=True, slots=True)
class Ingested:
    """What one caller created, by a commit before `commit_lsn`. No cache holds events: there are no `changes`."""

    rows: Sequence[Row]
    commit_lsn: int
    changes: Sequence[Change] = field(default=())
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Wanted:
    table: TableSql
    records: Sequence[Sequence[object]]
    answer: Answer | None


class Ingest:
    """Collects events while others are written, those of each resource for themselves. Belongs to one event loop."""

    def __init__(self, pools: Pools, tables: Tables) -> None:
        self._pools = pools
        self._tables = tables
        self._turns: dict[str, Turn[_Wanted, int | Exception | None]] = {}

    async def insert(
        self, table: TableSql, records: Sequence[Sequence[object]], answer: Answer | None = None
    ) -> int | None:
        """Insert rows, whose values are those of `TableSql.parameters`; return a position behind their commit.

        With an `answer` to a request that is not new, nothing is done, and None returned.

        Raises:
            UnavailableError: the connection broke, so that the outcome is unknown.
            ResourceExhaustedError: too many wait, or no connection became free in time.
            NotFoundError, ReferenceMissingError, InvalidArgumentError: as for `Transaction.insert`.
        """
        type_ = table.resource.type
        turn = self._turns.get(type_)
        if turn is None:
            turn = self._turns[type_] = Turn(
                self._write, ROWS_MAX, RUNNING_MAX, ROWS_WAITING_MAX, weight=_rows
            )
        done = await turn.submit(_Wanted(table, records, answer))
        if isinstance(done, Exception):
            raise done
        return done

    async def _write(self, wanted: Sequence[_Wanted]) -> Sequence[int | Exception | None]:
        try:
            return await self._copy(wanted)
        except EntresolError as error:  # of a pool: nothing was sent
            return [error] * len(wanted)
        except Exception as error:
            known = meaning(error, self._tables) or error
            if is_server_gone(error):
                known = UnavailableError(UNKNOWN_OUTCOME)
            if len(wanted) == 1 or not _is_refused(error):
                return [known] * len(wanted)
        half = len(wanted) // 2
        return [*await self._write(wanted[:half]), *await self._write(wanted[half:])]

    async def _copy(self, wanted: Sequence[_Wanted]) -> Sequence[int | None]:
        """Write what is new in one transaction, which a COPY alone is by itself; return a position behind it."""
        answers: dict[Key, Answer] = {}
        for one in wanted:
            if one.answer is not None:
                answers.setdefault(one.answer.key, one.answer)
        deadline, new = self._pools.deadline(None), wanted
        async with self._pools.write() as connection:
            if answers:
                await connection.execute(sql.BEGIN, timeout=deadline.left_s())
                kept = await keep(connection, answers, deadline)
                new = [one for one in wanted if one.answer is None or _is_kept(one.answer, answers, kept)]
            records = [record for one in new for record in one.records]
            if records:
                await copy(connection, wanted[0].table, records, deadline)
            end, end_s = (sql.COMMIT, deadline.left_s()) if answers else (sql.AFTER_COMMIT, _POSITION_S)
            await connection.execute(end, timeout=end_s)
            position = sql.parse_position(connection.get_settings().application_name)
        done = {id(one) for one in new}
        return [position if id(one) in done else None for one in wanted]


def _is_kept(answer: Answer, answers: Mapping[Key, Answer], kept: Collection[Key]) -> bool:
    """Whether this is the answer that was kept, and not one to the same request, sent twice at once."""
    return answers[answer.key] is answer and answer.key in kept


def _rows(wanted: _Wanted) -> int:
    return len(wanted.records)


def _is_refused(error: Exception) -> bool:
    """Whether the database, or the driver on its way there, refused what it was given: nothing is written."""
    if isinstance(error, asyncpg.PostgresError):
        return not (error.sqlstate or "").startswith(_OF_SERVER)
    return not isinstance(error, DRIVER_ERRORS)
