"""Rows of a run as Arrow tables, by as many readers as one likes: all see the moment of the run's coordinator.

ADBC gives the bytes of COPY as columns; no row becomes an object of Python on the way.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from entresol.errors import FailedPreconditionError
from entresol.storage.analytics import Moment, reading_error
from entresol.storage.identifiers import literal

Table: TypeAlias = Any  # pyarrow.Table

TABLE_BYTES = 32 * 1024 * 1024  # of one table, about
_NUMERIC_PLACES = 9  # of a numeric that does not say how many it has


def required(module: str, extra: str) -> Any:
    """Return a module of an optional extra of the package.

    Raises:
        FailedPreconditionError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise FailedPreconditionError(f"this engine needs {module}: install entresol[{extra}]") from error


def read(moment: Moment, text: str) -> Iterator[Table]:
    """Give the rows of a statement as tables of a bounded size, at least one, which may be empty."""
    arrow = required("pyarrow", "batches")
    driver = required("adbc_driver_postgresql.dbapi", "batches")
    with (
        _translated(),
        driver.connect(moment.url, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute(f"SET TRANSACTION SNAPSHOT {literal(moment.snapshot)}")
        cursor.execute(f"SET LOCAL statement_timeout = {int(moment.timeout_s * 1000)}")
        cursor.execute("SET LOCAL timezone = 'UTC'")
        cursor.execute(text)
        reader = cursor.fetch_record_batch()
        held: list[Any] = []
        is_given = False
        for batch in reader:
            held.append(batch)
            if sum(one.nbytes for one in held) >= TABLE_BYTES:
                yield _plain(arrow, arrow.Table.from_batches(held))
                held, is_given = [], True
        if held or not is_given:
            yield _plain(arrow, arrow.Table.from_batches(held, reader.schema))


def _plain(arrow: Any, table: Table) -> Table:
    """Return the table with numbers where Arrow has no type of PostgreSQL's: they come as text."""
    for index, field in enumerate(table.schema):
        if getattr(field.type, "type_name", None) == "numeric":
            modifier = int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1"))
            places = (modifier - 4) & 0xFFFF if modifier >= 4 else _NUMERIC_PLACES
            texts = arrow.chunked_array(
                [chunk.storage for chunk in table.column(index).chunks], arrow.string()
            )
            numbers = texts.cast(arrow.decimal128(38, places))
            table = table.set_column(index, field.name, numbers)
    return table


@contextmanager
def _translated() -> Iterator[None]:
    manager = required("adbc_driver_manager", "batches")
    try:
        yield
    except manager.Error as error:
        raise reading_error(error.sqlstate, str(error)) from error
