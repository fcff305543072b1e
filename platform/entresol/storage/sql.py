"""The statements over one resource's table. Pure; `sql_filter`, `sql_page` and `selection` alone build SQL beside it.

Texts depend on the resource and the shape of a query alone, so that the driver's statement cache knows them again.
"""
# ruff: noqa: S608 - values are parameters always, and identifiers are quoted

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property

from google.protobuf.message import Message

from entresol.schema.model import Field, Resource, Role
from entresol.storage.identifiers import quote, quote_table
from entresol.storage.rows import Row, RowCodec, name_of_record, time_of_name

# Read by the writing statement itself, while it holds the row's lock: every earlier change of the row was committed
# at a smaller position (rule R1).
POSITION = "pg_current_wal_insert_lsn()"
_NAMES_MAX = 16  # that are values of their own
_ANY_TIME = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL text and the values of `$1`, `$2`, ... in it."""

    text: str
    parameters: tuple[object, ...] = ()


@dataclass(frozen=True)
class TableSql:
    """The statements of one resource. Records come back as `RowCodec.row` reads them, the position of a write last."""

    codec: RowCodec

    @property
    def resource(self) -> Resource:
        """Return the resource whose table this is."""
        return self.codec.resource

    @cached_property
    def table(self) -> str:
        """Return the table as SQL writes it."""
        return quote_table(self.resource.table)

    @cached_property
    def columns(self) -> str:
        """Return the columns of a read, the row's version last."""
        return ", ".join([*(column_of(field) for field in self.codec.read_fields), "row_version"])

    def select_by_names(self, names: Sequence[str]) -> Statement:
        """Return the rows with these names, in any order."""
        condition, parameters = self._named(names)
        return Statement(f"SELECT {self.columns} FROM {self.table} WHERE {condition}", parameters)

    def read_by_names(self, names: Sequence[str]) -> Statement:
        """Read these records; the last column is `SEEN`, and a record of nulls says that there are none."""
        condition, parameters = self._named(names)
        return Statement(self._read_by_names + condition, parameters)

    def typed(self, rows: Sequence[str]) -> Statement:
        """Return rows that are given as texts of the table's type, in their order, as a read returns records."""
        given = f"unnest($1::text[]::{self.table}[]) WITH ORDINALITY AS given"
        return Statement(f"SELECT {self.columns} FROM {given} ORDER BY ordinality", (list(rows),))

    def lock(self, name: str) -> Statement:
        """Return the row, locked against other writers and not against foreign keys that refer to it."""
        return Statement(
            f"SELECT {self.columns} FROM {self.table} WHERE name = $1 FOR NO KEY UPDATE", (name,)
        )

    def lock_key(self, name: str) -> Statement:
        """Return the row, locked also against new rows that would refer to it."""
        return Statement(f"SELECT {self.columns} FROM {self.table} WHERE name = $1 FOR UPDATE", (name,))

    def hold_key(self, name: str) -> Statement:
        """Return a row when the record exists, and keep it from being deleted, as a foreign key would."""
        return Statement(f"SELECT 1 FROM {self.table} WHERE name = $1 FOR KEY SHARE", (name,))

    @cached_property
    def insert(self) -> str:
        """Return the text that inserts one row and returns it; its parameters are those of `load`."""
        return f"{self.load} RETURNING {self.columns}, {POSITION}"

    @cached_property
    def load(self) -> str:
        """Return the text that inserts one row; its parameters are those of `inserted`."""
        names = [quote(name) for name in self.inserted]
        values = [f"${number}" for number in range(1, len(names) + 1)]
        for role in (Role.CREATE_TIME, Role.UPDATE_TIME):
            if role in self.resource.by_role and not self.resource.events:
                names.append(column_of(self.resource.by_role[role]))
                values.append("now()")
        return f"INSERT INTO {self.table} ({', '.join(names)}) VALUES ({', '.join(values)})"

    @cached_property
    def inserted(self) -> tuple[str, ...]:
        """Return the columns that an insert is given: the parent, if any, then `codec.insert_fields`."""
        parent = ("parent",) if self.resource.has_parent else ()
        return (*parent, *(name_of(field) for field in self.codec.insert_fields))

    def parameters(self, message: Message) -> tuple[object, ...]:
        """Return the values of `inserted`; what is raised is as for `RowCodec.values`."""
        codec = self.codec
        values = codec.values(message, codec.insert_fields)
        return (codec.parent(name_of_record(message)), *values) if self.resource.has_parent else values

    def written(self, parameters: Sequence[object]) -> Row:
        """Return the row that an event becomes which is inserted with `parameters`."""
        return self.codec.written(parameters[int(self.resource.has_parent) :])

    def update(
        self,
        name: str,
        version: int | None,
        fields: Sequence[Field],
        values: Sequence[object],
        *,
        live: bool = False,
        waits: bool = True,
    ) -> Statement:
        """Set `fields` of one row, when it has this version, and with `live` when it is not marked as deleted.

        Unless it `waits`, a row that another transaction holds is passed over, and the caller adds a last parameter: a
        number that comes back beside the position, so that of many executions each knows its record.
        """
        changes = [f"{column_of(field)} = ${number}" for number, field in enumerate(fields, start=2)]
        parameters = [name, *values]
        condition = f"name = $1{_version_condition(parameters, version)}"
        if live and self.resource.soft_delete:
            condition += f" AND {self._role(Role.DELETE_TIME)} IS NULL"
        number = ""
        if not waits:
            free = f"SELECT name FROM {self.table} WHERE {condition} FOR NO KEY UPDATE SKIP LOCKED"
            condition, number = f"name = ({free})", f"${len(parameters) + 1}::int, "
        text = self._update_text([*changes, *self._touch()], condition, number)
        return Statement(text, tuple(parameters))

    def soft_delete(self, name: str, version: int | None, retention_s: float) -> Statement:
        """Mark one live row as deleted, when it has this version."""
        parameters: list[object] = [name]
        changes = self._marking(parameters, retention_s)
        condition = (
            f"name = $1 AND {self._role(Role.DELETE_TIME)} IS NULL{_version_condition(parameters, version)}"
        )
        return Statement(self._update_text(changes, condition), tuple(parameters))

    def undelete(self, name: str, version: int | None) -> Statement:
        """Unmark one deleted row, when it has this version."""
        parameters: list[object] = [name]
        condition = f"name = $1 AND {self._role(Role.DELETE_TIME)} IS NOT NULL"
        condition += _version_condition(parameters, version)
        return Statement(self._update_text(self._unmarking(), condition), tuple(parameters))

    def delete(self, name: str, version: int | None) -> Statement:
        """Remove one row, when it has this version."""
        parameters: list[object] = [name]
        condition = _version_condition(parameters, version)
        text = f"DELETE FROM {self.table} WHERE name = $1{condition} RETURNING {self.columns}, {POSITION}"
        return Statement(text, tuple(parameters))

    def live_child(self, parents: list[str]) -> Statement:
        """Return the name of one of `parents` that has a child here that is not deleted."""
        live = f" AND {self._role(Role.DELETE_TIME)} IS NULL" if self.resource.soft_delete else ""
        return Statement(f"SELECT parent FROM {self.table} WHERE parent = ANY($1){live} LIMIT 1", (parents,))

    def delete_named(self, names: list[str]) -> Statement:
        """Remove the rows of these names; returns name, version and position of each."""
        text = f"DELETE FROM {self.table} WHERE name = ANY($1) RETURNING name, row_version, {POSITION}"
        return Statement(text, (names,))

    def soft_delete_named(self, names: list[str], retention_s: float) -> Statement:
        """Mark the live rows of these names as deleted."""
        parameters: list[object] = [names]
        changes = self._marking(parameters, retention_s)
        condition = f"name = ANY($1) AND {self._role(Role.DELETE_TIME)} IS NULL"
        return Statement(self._update_text(changes, condition), tuple(parameters))

    def lock_children(self, parents: list[str]) -> Statement:
        """Return the names of all children of `parents`, locked, in the one order that every transaction takes."""
        text = f"SELECT name FROM {self.table} WHERE parent = ANY($1) ORDER BY name FOR UPDATE"
        return Statement(text, (parents,))

    def delete_children(self, parents: list[str]) -> Statement:
        """Remove all children of `parents`; returns name, version and position of each."""
        text = f"DELETE FROM {self.table} WHERE parent = ANY($1) RETURNING name, row_version, {POSITION}"
        return Statement(text, (parents,))

    def soft_delete_children(self, parents: list[str], retention_s: float) -> Statement:
        """Mark the live children of `parents` as deleted."""
        parameters: list[object] = [parents]
        changes = self._marking(parameters, retention_s)
        condition = f"parent = ANY($1) AND {self._role(Role.DELETE_TIME)} IS NULL"
        return Statement(self._update_text(changes, condition), tuple(parameters))

    def undelete_children(self, parents: list[str], time: datetime) -> Statement:
        """Unmark the children of `parents` that were deleted at this moment."""
        condition = f"parent = ANY($1) AND {self._role(Role.DELETE_TIME)} = $2"
        return Statement(self._update_text(self._unmarking(), condition), (parents, time))

    @cached_property
    def _read_by_names(self) -> str:
        return (
            f'SELECT {self.columns}, "log position" FROM ({SEEN} AS "log position") AS log '
            f"LEFT JOIN {self.table} ON "
        )

    def _named(self, names: Sequence[str]) -> tuple[str, tuple[object, ...]]:
        """Return the condition on names and its values; of events with that on their times: few days to look at.

        Of an array that is one value PostgreSQL does not know the length, takes it for ten, and plans anew for every
        shorter one, which costs more than to read the rows. So names are values of their own where they are few.
        """
        places, values = _places(names)
        if not self.resource.events:
            return f"name = ANY({places})", values
        first = len(values) + 1
        times = f"{self._role(Role.CREATE_TIME)} BETWEEN ${first} AND ${first + 1}"
        return f"name = ANY({places}) AND {times}", (*values, *self._times(names))

    def _times(self, names: Sequence[str]) -> tuple[object, ...]:
        times = [time for name in names if (time := time_of_name(name)) is not None]
        if len(times) < len(names):
            return _ANY_TIME  # rows that were there before they were events may be of any day
        return (min(times, default=_ANY_TIME[0]), max(times, default=_ANY_TIME[1]))

    def _role(self, role: Role) -> str:
        return column_of(self.resource.by_role[role])

    def _update_text(self, changes: Sequence[str], condition: str, number: str = "") -> str:
        set_ = ", ".join(changes) or "name = name"
        return (
            f"UPDATE {self.table} SET {set_} WHERE {condition} RETURNING {self.columns}, {number}{POSITION}"
        )

    def _marking(self, parameters: list[object], retention_s: float) -> list[str]:
        changes = [f"{self._role(Role.DELETE_TIME)} = now()", *self._touch()]
        if Role.PURGE_TIME in self.resource.by_role:
            parameters.append(retention_s)
            changes.append(
                f"{self._role(Role.PURGE_TIME)} = now() + make_interval(secs => ${len(parameters)})"
            )
        return changes

    def _unmarking(self) -> list[str]:
        times = [role for role in (Role.DELETE_TIME, Role.PURGE_TIME) if role in self.resource.by_role]
        return [*(f"{self._role(role)} = NULL" for role in times), *self._touch()]

    def _touch(self) -> list[str]:
        return (
            [f"{self._role(Role.UPDATE_TIME)} = now()"] if Role.UPDATE_TIME in self.resource.by_role else []
        )


