"""Statements over resources: bounded by the call's deadline, measured, and traced when anybody looks.

Bulk loads, BEGIN and COMMIT, and the SQL of custom methods go past it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

from entresol import telemetry
from entresol.storage.connections import Record, ServerConnection
from entresol.storage.deadline import Deadline
from entresol.storage.identifiers import split_table
from entresol.storage.sql import Statement, TableSql


async def run(
    connection: ServerConnection, statement: Statement, deadline: Deadline, resource: str, operation: str
) -> list[Record]:
    """Return the records of `statement`; at the deadline, or when the caller is cancelled, the server is told to stop.

    Raises:
        TimeoutError: the deadline passed.
        asyncpg.PostgresError, asyncpg.InterfaceError, OSError: as the driver raises them.
    """
    with _measured(resource, operation):
        records: list[Record] = await connection.fetch(
            statement.text, *statement.parameters, timeout=deadline.left_s()
        )
    return records


async def run_many(
    connection: ServerConnection,
    text: str,
    parameters: Sequence[Sequence[object]],
    deadline: Deadline,
    resource: str,
    operation: str,
) -> list[Record]:
    """Return the records of one statement run with each of `parameters`, in order, in one round trip.

    Outside a transaction it is one by itself: all of them are done, or none.
    """
    with _measured(resource, operation):
        records: list[Record] = await connection.fetchmany(text, parameters, timeout=deadline.left_s())
    return records


async def copy(
    connection: ServerConnection, table: TableSql, records: Sequence[Sequence[object]], deadline: Deadline
) -> None:
    """Insert rows, whose values are those of `TableSql.parameters`, by one COPY: all of them, or none."""
    schema, name = split_table(table.resource.table)
    with _measured(table.resource.type, "copy"):
        await connection.copy_records_to_table(
            name, schema_name=schema, columns=table.inserted, records=records, timeout=deadline.left_s()
        )


@contextmanager
def _measured(resource: str, operation: str) -> Iterator[None]:
    started_s = time.perf_counter()
    with telemetry.span(telemetry.SPAN_STATEMENT, operation, resource):
        try:
            yield
        finally:
            telemetry.QUERY_DURATION.record(time.perf_counter() - started_s, _attributes(resource, operation))


@lru_cache(maxsize=4096)
def _attributes(resource: str, operation: str) -> Mapping[str, str]:
    return {telemetry.RESOURCE: resource, telemetry.OPERATION: operation}
