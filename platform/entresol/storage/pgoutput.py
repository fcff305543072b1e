"""BYTES -> TRANSACTIONS: the messages of PostgreSQL's output plugin `pgoutput`, protocol version 1. Pure.

Source: "Logical Replication Message Formats" of PostgreSQL's manual.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from entresol.errors import EntresolError
from entresol.storage.changes import ABSENT, ChangeKind, RowChange, Transaction, Value

CHANGES_MAX = 500_000  # some 200 MB of memory
# Seconds between the epochs of Unix and of PostgreSQL, 2000-01-01.
POSTGRES_EPOCH_S = 946_684_800
_BEGIN = struct.Struct("!qqI")
_COMMIT = struct.Struct("!Bqqq")
_KEY_FLAG = 1


class ReplicationProtocolError(EntresolError):
    """The server sent what this decoder does not understand."""

    reason = "REPLICATION_PROTOCOL"


@dataclass(frozen=True, slots=True)
class _Relation:
    """A table as the server described it last: all its columns, whether each is kept, and the kept ones' names."""

    table: str
    columns: tuple[str, ...]
    kept: tuple[bool, ...]


class Decoder:
    """Reads the messages of one connection, in order, and returns each transaction when its commit arrives.

    `columns` names the columns to keep; None keeps those of the replica identity.

    A transaction of more than `changes_max` changes is not kept: from there on it becomes one change per table, of
    kind TRUNCATE, which says that any row may have changed. Memory is bounded so whatever anybody commits, and
    readers stay right, because who drops too much from a cache only works more.
    """

    def __init__(self, columns: frozenset[str] | None = None, changes_max: int = CHANGES_MAX) -> None:
        self._columns = columns
        self._changes_max = changes_max
        self._relations: dict[int, _Relation] = {}
        self._begin: tuple[int, int, int] | None = None
        self._changes: list[RowChange] = []
        self._whole_tables: dict[str, None] = {}  # in order; not empty once the transaction is too large
        self._readers: dict[int, Callable[[bytes], None]] = {
            ord("B"): self._read_begin,
            ord("R"): self._read_relation,
            ord("I"): self._read_insert,
            ord("U"): self._read_update,
            ord("D"): self._read_delete,
            ord("T"): self._read_truncate,
            ord("Y"): _ignore,  # a type's name
            ord("O"): _ignore,  # where a replicated transaction came from
            ord("M"): _ignore,  # pg_logical_emit_message
        }

    def decode(self, message: bytes) -> Transaction | None:
        """Take one message; return the transaction that it commits, if it does.

        Raises:
            ReplicationProtocolError: it is no message of this protocol, or out of order.
        """
        if not message:
            raise ReplicationProtocolError("an empty replication message")
        try:
            if message[0] == ord("C"):
                return self._commit(message)
            self._readers[message[0]](message)
        except (struct.error, IndexError, KeyError, ValueError) as error:
            kind = message[:1].decode("ascii", "replace")
            raise ReplicationProtocolError(
                f"replication message {kind!r} cannot be read: {error!r}"
            ) from error
        return None

    def _read_begin(self, message: bytes) -> None:
        self._begin = _BEGIN.unpack_from(message, 1)
        self._changes = []
        self._whole_tables = {}

    def _commit(self, message: bytes) -> Transaction:
        if self._begin is None:
            raise ReplicationProtocolError("a commit without its begin")
        _, commit_lsn, end_lsn, time = _COMMIT.unpack_from(message, 1)
        xid = self._begin[2]
        changes = tuple(self._changes)
        if self._whole_tables:
            changes = tuple(RowChange(table, ChangeKind.TRUNCATE) for table in self._whole_tables)
        self._begin, self._changes, self._whole_tables = None, [], {}
        return Transaction(xid, commit_lsn, end_lsn, POSTGRES_EPOCH_S + time / 1_000_000, changes)

    def _read_relation(self, message: bytes) -> None:
        oid = _oid(message)
        schema, position = _text(message, 5)
        table, position = _text(message, position)
        count = int.from_bytes(message[position + 1 : position + 3], "big")
        position += 3  # past the replica identity, too
        names: list[str] = []
        kept: list[bool] = []
        for _ in range(count):
            flags = message[position]
            name, position = _text(message, position + 1)
            position += 8  # type and its modifier
            kept.append(bool(flags & _KEY_FLAG) if self._columns is None else name in self._columns)
            if kept[-1]:
                names.append(name)
        # pgoutput writes pg_catalog as an empty name.
        self._relations[oid] = _Relation(f"{schema or 'pg_catalog'}.{table}", tuple(names), tuple(kept))

    def _read_insert(self, message: bytes) -> None:
        relation = self._relations[_oid(message)]
        if not self._overflows(relation):
            _expect(message, 5, b"N")
            new, _ = _tuple(message, 6, relation)
            self._changes.append(RowChange(relation.table, ChangeKind.INSERT, relation.columns, new))

    def _read_update(self, message: bytes) -> None:
        relation = self._relations[_oid(message)]
        if self._overflows(relation):
            return
        old, position = None, 5
        if message[5] != ord("N"):
            _expect(message, 5, b"KO")
            old, position = _tuple(message, 6, relation)
        _expect(message, position, b"N")
        new, _ = _tuple(message, position + 1, relation)
        self._changes.append(RowChange(relation.table, ChangeKind.UPDATE, relation.columns, new, old))

    def _read_delete(self, message: bytes) -> None:
        relation = self._relations[_oid(message)]
        if not self._overflows(relation):
            _expect(message, 5, b"KO")
            old, _ = _tuple(message, 6, relation)
            self._changes.append(RowChange(relation.table, ChangeKind.DELETE, relation.columns, None, old))

    def _read_truncate(self, message: bytes) -> None:
        (count,) = struct.unpack_from("!I", message, 1)
        for oid in struct.unpack_from(f"!{count}I", message, 6):
            relation = self._relations[oid]
            if not self._overflows(relation):
                self._changes.append(RowChange(relation.table, ChangeKind.TRUNCATE))

    def _overflows(self, relation: _Relation) -> bool:
        """Whether the transaction is too large to be kept; then its tables are noted instead."""
        if self._begin is None:
            raise ReplicationProtocolError("a change outside of a transaction")
        if not self._whole_tables and len(self._changes) < self._changes_max:
            return False
        if not self._whole_tables:
            self._whole_tables = dict.fromkeys(change.table for change in self._changes)
            self._changes = []
        self._whole_tables[relation.table] = None
        return True


