"""What the log has told of the records that are watched, in commit order; bounded, the least recent are forgotten."""

from __future__ import annotations

import random
from collections import OrderedDict, deque
from dataclasses import dataclass

RECORDS_MAX = 10_000
CHANGES_MAX = 16  # of one record


@dataclass(frozen=True, slots=True)
class Watched:
    """A record, by its table, with schema, and its name."""

    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Change:
    """A commit that gave the record this version, or deleted it, told at `told_s` of the monotonic clock."""

    record: Watched
    version: int
    is_delete: bool
    told_s: float


@dataclass(frozen=True, slots=True)
class State:
    """What a read showed: the version, or that the record was not found."""

    version: int
    is_found: bool

    def shows(self, change: Change) -> bool:
        """Tell whether the change, or a later one, is in it, as far as its version says."""
        if change.is_delete:
            return not self.is_found or self.version > change.version
        return self.is_found and self.version >= change.version


class Ledger:
    """The changes of watched records."""

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self._changes: OrderedDict[Watched, deque[Change]] = OrderedDict()
        self._records_max = records_max

    def watch(self, record: Watched) -> None:
        """Remember what happens to the record from now on."""
        self._changes.setdefault(record, deque(maxlen=CHANGES_MAX))
        self._changes.move_to_end(record)
        if len(self._changes) > self._records_max:
            self._changes.popitem(last=False)

    def add(self, change: Change) -> None:
        """Note the change, if its record is watched."""
        if (changes := self._changes.get(change.record)) is not None:
            changes.append(change)

    def forget(self, table: str | None = None) -> None:
        """Watch no record of the table any more, or none at all: changes of them were missed."""
        for record in [record for record in self._changes if table in (None, record.table)]:
            del self._changes[record]

    def is_watched(self, record: Watched) -> bool:
        """Tell whether the record's changes are known."""
        return record in self._changes

    def pick(self, dice: random.Random) -> Watched | None:
        """Return one of the watched records, if there are any."""
        return dice.choice(tuple(self._changes)) if self._changes else None

    def was_deleted_since(self, change: Change) -> bool:
        """Tell whether the record was deleted by this change or after it, as far as is known; it may be there again."""
        changes = self._changes.get(change.record, ())
        return any(one.is_delete and one.version >= change.version for one in changes)

    def first_newer(self, record: Watched, state: State) -> Change | None:
        """Return the first known change that `state` does not show, nor any change after it."""
        newer = None
        for change in reversed(self._changes.get(record, ())):
            if state.shows(change):
                break
            newer = change
        return newer
