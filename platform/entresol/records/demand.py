"""What a caller demands of a read, and what it is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from entresol.cache.entry import Entry, Rank
from entresol.cache.keys import Key
from entresol.cache.session import EMPTY, Session
from entresol.errors import NotFoundError
from entresol.schema.model import Consistency, Resource
from entresol.storage.store import Row

CACHE = "cache"
NEAR = "near"  # a copy in this process


@dataclass(frozen=True, slots=True)
class Demand:
    """What a caller demands of a read: what it has already seen, and a consistency other than the resource's."""

    session: Session = EMPTY
    consistency: Consistency | None = None

    def level(self, resource: Resource) -> Consistency:
        """Return what a read of `resource` must promise: the last commit when a token counts and cannot be read."""
        level = self.consistency or resource.consistency
        return Consistency.STRONG if self.session.foreign and level is not Consistency.EVENTUAL else level

    def at_least(self, resource: Resource) -> int:
        """Return the position in the log that a server must have reached to answer."""
        return 0 if self.level(resource) is Consistency.EVENTUAL else self.session.lsn

    def remembers(self, resource: Resource) -> bool:
        """Tell whether what is read becomes part of the session: when a token was sent, or SESSION is promised."""
        level = self.level(resource)
        return level is Consistency.SESSION or not (level is Consistency.EVENTUAL or self.session.is_empty)

    def after_reading(self, resource: Resource, names: Sequence[str], found: Sequence[Found]) -> Session:
        """Return the session when it has been shown what was found under these names."""
        session = self.session
        if self.remembers(resource):
            for name, item in zip(names, found, strict=True):
                session = session.read(Key.of(resource.table, name), item.version, item.rank, item.seen)
        return session

    def after_listing(self, resource: Resource, seen: int) -> Session:
        """Return the session when it has been shown a page of what committed at or before `seen`."""
        return self.session.after(seen) if self.remembers(resource) else self.session


ANYTHING = Demand()


class Found(NamedTuple):
    """One record as it was found: `message` is None when there is none of that name.

    Whatever made it so committed at or before `seen`, a position in the log; 0 is not known. `staleness_s` says how
    old it may be, when that is more than the resource allows.
    """

    message: bytes | None
    answered_by: str  # near, cache, primary or replica:<address>
    seen: int = 0
    version: int = 0
    staleness_s: float = 0.0

    @classmethod
    def hit(cls, entry: Entry, source: str = CACHE, staleness_s: float = 0.0) -> Found:
        """Return what an entry of the cache, or a copy of it, holds."""
        message = entry.message if entry.rank is Rank.VALUE else None
        return cls(message, source, entry.seen, entry.version, staleness_s)

    @classmethod
    def of(cls, row: Row | None, source: str, seen: int) -> Found:
        """Return what a server of the database answered."""
        return cls(row.message, source, seen, row.version) if row else cls(None, source, seen)

    @property
    def rank(self) -> Rank:
        """Return whether there is a record."""
        return Rank.ABSENT if self.message is None else Rank.VALUE

    def message_of(self, name: str) -> bytes:
        """Return the serialized record, which was looked for under `name`.

        Raises:
            NotFoundError: there is none.
        """
        if self.message is None:
            raise NotFoundError(name)
        return self.message
