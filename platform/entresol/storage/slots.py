"""The publication and the replication slot that the relay reads: made when missing, never narrowed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg

from entresol.errors import ConfigurationError, SlotBusyError, UnavailableError
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_query
from entresol.storage.connections import Connection
from entresol.storage.identifiers import full_name, quote, quote_table

COLUMNS = ("name", "row_version")
PLUGIN = "pgoutput"
_PUBLISHED = "insert, update, delete, truncate"
# A slot begins only when every transaction that is open now has ended.
CREATE_TIMEOUT_S = 60.0
_CREATE = "SELECT (lsn - '0/0'::pg_lsn)::bigint FROM pg_create_logical_replication_slot($1, $2)"
_CREATE_FAILOVER = _CREATE.replace("$2", "$2, failover => true")
_ADVISORY_LOCK = 0x656E747265736F6D
_SLOT_NAME = re.compile(r"[a-z0-9_]{1,63}")
# From here on a publication can name the columns to send, and a slot can follow a failover.
_COLUMN_LISTS_SINCE = 15
_FAILOVER_SINCE = 17


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that can be read. All before `position` is acknowledged; `created`: it begins only now."""

    name: str
    position: int
    created: bool


async def prepare(
    url: str,
    slot: str,
    publication: str,
    tables: Collection[str],
    columns: Sequence[str] | None = COLUMNS,
    *,
    keeps: bool = False,
) -> Slot:
    """Make publication and slot if they are missing. Tables that others have published stay.

    Migrations publish every resource's table in `entresol`; for a publication of another name it is done here. A
    slot that is older than the publication of a table, or that the server has invalidated, is made anew: `created`
    tells that changes may have been missed. Only `columns` are sent, where the server can choose (PostgreSQL 15); all
    of them for None. With `keeps`, a slot stays though a table was added since: what was sent before is sent on.

    Raises:
        ConfigurationError: a setting of the server, a privilege or a table is in the way; the text says what to change.
        SlotBusyError: another process reads the slot, or a transaction that a new slot has to wait for stays open.
    """
    if not _SLOT_NAME.fullmatch(slot):
        raise ConfigurationError(f"replication slot {slot!r}: use 1 to 63 lower-case letters, digits and _")
    async with connect_primary(url, {"lock_timeout": "5s"}) as connection, _explained():
        await _check_settings(connection)
        await _read_slot(connection, slot)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _ADVISORY_LOCK)
            statements = await _lacking(connection, publication, sorted(map(full_name, tables)), columns)
            is_new = bool(statements)
            if statements and (not keeps or statements[0].startswith("CREATE")):
                # First, because it fails when the slot is in use, and then nothing may change.
                await _drop_slot(connection, slot)
            for statement in statements:
                await connection.execute(statement)
        found = await _slot(connection, slot)
        return replace(found, created=found.created or is_new)


async def held(url: str, slot: str) -> tuple[int, bool]:
    """Return how many bytes of its log the server keeps for a slot, and whether nothing bounds them."""
    async with connect_primary(url) as connection, _explained():
        row = await connection.fetchrow(read_query("slot_held"), slot)
        return (0, False) if row is None else (row["size_bytes"], row["is_unbounded"])


async def remove(url: str, slot: str, publication: str) -> None:
    """Drop slot and publication, if they exist. A slot that nobody reads keeps the server's log without end."""
    async with connect_primary(url) as connection, _explained():
        await _read_slot(connection, slot)
        await _drop_slot(connection, slot)
        await connection.execute(f"DROP PUBLICATION IF EXISTS {quote(publication)}")


async def _check_settings(connection: Connection) -> None:
    level = await connection.fetchval("SHOW wal_level")
    if level != "logical":
        raise ConfigurationError(
            f"wal_level is {level}: set wal_level = logical on the primary and restart it (a managed service calls "
            "it logical replication or logical decoding)"
        )
    if await connection.fetchval("SHOW synchronous_commit") == "off":
        raise ConfigurationError(
            "synchronous_commit is off, so that a crash can lose what was shown: set it to local or on, on the primary"
        )


