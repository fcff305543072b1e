"""What this process, or the cache, has and may show: no query, and for what is near no command either."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from entresol import telemetry
from entresol.cache.early import COST_MS_MIN, COSTS_MAX, is_due
from entresol.cache.entries import Entries
from entresol.cache.entry import Entry, Rank
from entresol.cache.keys import Key
from entresol.cache.near import Near
from entresol.cache.session import Session
from entresol.clock import Clock
from entresol.records.demand import CACHE, NEAR, Demand, Found
from entresol.records.loads import Loads
from entresol.schema.model import Consistency, Resource, StaleReads


@dataclass(slots=True)
class Hits:
    """The entries of the cache, and copies of them in this process if `near` keeps any."""

    entries: Entries
    near: Near | None
    loads: Loads
    clock: Clock

    def near_one(self, resource: Resource, name: str, demand: Demand) -> Found | None:
        """Return what a copy in this process may answer (rule R8)."""
        # No fence reaches a copy, and a bound in seconds is the relay's to keep, not a copy's.
        if (
            self.near is None
            or resource.cache.staleness_s_max
            or demand.level(resource) is Consistency.STRONG
        ):
            return None
        entry = self.near.get(resource.table, name)
        if entry is None or not self._may_be_shown(resource, name, entry, demand):
            return None
        if is_due(entry, self.clock.now_s() * 1000):
            self.loads.refresh(resource, name)
        telemetry.CACHE_READS.add(1, _attributes(resource.type, NEAR))
        return Found.hit(entry, NEAR)

    def near_many(self, resource: Resource, names: Sequence[str], demand: Demand) -> dict[str, Found]:
        """Return what copies in this process may answer, by name."""
        found = ((name, self.near_one(resource, name, demand)) for name in names)
        return {name: one for name, one in found if one is not None}

    def copies(self, resource: Resource, names: Sequence[str], session: Session) -> Sequence[bytes | None]:
        """Return the message of each record from its copy; None of one that no copy may answer.

        For who demands no more than the resource promises, and that is BOUNDED or EVENTUAL. What a session would
        depend on, once it was shown it, is not here: it needs another token.
        """
        if self.near is None:
            return [None] * len(names)
        if session.is_empty:
            entries = self.near.get_all(resource.table, names)
        else:
            entries = [self.near.get(resource.table, name) for name in names]
        messages = self._messages(resource, names, entries, session)
        if hits := len(messages) - messages.count(None):
            telemetry.CACHE_READS.add(hits, _attributes(resource.type, NEAR))
        return messages

    def ask(
        self,
        resource: Resource,
        names: Sequence[str],
        session: Session,
        told: Callable[[Sequence[bytes | None]], None],
    ) -> None:
        """Have `told` called with what the cache has of each record, as `copies` tells it.

        What the cache has becomes copies. It takes no task: hits do not wait for one another.
        """
        placeholders = () if self.near is None else self.near.begin(resource.table, names)

        def found(entries: Sequence[Entry | None]) -> None:
            if self.near is not None:
                self.near.keep(placeholders, entries)
            told(self._messages(resource, names, entries, session))

        self.entries.ask(resource, names, found)

    def _messages(
        self, resource: Resource, names: Sequence[str], entries: Sequence[Entry | None], session: Session
    ) -> list[bytes | None]:
        """Return the message of each record that has one; have those read again that are about to end."""
        if not session.is_empty:
            entries = [
                entry if entry is not None and _is_all_known(session, resource, name, entry) else None
                for name, entry in zip(names, entries, strict=True)
            ]
        now_ms, wanted = self.clock.now_s() * 1000, Rank.VALUE
        messages: list[bytes | None] = []
        for name, entry in zip(names, entries, strict=True):
            if entry is None:
                messages.append(None)
                continue
            # As a tuple, and without a call for each that is far from its end: that would cost more than its reply.
            _, rank, _, _, message, _, expiry_ms, cost_ms = entry
            early_ms = COSTS_MAX * (cost_ms + COST_MS_MIN)
            if expiry_ms - now_ms <= early_ms and is_due(entry, now_ms):
                self.loads.refresh(resource, name)
            messages.append(message if rank is wanted else None)
        return messages

    async def cached(self, resource: Resource, names: Sequence[str], demand: Demand) -> dict[str, Found]:
        """Return what the cache may answer, and keep copies of it."""
        if self.near is None:
            listed = await self.entries.get(resource, names)
        else:
            placeholders = self.near.begin(resource.table, names)
            listed = await self.entries.get(resource, names)
            self.near.keep(placeholders, listed)
        return self._shown(resource, zip(names, listed, strict=True), demand)

    def outdated(self, resource: Resource, names: Sequence[str], demand: Demand) -> dict[str, Found]:
        """Return copies that have changed, of what this process is reading again: one reader waits for that, not all.

        Only for who is promised no more than a copy's age.
        """
        promised_more = demand.remembers(resource) or demand.level(resource) is Consistency.STRONG
        if self.near is None or promised_more or resource.cache.staleness_s_max:
            return {}
        copies = [
            (name, self.near.outdated(resource.table, name))
            for name in names
            if self.loads.is_reading(resource, name)
        ]
        return {name: Found.hit(copy, NEAR) for name, copy in copies if copy is not None}

    def are_refused(self, resource: Resource, demand: Demand) -> bool:
        """Tell whether hits may be older than the resource allows, and it would rather have none."""
        return resource.cache.stale_reads is StaleReads.REFUSE and self.staleness_s(resource, demand) > 0

    def staleness_s(self, resource: Resource, demand: Demand) -> float:
        """Return how old a hit may be when that is more than the resource allows, else 0."""
        most_s = resource.cache.staleness_s_max
        if not most_s or demand.level(resource) is Consistency.EVENTUAL:
            return 0.0
        seconds = self.entries.lag.seconds
        return seconds if seconds > most_s else 0.0

    def _shown(
        self, resource: Resource, listed: Iterable[tuple[str, Entry | None]], demand: Demand
    ) -> dict[str, Found]:
        """Return those that may answer (rule R5), and have those read again that are about to end."""
        now_ms, staleness_s = self.clock.now_s() * 1000, self.staleness_s(resource, demand)
        hits: dict[str, Found] = {}
        for name, entry in listed:
            if entry is not None and self._may_be_shown(resource, name, entry, demand):
                hits[name] = Found.hit(entry, CACHE, staleness_s)
                if is_due(entry, now_ms):
                    self.loads.refresh(resource, name)
        return hits

    def _may_be_shown(self, resource: Resource, name: str, entry: Entry, demand: Demand) -> bool:
        """Tell whether the caller has seen nothing newer, or does not mind."""
        session = demand.session
        return (
            session.is_empty
            or demand.level(resource) is Consistency.EVENTUAL
            or session.satisfied_by(entry, Key.of(resource.table, name))
        )


def _is_all_known(session: Session, resource: Resource, name: str, entry: Entry) -> bool:
    """Tell whether the session may be shown the entry (rule R5), and depends on nothing more when it was."""
    key = Key.of(resource.table, name)
    after = session.read(key, entry.version, entry.rank, entry.seen)
    return after is session and session.satisfied_by(entry, key)


@lru_cache(maxsize=1024)
def _attributes(type_: str, reason: str) -> Mapping[str, str]:
    return {telemetry.RESOURCE: type_, telemetry.REASON: reason}