def _places(names: Sequence[str]) -> tuple[str, tuple[object, ...]]:
    """Return an array of names as SQL, and its values: of few as many as the next power of two, the last one again."""
    if not 0 < len(names) <= _NAMES_MAX:
        return "$1", (list(names),)
    size = 1 << (len(names) - 1).bit_length()
    return _array(size), (*names, *[names[-1]] * (size - len(names)))


@cache
def _array(size: int) -> str:
    return f"ARRAY[{', '.join(f'${number}' for number in range(1, size + 1))}]"


def name_of(field: Field) -> str:
    """Return the name of the column of `field`."""
    assert field.column is not None, f"{field.name} has no column"
    return field.column.name


def column_of(field: Field) -> str:
    """Return the column of `field` as SQL writes it."""
    return quote(name_of(field))


def _version_condition(parameters: list[object], version: int | None) -> str:
    if version is None:
        return ""
    parameters.append(version)
    return f" AND row_version = ${len(parameters)}"


# A position behind everything that the statement's snapshot shows, and as near as can be: what lies behind the flushed
# end of the log reaches no standby, so while the primary is away nobody could answer a token that depends on it. With
# `synchronous_commit` nothing shows before it is flushed. A standby shows a commit a moment before it counts it as
# replayed, but never before it is received; archives are replayed without being received.
SEEN = """SELECT CASE WHEN pg_is_in_recovery()
    THEN coalesce(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0')
    ELSE pg_current_wal_flush_lsn() END"""
