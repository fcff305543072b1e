"""DuckDB in this process: parts are read and mapped by threads, what comes of them is reduced; it spills to files."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from entresol.batches.plan import ROWS_AT_ONCE, Plan, Rows, Running
from entresol.batches.threads import threads
from entresol.errors import ResourceExhaustedError, UnavailableError
from entresol.storage.analytics import BatchTextError
from entresol.storage.arrow import Table, read, required

_RETRY_S = 60.0


async def embedded(running: Running) -> AsyncGenerator[Rows]:
    """Give the result of SQL texts."""
    plan = running.plan
    with (
        tempfile.TemporaryDirectory(prefix="entresol-batch-", dir=plan.spill) as folder,
        database(folder, plan.memory_bytes, file=True) as connection,
    ):
        async with threads(connection.interrupt) as pool:
            mapping = _Mapping(plan, connection, pool.stop)
            parts = [pool.call(mapping.part, text) for text in plan.reads]
            for done, part in enumerate(asyncio.as_completed(parts), 1):
                running.read(done, await part)
            running.report(90, "reducing")
            rows = iter_rows(connection, plan.reduce)
            while (some := await pool.call(next, rows, None)) is not None:
                yield some


@contextmanager
def database(folder: str, memory_bytes: int, *, file: bool) -> Iterator[Any]:
    """Give a DuckDB that keeps within so much memory, and puts the rest into `folder`. It fetches nothing by itself."""
    duckdb = required("duckdb", "batches")
    settings = {
        "memory_limit": f"{memory_bytes}B",
        "temp_directory": folder,
        "threads": str(os.cpu_count() or 1),
        "preserve_insertion_order": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
    }
    connection = duckdb.connect(str(Path(folder, "batch.duckdb")) if file else ":memory:", config=settings)
    try:
        connection.execute("SET TimeZone = 'UTC'")
        with translated():
            yield connection
    finally:
        connection.close()


@contextmanager
def translated() -> Iterator[None]:
    """Turn DuckDB's errors into those that tell whether another attempt may help."""
    duckdb = required("duckdb", "batches")
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        text = "the batch does not fit into batches_memory_bytes and its folder"
        raise ResourceExhaustedError(text, retry_after_s=_RETRY_S) from error
    except (duckdb.IOException, duckdb.InterruptException) as error:
        raise UnavailableError(f"the batch was interrupted: {error}") from error
    except duckdb.Error as error:
        raise BatchTextError(f"DuckDB refuses what the batch asks: {error}") from error


def map_table(connection: Any, text: str, table: Table) -> Table:
    """Return what comes of one part of the input."""
    connection.register("input", table)
    try:
        return connection.sql(text).to_arrow_table()
    finally:
        connection.unregister("input")


def iter_rows(connection: Any, text: str) -> Iterator[Rows]:
    """Give the rows of a statement, some at a time."""
    for batch in connection.sql(text).to_arrow_reader(ROWS_AT_ONCE):
        yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


class _Mapping:
    """Puts what comes of each part into the table `mapped`, from several threads."""

    def __init__(self, plan: Plan, connection: Any, stop: threading.Event) -> None:
        self._plan = plan
        self._connection = connection
        self._lock = threading.Lock()
        self._is_made = False
        self._stop = stop

    def part(self, text: str) -> int:
        """Read and map one part; return how many rows it had."""
        rows = 0
        cursor = self._connection.cursor()
        try:
            with translated():
                for table in read(self._plan.moment, text):
                    if self._stop.is_set():
                        break
                    rows += table.num_rows
                    self._put(cursor, table)
        finally:
            cursor.close()
        return rows

    def _put(self, cursor: Any, table: Table) -> None:
        cursor.register("input", table)
        with self._lock:
            if not self._is_made:
                cursor.execute(f"CREATE TABLE mapped AS {self._plan.map}")
                self._is_made = True
                return
        cursor.execute(f"INSERT INTO mapped {self._plan.map}")
