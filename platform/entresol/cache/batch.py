"""What the relay applies at once: some transactions in commit order, as commands for each partition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from entresol.cache.entry import Rank, hexed, stamp
from entresol.cache.feed import Event, Keepalive, RowChange, is_transaction
from entresol.cache.keys import Layout, Place
from entresol.cache.scopes import NO_SCOPES, Scopes
from entresol.cache.scripts import Script
from entresol.cache.wire import Command

CHANGES_PER_CALL = 256
KEYS_BEFORE = 2  # what a command has before its KEYS, which count from 1: EVALSHA, the digest, their number
CHANGES_MAX = 50_000  # of one table in one transaction; whoever changes more raises the table's floor


@dataclass(frozen=True, slots=True)
class Change:
    """One record that changed. `stamp` is empty when its version is not known: the entry is then dropped.

    Or, with a place without an entry, a list scope that was touched.
    """

    place: Place
    position: int
    stamp: bytes


@dataclass(slots=True)
class Batch:
    """Changes up to and including `newest`.

    `floors` are the positions of the tables that were truncated, or too many of whose records changed at once to name
    them, by the fields that keep them: of these tables, nothing that reflects less is an entry any more (rule R7).
    """

    newest: int
    changes: list[Change] = field(default_factory=list)
    touched: dict[Place, int] = field(default_factory=dict)  # list scopes, with their newest position
    xids: set[int] = field(default_factory=set)
    commit_time_s: float | None = None
    floors: dict[bytes, int] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Sequence[Event], applied: int, layout: Layout, scopes: Scopes = NO_SCOPES) -> Batch:
        """Return the batch of `events`, which follow what was applied."""
        batch = cls(applied)
        for event in events:
            batch._add(event, layout, scopes)
        return batch

    def stamps(self) -> list[Change]:
        """Return the list scopes that were touched, as changes of records without entries."""
        return [Change(place, position, b"") for place, position in self.touched.items()]

    def _add(self, event: Event, layout: Layout, scopes: Scopes) -> None:
        if not is_transaction(event):
            self.newest = max(self.newest, cast("Keepalive", event).wal_end)
            return
        self.newest = max(self.newest, event.end_lsn)
        self.xids.add(event.xid)
        self.commit_time_s = event.commit_time_s
        many = _tables_without_names(event.changes)
        self.floors |= {layout.floor(table): event.end_lsn for table in many}
        # What a commit made of a record is the last change of it: the ones before never were for anybody else, and all
        # of them have the same position.
        last = {
            layout.place(change.table, name): mark
            for change in event.changes
            if change.table not in many
            for name, mark in _rows(change)
        }
        self.changes += (Change(place, event.end_lsn, mark) for place, mark in last.items())
        # Of every change, not of the last: a row may have been in a list in between.
        if scopes.resources:
            for change in event.changes:
                if change.table in many:
                    continue
                self.touched |= dict.fromkeys(scopes.touched(change, layout), event.end_lsn)


def _tables_without_names(changes: Sequence[RowChange]) -> set[str]:
    """Return the tables that one transaction truncated, or changed too much of."""
    counts = Counter(change.table for change in changes) if len(changes) > CHANGES_MAX else Counter()
    many = {table for table, count in counts.items() if count > CHANGES_MAX}
    return many | {change.table for change in changes if change.kind == "truncate"}


def _rows(change: RowChange) -> Iterator[tuple[str, bytes]]:
    """Yield the names that the change touches, with their stamps: two when the row got another name.

    A table without names is not one of the platform's, whoever published it.
    """
    new, old = change.new, change.old
    if old is not None and (name := old.get("name")) and (new is None or new.get("name") != name):
        yield name, _stamp(old.get("row_version"), Rank.ABSENT)
    if new is not None and (name := new.get("name")):
        yield name, _stamp(new.get("row_version"), Rank.VALUE)


def _stamp(version: str | None, rank: Rank) -> bytes:
    return stamp(int(version), rank) if version else b""


@dataclass(frozen=True, slots=True)
class Advance:
    """How the script is called, but for the changes: see `advance.lua`."""

    script: Script
    expected: int
    newest: int
    generation: bytes
    database: str
    reset: bool = False
    scopes: bytes = b""  # digest of the list scopes that are stamped

    def commands(
        self, keys: tuple[bytes, bytes, bytes], changes: Sequence[Change], floors: Mapping[bytes, int]
    ) -> list[Command]:
        """Return the calls that apply `changes` to one partition, in order.

        `keys` are the partition's hash, fences and stream. The first call raises the floors, the last one moves the
        watermark.
        """
        count = max(1, -(-len(changes) // CHANGES_PER_CALL))
        return [
            self._command(keys, changes, floors if index == 0 else {}, index, count) for index in range(count)
        ]

    def _command(
        self,
        keys: tuple[bytes, bytes, bytes],
        changes: Sequence[Change],
        floors: Mapping[bytes, int],
        index: int,
        count: int,
    ) -> Command:
        indexes: dict[bytes, int] = {}
        touched: list[bytes | int] = []
        for change in changes[index * CHANGES_PER_CALL : (index + 1) * CHANGES_PER_CALL]:
            entry = change.place.entry
            number = indexes.setdefault(entry, len(indexes) + len(keys) + 1) if entry else 0
            touched += number, change.place.bucket, hexed(change.position), change.stamp
        is_last = index == count - 1
        positions = (self.expected, self.newest if is_last else self.expected, self.newest)
        steps = (self._step(index - 1), b"" if is_last else self._step(index))
        birth = (self.generation, self.database, "reset" if self.reset else "")
        call = ("EVALSHA", self.script.digest, len(indexes) + len(keys), *keys)
        raised = [part for field, position in floors.items() for part in (field, hexed(position))]
        counted = (self.scopes, len(floors))
        return (*call, *indexes, *map(hexed, positions), *birth, *steps, *counted, *raised, *touched)

    def _step(self, index: int) -> bytes:
        return b"%016x:%d" % (self.newest, index) if index >= 0 else b""