# Statements about the server itself. Which one answers, only it can tell: a balancer leads each connection to another.
_SERVER = "host(inet_server_addr()) AS host, inet_server_port() AS port, pg_postmaster_start_time() AS start"
REPLAYED = f"SELECT {_SERVER}, coalesce(pg_last_wal_replay_lsn(), '0/0') AS replayed"
# `behind_s` is measured between the clocks of two servers; `caught_up` keeps it from growing while nothing is written.
REPLICA_STATE = f"""
SELECT {_SERVER}, pg_is_in_recovery() AS in_recovery,
       coalesce(pg_last_wal_replay_lsn(), '0/0') AS replayed,
       coalesce(pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn(), false) AS caught_up,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS streaming,
       coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0)::float8 AS behind_s
"""
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
ROLLBACK = "ROLLBACK"
PING = "SELECT 1"
# Deferred constraints are checked first; in a transaction that has failed this is an error, where COMMIT would be none.
_CHECK = "SET CONSTRAINTS ALL IMMEDIATE"
CHECK_AND_ROLLBACK = f"{_CHECK}; ROLLBACK"
# One message: COMMIT ends the transaction, and only then, in another one, is the position read (rule R1's token). A
# setting carries it, because the driver returns no rows for such a message, and the server reports this setting to its
# client whenever it has changed.
AFTER_COMMIT = "SELECT set_config('application_name', pg_current_wal_flush_lsn()::text, false)"
COMMIT = f"{_CHECK}; COMMIT; {AFTER_COMMIT}"


