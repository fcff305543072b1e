"""LOG -> RECORDS: rows of the change feed, which are texts, as the records that a read would have returned.

PostgreSQL itself reads its texts: they are cast to the table's row type, and come back as rows of any other query.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from entresol.schema.model import Resource
from entresol.storage.catalog import read_query
from entresol.storage.changes import ABSENT, RowChange
from entresol.storage.connections import Connection
from entresol.storage.identifiers import quote_table
from entresol.storage.pools import Pools
from entresol.storage.rows import Row, RowCodec
from entresol.storage.sql import TableSql
from entresol.storage.sqlstate import translated


class LoggedRows:
    """Reads what changes of a resource's table made of its rows."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def read(self, resource: Resource, changes: Sequence[RowChange]) -> list[Row | None]:
        """Return the record behind each change; None: it is gone.

        A change that left a large value alone does not have it. The record is then read as it is now: at least as new
        as the change, and what made it newer comes as a change of its own.
        """
        sql = TableSql(RowCodec(resource))
        deadline = self._pools.deadline(None)
        with translated({}):
            async with self._pools.write(timeout_s=deadline.left_s()) as connection:
                found = await _typed(connection, resource, sql, changes, deadline.left_s())
                late = sorted(
                    {_name(change) for change, row in zip(changes, found, strict=True) if row is None}
                )
                if late:
                    statement = sql.select_by_names(late)
                    records = await connection.fetch(
                        statement.text, *statement.parameters, timeout=deadline.left_s()
                    )
                    now = {row.name: row for row in map(sql.codec.row, records)}
                    return [row or now.get(_name(change)) for change, row in zip(changes, found, strict=True)]
        return found


async def _typed(
    connection: Connection, resource: Resource, sql: TableSql, changes: Sequence[RowChange], timeout_s: float
) -> list[Row | None]:
    """Return the rows that the log has whole; None for others, and for all that the table's type no longer reads."""
    columns = [
        row["name"]
        for row in await connection.fetch(
            read_query("row_columns"), quote_table(resource.table), timeout=timeout_s
        )
    ]
    wanted = {field.column.name for field in sql.codec.read_fields if field.column} | {"row_version"}
    texts = [_text(change, columns, wanted) for change in changes]
    statement = sql.typed([text for text in texts if text is not None])
    try:
        records = iter(await connection.fetch(statement.text, *statement.parameters, timeout=timeout_s))
    except asyncpg.DataError:
        return [None] * len(changes)
    return [None if text is None else sql.codec.row(next(records)) for text in texts]


def _text(change: RowChange, columns: Sequence[str], wanted: set[str]) -> str | None:
    """Return the row as text of its type; None when the log lacks a value of it."""
    values = dict(zip(change.columns, change.new_values or (), strict=False))
    if any(values.get(name, ABSENT) is ABSENT for name in wanted):
        return None
    return f"({','.join(_quoted(values.get(name)) for name in columns)})"


def _quoted(value: object) -> str:
    if not isinstance(value, str):
        return ""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _name(change: RowChange) -> str:
    return str((change.new or {})["name"])
