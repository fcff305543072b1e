"""The server that batches read: one, of one moment, which is not the primary unless there is no other.

The moment is a transaction that exports its snapshot, stays open for as long as anybody reads by it, and tells what the
result is as of.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from entresol.config import Settings
from entresol.errors import ConflictError, EntresolError, FailedPreconditionError, StoreUnavailableError
from entresol.storage.catalog import read_query
from entresol.storage.connections import Address, Connection, Record, addresses
from entresol.storage.sqlstate import DRIVER_ERRORS, meaning

ROWS_AT_ONCE = 5000
_REPLAY_POLL_S = 0.05
_APPLICATION = "entresol batch"


class SnapshotLostError(ConflictError):
    """The server gave up what a run was reading: it is read again, from another snapshot."""

    reason = "SNAPSHOT_LOST"


class BatchTextError(FailedPreconditionError):
    """What a batch's text or function says cannot be done: another attempt would fail alike."""

    reason = "BATCH_TEXT_WRONG"


@dataclass(frozen=True, slots=True)
class Moment:
    """What readers need to see what the coordinator sees. Everything up to `position` is in it, and maybe more."""

    url: str = field(repr=False)
    server: str
    snapshot: str
    position: int
    time: datetime
    timeout_s: float


@dataclass(slots=True)
class Analytics:
    """The open transaction of a run."""

    moment: Moment
    _connection: Connection = field(repr=False)

    async def estimate(self, text: str) -> tuple[int, int]:
        """Return how many rows the planner expects, and of how many bytes altogether."""
        plan = json.loads((await self._fetch(f"EXPLAIN (FORMAT JSON) {text}"))[0][0])[0]["Plan"]
        return int(plan["Plan Rows"]), int(plan["Plan Rows"] * plan["Plan Width"])

    async def count(self, text: str) -> int:
        """Return the number that a statement answers with."""
        return int((await self._fetch(text))[0][0])

    async def blocks(self, table: str) -> int:
        """Return how many blocks a table has, or the largest of its partitions."""
        return int((await self._fetch(read_query("batches/blocks"), table))[0][0])

    async def rows(self, text: str) -> AsyncIterator[list[Record]]:
        """Give the rows of a statement, some at a time."""
        with reading():
            cursor = await self._connection.cursor(text)
            while rows := await cursor.fetch(ROWS_AT_ONCE):
                yield rows

    async def _fetch(self, text: str, *parameters: object) -> list[Record]:
        with reading():
            return await self._connection.fetch(text, *parameters)


@contextmanager
def reading() -> Iterator[None]:
    """Turn what reading raises into errors that tell whether another attempt may help."""
    try:
        yield
    except DRIVER_ERRORS as error:
        raise reading_error(getattr(error, "sqlstate", None), str(error), meaning(error, {})) from error


def reading_error(state: str | None, text: str, known: EntresolError | None = None) -> Exception:
    """Return the error of a failed read, by its SQLSTATE; None: the connection broke."""
    if state in (
        "40001",
        "40P01",
        "22023",
        "55000",
    ):  # the last two: the snapshot was the coordinator's, who is gone
        return SnapshotLostError(f"the server gave up what was being read: {text}")
    if state is not None and state.startswith(("42", "22", "21", "0A")):
        return BatchTextError(f"the database refuses what the batch asks: {text}")
    return known or StoreUnavailableError(f"the server that batches read does not answer: {text}")


@asynccontextmanager
async def open_analytics(
    settings: Settings, *, attempt: int, at_least: int, timeout_s: float
) -> AsyncIterator[Analytics]:
    """Open a transaction on the analytics server, which has replayed `at_least`; each attempt begins with another.

    Raises:
        StoreUnavailableError: no such server can be reached, or none has replayed so much in time.
    """
    connection, url, server = await _connect_first(settings, attempt, timeout_s)
    try:
        with reading():
            await _catch_up(connection, at_least, settings.replica_lag_max_s)
            position, moment = await connection.fetchrow(read_query("batches/as_of"))  # type: ignore[misc]
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
        yield Analytics(Moment(url, server, snapshot, position, moment, timeout_s), connection)
    finally:
        connection.terminate()  # cannot block, and ends the transaction


def pinned(url: str, address: Address) -> str:
    """Return the URL of this one of its servers, for other drivers."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query)) | {"host": address.host, "port": str(address.port)}
    user = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{user}@" if user else "", query=urlencode(query)))


def _candidates(settings: Settings, attempt: int) -> list[tuple[str, str]]:
    if settings.database_analytics:
        return [("analytics", settings.database_analytics)]
    if not settings.database_read:
        return [("primary", settings.database_write)]
    first = (attempt - 1) % len(settings.database_read)
    around = settings.database_read[first:] + settings.database_read[:first]
    return [("replica", url) for url in around]


async def _connect_first(settings: Settings, attempt: int, timeout_s: float) -> tuple[Connection, str, str]:
    failure: Exception | None = None
    longest_ms = str(int(timeout_s * 1000))
    session = {
        "application_name": _APPLICATION,
        "statement_timeout": longest_ms,
        "idle_in_transaction_session_timeout": longest_ms,
        "timezone": "UTC",
    }
    for role, url in _candidates(settings, attempt):
        for address in addresses(url):
            try:
                connection = await asyncpg.connect(
                    url,
                    host=address.host,
                    port=address.port,
                    timeout=settings.database_connect_timeout_s,
                    server_settings=session,
                )
            except DRIVER_ERRORS as error:
                failure = error
            else:
                return connection, pinned(url, address), f"{role}:{address}"
    raise StoreUnavailableError(f"no server that batches may read answers: {failure}") from failure


async def _catch_up(connection: Connection, at_least: int, longest_s: float) -> None:
    end_s = time.monotonic() + longest_s
    while not await connection.fetchval(read_query("batches/has_replayed"), at_least):
        if time.monotonic() > end_s:
            raise StoreUnavailableError(
                f"the server that batches read is more than {longest_s:g} s behind", retry_after_s=longest_s
            )
        await asyncio.sleep(_REPLAY_POLL_S)
