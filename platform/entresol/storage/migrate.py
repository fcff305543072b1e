"""Apply migrations: one runner at a time, each file whole or not at all, no lock waited for over two seconds.

A statement that waits for a lock makes every later reader and writer of the table wait behind it. So it gives
up soon, lets them pass, and tries again after a pause.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeAlias

import asyncpg

from entresol.errors import MigrationError, StoreUnavailableError, UnavailableError
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_query
from entresol.storage.connections import Connection
from entresol.storage.migration import Migration, read_folders
from entresol.storage.sqlstate import is_server_gone

RUNNER_WAIT_S = 600.0  # for another runner, which may be building an index
RUNNER_POLL_S = 0.2
ATTEMPTS_MAX = 10
PAUSE_FIRST_S = 0.5
PAUSE_MAX_S = 15.0
# A number of our own in the one space of advisory locks that a database has.
_ADVISORY_LOCK = 0x656E747265736F6C
_SETTINGS = {"application_name": "entresol migrate", "lock_timeout": "2s", "statement_timeout": "60s"}
# The server's own timeouts bound a statement; a file may set them off, and an index may take hours.
_NO_TIMEOUT_S = 7 * 86_400.0
_INDEX = re.compile(
    r"create\s+(?:unique\s+)?index\s+concurrently\s+if\s+not\s+exists\s+(?P<index>\"[^\"]+\"|\w+)\s+"
    r"on\s+(?:only\s+)?(?:(?P<schema>\"[^\"]+\"|\w+)\.)?",
    re.IGNORECASE,
)
_RETRIED = (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError)
_Records: TypeAlias = Mapping[tuple[str, str], tuple[str, datetime]]


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that was applied just now, or, by a dry run, would be."""

    folder: str
    name: str
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MigrationState:
    """A migration and whether it is `applied`, `pending`, `changed` since, or `unknown` to these folders."""

    folder: str
    name: str
    state: str
    applied_time: datetime | None = None


async def migrate(
    url: str,
    folders: Sequence[Path],
    *,
    dry_run: bool = False,
    runner_wait_s: float = RUNNER_WAIT_S,
    attempts_max: int = ATTEMPTS_MAX,
) -> list[Applied]:
    """Apply what is pending, folder by folder, and return it. A second runner waits for the first.

    Applied migrations that the folders do not hold are left alone: a newer release made them. The runners'
    lock belongs to a session: connect to PostgreSQL itself, not through a pooler that shares sessions.

    Raises:
        MigrationError: a file is wrong, failed, or was changed after it was applied; nothing of it remains.
        UnavailableError: a lock or another runner stayed in the way; run again.
        ConfigurationError: the server cannot be used.
    """
    migrations = read_folders(folders)
    async with connect_primary(url, _SETTINGS) as connection:
        if dry_run:
            pending = _pending(migrations, await _read_records(connection))
            return [Applied(migration.folder, migration.name) for migration in pending]
        async with _alone(connection, runner_wait_s):
            await connection.execute(read_query("migrations_table"))
            pending = _pending(migrations, await _read_records(connection))
            return [await _apply(connection, migration, attempts_max) for migration in pending]


async def status(url: str, folders: Sequence[Path]) -> list[MigrationState]:
    """Return every migration of the folders, and every other that the database knows, with its state."""
    migrations = read_folders(folders)
    async with connect_primary(url, _SETTINGS) as connection:
        records = dict(await _read_records(connection))
    states = []
    for migration in migrations:
        record = records.pop(migration.key, None)
        state = "pending" if record is None else "applied" if record[0] == migration.checksum else "changed"
        states.append(MigrationState(*migration.key, state, record[1] if record else None))
    return states + [MigrationState(*key, "unknown", time_) for key, (_, time_) in records.items()]


@asynccontextmanager
async def _alone(connection: Connection, wait_s: float) -> AsyncIterator[None]:
    """Hold the runners' lock until the connection ends.

    It is asked for again and again instead of waited for: a session that waits inside a statement holds a
    snapshot, and the other runner's CREATE INDEX CONCURRENTLY would wait for that snapshot: a deadlock.
    """
    give_up = time.monotonic() + wait_s
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _ADVISORY_LOCK):
        if time.monotonic() > give_up:
            raise UnavailableError(
                f"another process has been migrating this database for {wait_s:g} s; try again"
            )
        await asyncio.sleep(RUNNER_POLL_S)
    yield


