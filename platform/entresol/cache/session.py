"""What a client must not be shown less than, as a token that it carries: its own writes, in every process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from entresol.cache.entry import Entry, Rank
from entresol.cache.keys import Key

RECENT_MAX = 16
FOREIGN_MAX = 4


@dataclass(frozen=True, slots=True)
class Recent:
    """A record that the session wrote: `order` is its version and rank as one number.

    The record reflects every change of it up to `position`, and committed before `lsn`.
    """

    key_hash: int
    order: int
    position: int
    lsn: int


@dataclass(frozen=True, slots=True)
class Session:
    """Everything that a session depends on was committed at or before `lsn`.

    For a record in `recent`, having that version is enough, so that a client sees its write in the cache
    before the relay has. That holds only while the session depends on no other change of the record: those
    are all at or before `floor`, and a recent record whose `position` is below it no longer counts.

    `foreign` are tokens that only a newer program can read. They are handed on, and meanwhile no entry is new enough.
    """

    lsn: int = 0
    floor: int = 0
    recent: tuple[Recent, ...] = ()
    foreign: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was seen yet, so that anything may be shown."""
        return not self.lsn and not self.foreign

    def wrote(self, key: Key, version: int, rank: Rank, position: int, lsn: int) -> Session:
        """Return the session after a write; `position` was read under the row's lock, `lsn` after the commit."""
        return self.merge(Session(lsn, 0, (Recent(key_hash(key), _order(version, rank), position, lsn),)))

    def after(self, lsn: int) -> Session:
        """Return the session after it has seen, or done, something that committed at or before `lsn`."""
        return self if lsn <= self.floor else self.merge(Session(lsn, lsn))

    def merge(self, other: Session) -> Session:
        """Return the session that depends on all that either does."""
        floor = max(self.floor, other.floor)
        newest: dict[int, Recent] = {}
        for recent in (*self.recent, *other.recent):
            known = newest.get(recent.key_hash)
            if known is None or recent.order > known.order:
                newest[recent.key_hash] = recent
        kept = sorted(newest.values(), key=lambda recent: recent.lsn)
        for recent in kept[:-RECENT_MAX]:
            floor = max(floor, recent.lsn)
        return Session(
            max(self.lsn, other.lsn),
            floor,
            tuple(recent for recent in kept[-RECENT_MAX:] if recent.position >= floor),
            tuple(dict.fromkeys((*self.foreign, *other.foreign)))[-FOREIGN_MAX:],
        )

    def read(self, key: Key, version: int, rank: Rank, lsn: int) -> Session:
        """Return the session after it was shown this version, which committed at or before `lsn`."""
        if any(
            recent.order == _order(version, rank) and recent.key_hash == key_hash(key)
            for recent in self.recent
        ):
            return self
        return self.after(lsn)

    def satisfied_by(self, entry: Entry, key: Key) -> bool:
        """Tell whether the entry may be shown to this session."""
        if self.foreign:
            return False
        if entry.watermark >= self.lsn or entry.asof >= self.lsn:
            return True
        return self.has_version(key, entry.version, entry.rank)

    def has_version(self, key: Key, version: int, rank: Rank) -> bool:
        """Tell whether this version is all that the session depends on of this record."""
        if not self.recent:
            return False
        wanted = key_hash(key)
        return any(
            recent.key_hash == wanted and _order(version, rank) >= recent.order for recent in self.recent
        )


EMPTY = Session()


def key_hash(key: Key) -> int:
    """Return the record's name in tokens."""
    return int.from_bytes(hashlib.blake2b(f"{key.table}:{key.name}".encode(), digest_size=8).digest(), "big")


def _order(version: int, rank: Rank) -> int:
    return version << 1 | (rank is Rank.ABSENT)