def _tuple(message: bytes, position: int, relation: _Relation) -> tuple[tuple[Value, ...], int]:
    """Return the kept values of a row, and where the row ends."""
    count = (message[position] << 8) | message[position + 1]
    position += 2
    values: list[Value] = []
    if count != len(relation.kept):
        raise ReplicationProtocolError(
            f"a row of {relation.table} with {count} values, not {len(relation.kept)}"
        )
    for keep in relation.kept:
        kind = message[position]
        position += 1
        if kind == 0x74:  # t: text
            start = position + 4
            position = start + int.from_bytes(message[position:start], "big")
            if keep:
                values.append(message[start:position].decode())
        elif kind == 0x6E:  # n: null
            if keep:
                values.append(None)
        elif kind == 0x75:  # u: stored out of line and left alone
            if keep:
                values.append(ABSENT)
        else:
            raise ReplicationProtocolError(f"a value of kind {chr(kind)!r}, which was not asked for")
    if position > len(message):
        raise ReplicationProtocolError(f"a row of {relation.table} is cut off")
    return tuple(values), position


def _oid(message: bytes) -> int:
    return int.from_bytes(message[1:5], "big")


def _text(message: bytes, position: int) -> tuple[str, int]:
    end = message.index(b"\0", position)
    return message[position:end].decode(), end + 1


def _expect(message: bytes, position: int, kinds: bytes) -> None:
    if message[position] not in kinds:
        raise ReplicationProtocolError(
            f"a row of kind {chr(message[position])!r} in place of {kinds.decode()}"
        )


def _ignore(message: bytes) -> None:
    pass