async def _lacking(
    connection: Connection, publication: str, tables: Sequence[str], columns: Sequence[str] | None
) -> list[str]:
    """Return the statements that publish what is not published yet."""
    rows = await connection.fetch(read_query("replica_identities"), tables)
    identities = {row["table"]: set(row["columns"]) for row in rows}
    for table in tables:
        if not identities.get(table):
            # PostgreSQL would refuse every update of a published table without one.
            raise ConfigurationError(
                f"table {table} is missing or has no replica identity: run `entresol migrate`, and before it "
                "`entresol plan --write` if no migration makes this yet"
            )
    wanted = {table: _column_list(connection, identities[table], columns) for table in tables}
    row = await connection.fetchrow("SELECT puballtables FROM pg_publication WHERE pubname = $1", publication)
    if row is None:
        listed = ", ".join(_item(table, wanted[table]) for table in tables)
        target = f" FOR TABLE {listed}" if listed else ""
        return [f"CREATE PUBLICATION {quote(publication)}{target} WITH (publish = '{_PUBLISHED}')"]
    return [] if row["puballtables"] else await _widening(connection, publication, wanted)


async def _widening(
    connection: Connection, publication: str, wanted: Mapping[str, tuple[str, ...]]
) -> list[str]:
    """Return what adds tables and columns that are not published; another release may have published more."""
    alter = f"ALTER PUBLICATION {quote(publication)}"
    rows = await connection.fetch(read_query("publication_tables"), publication)
    has = {row["table"]: None if row["columns"] is None else set(row["columns"]) for row in rows}
    statements: list[str] = []
    for table, columns in wanted.items():
        sent = has.get(table, set())
        if sent is None or (columns and set(columns) <= sent):
            continue
        if table in has:
            columns = tuple(sorted(sent | set(columns))) if columns else ()
            statements.append(f"{alter} DROP TABLE {quote_table(table)}")
        statements.append(f"{alter} ADD TABLE {_item(table, columns)}")
    return statements


def _column_list(
    connection: Connection, identity: set[str], columns: Sequence[str] | None
) -> tuple[str, ...]:
    """Return the columns to send, which must cover the replica identity; nothing for all of them."""
    if columns is None or connection.get_server_version().major < _COLUMN_LISTS_SINCE:
        return ()
    return (*columns, *sorted(identity - set(columns)))


def _item(table: str, columns: Sequence[str]) -> str:
    listed = f" ({', '.join(quote(column) for column in columns)})" if columns else ""
    return f"{quote_table(table)}{listed}"


async def _read_slot(connection: Connection, slot: str) -> asyncpg.Record | None:
    """Return the slot's state, if it exists and may be ours."""
    row = await connection.fetchrow(read_query("slot_state"), slot)
    database = await connection.fetchval("SELECT current_database()")
    if row is not None and (row["plugin"], row["database"]) != (PLUGIN, database):
        raise ConfigurationError(
            f"replication slot {slot} exists for {row['plugin'] or row['slot_type']} in database {row['database']}; "
            "set relay_slot to another name"
        )
    return row


async def _slot(connection: Connection, slot: str) -> Slot:
    row = await _read_slot(connection, slot)
    if row is not None and not row["lost"]:
        return Slot(slot, row["position"], created=False)
    await _drop_slot(connection, slot)
    return await _create(connection, slot)


async def _create(connection: Connection, slot: str) -> Slot:
    query = _CREATE_FAILOVER if connection.get_server_version().major >= _FAILOVER_SINCE else _CREATE
    try:
        position = await connection.fetchval(query, slot, PLUGIN, timeout=CREATE_TIMEOUT_S)
    except asyncpg.DuplicateObjectError as error:
        raise SlotBusyError(f"another process has just made replication slot {slot}") from error
    except TimeoutError as error:
        raise SlotBusyError(
            f"replication slot {slot} waits for transactions that have been open for over {CREATE_TIMEOUT_S:g} s; "
            "end them (pg_stat_activity)"
        ) from error
    return Slot(slot, int(position), created=True)


async def _drop_slot(connection: Connection, slot: str) -> None:
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1"
    await connection.execute(drop, slot)


@asynccontextmanager
async def _explained() -> AsyncIterator[None]:
    """Say what a person has to change where the server refuses."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"{error}: the user needs ALTER ROLE ... REPLICATION, CREATE on the database, and to own the tables"
        ) from error
    except asyncpg.ConfigurationLimitExceededError as error:
        raise ConfigurationError(
            f"{error}: raise max_replication_slots and restart the primary, or drop slots that nobody reads "
            "(pg_replication_slots)"
        ) from error
    except asyncpg.ObjectInUseError as error:
        raise SlotBusyError(str(error)) from error
    except (asyncpg.LockNotAvailableError, TimeoutError) as error:
        raise UnavailableError(f"the publication cannot be changed now: {error}") from error
