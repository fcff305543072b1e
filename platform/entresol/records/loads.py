"""What the cache does not have: read from the database once for all who want it, and offered to the cache (rule R2)."""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from entresol.cache.entries import Entries
from entresol.cache.entry import Entry
from entresol.cache.fill import Fill
from entresol.cache.flights import Flights
from entresol.cache.near import Near
from entresol.config import Settings
from entresol.errors import EntresolError
from entresol.records.demand import Demand, Found
from entresol.schema.model import Consistency, Resource
from entresol.storage.store import Store
from entresol.turns import Turn

log = logging.getLogger(__name__)

REFRESHES_MAX = 32  # of one process at once; what is not refreshed in time is read when it misses
NAMES_MAX = 1000  # in one query


@dataclass(frozen=True, slots=True)
class _Load:
    """A record wanted from the store: at least this new, before this moment of the monotonic clock.

    `patient`: when another process is reading the record, its answer will do.
    """

    name: str
    at_least: int
    deadline_s: float
    patient: bool = True


class _Source(enum.Enum):
    """Where a load may come from."""

    ANY = "a replica or the primary, or what another process has just put into the cache"
    PRIMARY = "the primary, or the cache where nothing in it is older than what was acknowledged"
    ROW = "the primary, whatever the cache has"


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What one query must satisfy: all of its callers at once."""

    at_least: int
    source: _Source
    timeout_s: float


@dataclass(slots=True)
class Loads:
    """The reads of one process that go to the database, bounded for each resource."""

    store: Store
    entries: Entries | None
    near: Near | None
    settings: Settings
    _turns: dict[tuple[str, _Source], Turn[_Load, Found | None]] = field(default_factory=dict)
    _flights: Flights[tuple[str, str, int], Found] = field(default_factory=Flights)
    _refreshing: dict[tuple[str, str], asyncio.Task[None]] = field(default_factory=dict)

    async def get(
        self,
        resource: Resource,
        names: Sequence[str],
        demand: Demand,
        *,
        timeout_s: float | None,
        distrust: bool = False,
    ) -> Sequence[Found]:
        """Return what the database has under each name, in order: one query for all who ask in one event-loop turn.

        With `distrust` it is the row on the primary, and no entry that has come into the cache since.
        """
        primary = distrust or demand.level(resource) is Consistency.STRONG
        source = _Source.ROW if distrust else _Source.PRIMARY if primary else _Source.ANY
        turn = self._turns.get((resource.type, source)) or self._new_turn(resource, source)
        # A load may be shared by callers who are more patient than the first, so it has the time of a statement.
        allowed_s = self.settings.database_statement_timeout_s
        deadline_s = time.monotonic() + (timeout_s or allowed_s if primary else allowed_s)
        loads = [_Load(name, demand.at_least(resource), deadline_s) for name in names]
        # Who asks for the last commit must not be given what was read before.
        read = self._loaded if primary else self._joined
        if len(loads) == 1:
            return [await read(resource, turn, loads[0])]
        return await asyncio.gather(*(read(resource, turn, load) for load in loads))

    def is_reading(self, resource: Resource, name: str) -> bool:
        """Tell whether this process is reading the record just now, for who has seen nothing of it."""
        return (resource.type, name, 0) in self._flights

    async def close(self) -> None:
        """Wait for the loads that are under way."""
        for turn in self._turns.values():
            await turn.close()
        await asyncio.gather(*self._refreshing.values())

    def refresh(self, resource: Resource, name: str) -> None:
        """Read a record again that is about to leave the cache, while everybody is still shown what is there."""
        key, entries = (resource.type, name), self.entries
        if entries is not None and key not in self._refreshing and len(self._refreshing) < REFRESHES_MAX:
            task = asyncio.create_task(self._read_again(entries, resource, name), name="entresol refresh")
            self._refreshing[key] = task
            task.add_done_callback(lambda _: self._refreshing.pop(key))

    async def _read_again(self, entries: Entries, resource: Resource, name: str) -> None:
        fill = await entries.begin(resource, [name])
        if name not in fill.spots or name in fill.lost:
            return
        timeout_s = self.settings.database_statement_timeout_s
        source = _Source.PRIMARY if resource.is_fenced else _Source.ANY
        try:
            await self._read(resource, [name], _Wanted(0, source, timeout_s), entries, fill)
        except EntresolError as error:
            log.info("%s was not read again before it leaves the cache: %s", name, error)
            await entries.release(fill)

    def _new_turn(self, resource: Resource, source: _Source) -> Turn[_Load, Found | None]:
        """Make what bounds the queries of a resource, whether they are many because the cache is empty or away."""
        running_max = self.settings.database_loads_max
        work = partial(self._load_turn, resource, source)
        turn = self._turns[resource.type, source] = Turn(
            work, NAMES_MAX, running_max=running_max, waiting_max=running_max * NAMES_MAX
        )
        return turn

    async def _joined(self, resource: Resource, turn: Turn[_Load, Found | None], load: _Load) -> Found:
        """Return what a load of this record that is under way returns, or start one: one query for all who wait."""
        key = (resource.type, load.name, load.at_least)
        return await self._flights.join(key, partial(self._loaded, resource, turn, load))

    async def _loaded(self, resource: Resource, turn: Turn[_Load, Found | None], load: _Load) -> Found:
        found = await turn.submit(load)
        if found is None:  # another process is reading it; who waits for that keeps nobody from the database
            assert self.entries is not None, "only the cache knows of other processes"
            (entry,) = await self.entries.wait(resource, (load.name,))
            fresh = entry is not None and _reflects(entry, load.at_least)
            found = Found.hit(entry) if entry and fresh else await turn.submit(replace(load, patient=False))
        assert found is not None, "an impatient load reads the record itself"
        return found

    async def _load_turn(
        self, resource: Resource, source: _Source, loads: Sequence[_Load]
    ) -> Sequence[Found | None]:
        """Read the names of one turn with one query; None for those that another process is reading."""
        names = list(dict.fromkeys(load.name for load in loads))
        wanted = _Wanted(
            at_least=max(load.at_least for load in loads),
            source=source,
            timeout_s=max(load.deadline_s for load in loads) - time.monotonic(),
        )
        if self.entries is None or not resource.cache.enabled:
            found = await self._read(resource, names, wanted)
        else:
            impatient = {load.name for load in loads if not load.patient}
            found = await self._fill(self.entries, resource, names, wanted, impatient)
        return [found.get(load.name) for load in loads]

    async def _fill(
        self,
        entries: Entries,
        resource: Resource,
        names: Sequence[str],
        wanted: _Wanted,
        impatient: Collection[str],
    ) -> dict[str, Found]:
        """Read what misses and offer it to the cache (rule R2): positions first, then the database, then the fill."""
        # Who has seen a write, or wants the last, must not be given what another began to read before it; but of a
        # fenced resource no entry is older than what was acknowledged.
        knows_nothing = wanted.source is _Source.ANY and not wanted.at_least
        lease = wanted.source is not _Source.ROW and (resource.is_fenced or knows_nothing)
        fill = await entries.begin(resource, names, lease=lease)
        found = {
            name: Found.hit(entry) for name, entry in fill.found.items() if _reflects(entry, wanted.at_least)
        }
        if found:
            await entries.release(fill, found)
        missing = [
            name for name in names if name not in found and (name not in fill.lost or name in impatient)
        ]
        if missing:
            try:
                found |= await self._read(resource, missing, wanted, entries, fill)
            except BaseException:
                await entries.release(fill)
                raise
        return found

    async def _read(
        self,
        resource: Resource,
        names: Sequence[str],
        wanted: _Wanted,
        entries: Entries | None = None,
        fill: Fill | None = None,
    ) -> dict[str, Found]:
        read = await self.store.get(
            resource,
            names,
            at_least=wanted.at_least,
            hint=fill.hint if fill else 0,
            primary=wanted.source is not _Source.ANY,
            timeout_s=wanted.timeout_s,
        )
        if entries is not None and fill is not None:
            rows = {
                name: (row.version, row.message) if (row := read.rows.get(name)) else None for name in names
            }
            await entries.fill(fill, rows, read.position, seen=read.seen)
            if self.near is not None:  # who is given this row is given no older copy next
                self.near.drop(resource.table, names)
        return {name: Found.of(read.rows.get(name), str(read.source), read.seen) for name in names}


def _reflects(entry: Entry, at_least: int) -> bool:
    return max(entry.asof, entry.watermark) >= at_least