async def _read_records(connection: Connection) -> _Records:
    if await connection.fetchval("SELECT to_regclass('entresol.migrations')") is None:
        return {}
    rows = await connection.fetch(
        "SELECT folder, name, checksum, applied_time FROM entresol.migrations ORDER BY folder, name"
    )
    return {(row["folder"], row["name"]): (row["checksum"], row["applied_time"]) for row in rows}


def _pending(migrations: Sequence[Migration], records: _Records) -> list[Migration]:
    for migration in migrations:
        record = records.get(migration.key)
        if record is not None and record[0] != migration.checksum:
            raise MigrationError(
                f"{migration.label} was changed after it was applied on {record[1]:%Y-%m-%d %H:%M %Z}; "
                "restore it and put the change into a new file, as `entresol plan` does"
            )
    return [migration for migration in migrations if migration.key not in records]


async def _apply(connection: Connection, migration: Migration, attempts_max: int) -> Applied:
    start = time.monotonic()
    if migration.in_transaction:
        await _retried(migration, attempts_max, partial(_run_whole, connection, migration, start))
    else:
        for sql in migration.statements:
            await _retried(migration, attempts_max, partial(_run_one, connection, migration, sql))
        await connection.execute("RESET ALL")
        await _record(connection, migration, start)
    return Applied(*migration.key, time.monotonic() - start)


async def _run_whole(connection: Connection, migration: Migration, start: float) -> None:
    async with connection.transaction():
        try:
            await connection.execute(migration.text, timeout=_NO_TIMEOUT_S)
        except asyncpg.PostgresError as error:
            raise _explained(error, migration, migration.text) from error
        await _record(connection, migration, start)


async def _run_one(connection: Connection, migration: Migration, sql: str) -> None:
    try:
        await _drop_invalid(connection, sql)
        await connection.execute(sql, timeout=_NO_TIMEOUT_S)
    except asyncpg.PostgresError as error:
        raise _explained(error, migration, sql) from error


async def _drop_invalid(connection: Connection, sql: str) -> None:
    """Drop what an interrupted CREATE INDEX CONCURRENTLY left: IF NOT EXISTS would take it for the index."""
    found = _INDEX.match(sql)
    if found is None:
        return
    index = ".".join(part for part in (found["schema"], found["index"]) if part)
    query = "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"
    if await connection.fetchval(query, index):
        await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}", timeout=_NO_TIMEOUT_S)


async def _record(connection: Connection, migration: Migration, start: float) -> None:
    await connection.execute(
        "INSERT INTO entresol.migrations (folder, name, checksum, duration) VALUES ($1, $2, $3, $4)",
        *migration.key,
        migration.checksum,
        timedelta(seconds=time.monotonic() - start),
    )


async def _retried(migration: Migration, attempts_max: int, run: Callable[[], Awaitable[None]]) -> None:
    pause_s = PAUSE_FIRST_S
    for attempt in range(1, attempts_max + 1):
        try:
            return await run()
        except _RETRIED as error:
            if attempt == attempts_max:
                raise UnavailableError(
                    f"{migration.label}: {error}, {attempts_max} times; end the long transactions on its "
                    "tables (pg_stat_activity, pg_locks) and run again"
                ) from error
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, PAUSE_MAX_S)
    return None


def _explained(error: asyncpg.PostgresError, migration: Migration, sql: str) -> Exception:
    """Return the error with its file and line; one that another attempt may cure is returned as it is."""
    if isinstance(error, _RETRIED):
        return error
    if is_server_gone(error):
        return StoreUnavailableError(f"{migration.label}: the database went away: {error}; run again")
    line = migration.line_of(sql, int(error.position or 1))
    detail = f"; {error.detail}" if error.detail else ""
    return MigrationError(f"{migration.label}:{line}: {error} [{error.sqlstate}]{detail}")
