"""What the relay needs of the database's log; `entresol.storage.replication` provides it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol, TypeGuard


class RowChange(Protocol):
    """One row that changed. Deletes, and updates, carry the old key and version: the table's replica identity."""

    @property
    def table(self) -> str:
        """Return the table, with its schema."""

    @property
    def kind(self) -> str:
        """Return `insert`, `update`, `delete` or `truncate`."""

    @property
    def new(self) -> Mapping[str, str | None] | None:
        """Return the columns after the change, as text."""

    @property
    def old(self) -> Mapping[str, str | None] | None:
        """Return the columns of the replica identity before the change."""


class Transaction(Protocol):
    """What one transaction changed. Transactions come in the order of their commits."""

    @property
    def xid(self) -> int:
        """Return the lower 32 bits of the transaction's id."""

    @property
    def end_lsn(self) -> int:
        """Return the end of the commit record: a replica that has replayed up to here shows the changes."""

    @property
    def commit_time_s(self) -> float:
        """Return when it committed, by the primary's clock."""

    @property
    def changes(self) -> Sequence[RowChange]:
        """Return the changes, in order."""


class Keepalive(Protocol):
    """The server's word that everything committed up to `wal_end` has been sent."""

    @property
    def wal_end(self) -> int:
        """Return that position."""


Event = Transaction | Keepalive


def is_transaction(event: Event) -> TypeGuard[Transaction]:
    """Tell the two kinds of event apart, whoever made them."""
    return hasattr(event, "changes")


class Feed(Protocol):
    """An open stream of one replication slot. While nothing happens, keepalives come several times a second."""

    @property
    def start_lsn(self) -> int:
        """Return where the slot began: everything committed after it is sent, nothing before it may be."""

    @property
    def database(self) -> str:
        """Return the database's identity, system identifier and timeline: positions compare only within one."""

    def __aiter__(self) -> AsyncIterator[Event]:
        """Yield what was committed, in order."""

    def acknowledge(self, lsn: int) -> None:
        """Let the slot begin at `lsn` from now on."""