def parse_position(text: str) -> int:
    """Return a WAL position, which PostgreSQL writes as two halves in hexadecimal."""
    high, low = text.split("/")
    return (int(high, 16) << 32) | int(low, 16)


# Idempotency records. An expired one is as good as none; one that is being written is waited for.
CLAIM_REQUEST = """
INSERT INTO entresol.requests AS known (method, caller, request_id, hash, expire_time)
VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
ON CONFLICT (method, caller, request_id) DO UPDATE
SET hash = excluded.hash, response = NULL, expire_time = excluded.expire_time
WHERE known.expire_time <= now()
RETURNING true
"""
READ_REQUEST = """
SELECT hash, response FROM entresol.requests WHERE method = $1 AND caller = $2 AND request_id = $3
"""
# Each new record takes two that have expired with it, so that there are never many of them.
FINISH_REQUEST = """
WITH expired AS (
    DELETE FROM entresol.requests WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM entresol.requests WHERE expire_time <= now() LIMIT 2 FOR UPDATE SKIP LOCKED
    ))
)
UPDATE entresol.requests SET response = $4 WHERE method = $1 AND caller = $2 AND request_id = $3
"""
# Of requests that earn their replies in one transaction: those that are new, in an order that no two such can cross.
KEEP_REQUESTS = """
WITH expired AS (
    DELETE FROM entresol.requests WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM entresol.requests WHERE expire_time <= now() LIMIT 2 * cardinality($1::text[])
        FOR UPDATE SKIP LOCKED
    ))
)
INSERT INTO entresol.requests (method, caller, request_id, hash, response, expire_time)
SELECT new.*, now() + make_interval(secs => $6)
FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[])
    AS new (method, caller, request_id, hash, response)
ORDER BY method, caller, request_id
ON CONFLICT DO NOTHING
RETURNING method, caller, request_id
"""
