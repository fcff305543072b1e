"""What the database tells of its commits: transactions, their row changes, and how far it has told everything."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class ChangeKind(enum.StrEnum):
    """What happened to a row, or, for TRUNCATE, to all rows of a table."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    TRUNCATE = "truncate"


class _Absent(enum.Enum):
    """The value of a column that an update left alone and that the log therefore does not hold."""

    ABSENT = 0


ABSENT: Final = _Absent.ABSENT
Value = str | _Absent | None


@dataclass(frozen=True, slots=True)
class RowChange:
    """One change of one row, as text; `table` is `schema.table`.

    `columns` are those that were kept, the same object for all changes of a table, so that a million changes fit
    into memory: about 300 bytes each. After an insert or update `new_values` belong to them; `old_values` do before
    a delete, and before an update that changed the replica identity, which row_version is part of.
    """

    table: str
    kind: ChangeKind
    columns: tuple[str, ...] = ()
    new_values: tuple[Value, ...] | None = None
    old_values: tuple[Value, ...] | None = None

    @property
    def new(self) -> dict[str, str | None] | None:
        """Return the row after the change, without columns whose value is not in the log."""
        return _row(self.columns, self.new_values)

    @property
    def old(self) -> dict[str, str | None] | None:
        """Return what is known of the row before the change: its replica identity."""
        return _row(self.columns, self.old_values)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A committed transaction, in commit order; the primary itself may not show it yet.

    `commit_lsn` is the position of its commit record, `end_lsn` the one behind it.
    """

    xid: int
    commit_lsn: int
    end_lsn: int
    commit_time_s: float
    changes: tuple[RowChange, ...]


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Every commit whose record ends at or before `wal_end` has been told."""

    wal_end: int


def _row(columns: tuple[str, ...], values: tuple[Value, ...] | None) -> dict[str, str | None] | None:
    if values is None:
        return None
    return {
        column: value for column, value in zip(columns, values, strict=True) if not isinstance(value, _Absent)
    }
