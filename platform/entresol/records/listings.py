"""The pages of List: names from a cached list and rows from cached records, else one query (rule R6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from entresol.cache.flights import Flights
from entresol.cache.lists import Listed, Lists, Look, count
from entresol.cache.scopes import Scopes
from entresol.records.demand import ANYTHING, CACHE, NEAR, Demand
from entresol.records.records import Records
from entresol.schema.list_scopes import scope_of
from entresol.schema.model import Consistency, Resource
from entresol.storage.store import ListQuery, Page


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of serialized records. `last` are the order's values in its last row, none where no row follows.

    Whatever made it so committed at or before `seen`, a position in the log.
    """

    messages: Sequence[bytes]
    last: tuple[object, ...]
    answered_by: str  # cache, primary or replica:<address>
    seen: int


class Listings:
    """Reads pages of `records`. Belongs to one event loop."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.lists = _lists(records)
        self._flights: Flights[tuple[str, bytes, int], Page] = Flights()

    async def get(
        self,
        resource: Resource,
        query: ListQuery,
        demand: Demand = ANYTHING,
        *,
        timeout_s: float | None = None,
    ) -> Listing:
        """Return one page, fresh enough for `demand`.

        A list that is in no scope, and one for who asks for the last commit, comes from the store; so do all while
        the cache is older than the resource allows.
        """
        found, hits = scope_of(resource, query.parent, query.filter), self._records.hits
        if hits is not None and hits.are_refused(resource, demand):
            demand = replace(demand, consistency=Consistency.STRONG)
        strong = demand.level(resource) is Consistency.STRONG
        if (
            self.lists is None
            or hits is None
            or found is None
            or strong
            or hits.staleness_s(resource, demand)
        ):
            return _of_page(await self._records.list(resource, query, demand, timeout_s=timeout_s))
        scope, pins = found
        digest = self._records.store.digest(resource, query)
        look = await self.lists.get(resource, pins, digest)
        position = demand.at_least(resource)
        if look.listed is not None:
            listing = await self._shown(resource, look, position, demand, timeout_s)
            if listing is not None:
                return listing
        # Who knows of a newer change of the scope must not be given what another read before it.
        flight = resource.type, digest, max(position, look.newest)
        load = partial(self._load, self.lists, resource, query, look, position, scope.ttl_s)
        page = await self._flights.join(flight, load)
        if page.position is not None and page.position < position:
            page = await load()  # who began it needed less, and while the primary is away was given no more
        return _of_page(page)

    async def _shown(
        self, resource: Resource, look: Look, position: int, demand: Demand, timeout_s: float | None
    ) -> Listing | None:
        """Return the page of a cached list; None when it is too old for the caller, or its rows have moved on.

        A newer row might stand elsewhere in the list, or not in it at all.
        """
        assert look.listed is not None
        if not look.reaches(position):
            count(resource, "behind")
            return None
        rows = look.listed.rows
        found = (
            await self._records.get(resource, [name for name, _ in rows], demand, timeout_s=timeout_s)
            if rows
            else ()
        )
        messages = [
            item.message
            for item, (_, version) in zip(found, rows, strict=True)
            if item.message is not None and item.version == version
        ]
        if len(messages) < len(rows):
            count(resource, "moved")
            return None
        count(resource, "hit")
        sources = {item.answered_by for item in found}
        return Listing(
            messages, look.listed.last, next(iter(sources - {CACHE, NEAR}), CACHE), look.listed.seen
        )

    async def _load(
        self, lists: Lists, resource: Resource, query: ListQuery, look: Look, position: int, ttl_s: float
    ) -> Page:
        """Read the page and keep it: positions were taken by `look`, before."""
        # Shared by callers who may be more patient than the first, so it has the time of a statement.
        timeout_s = self._records.settings.database_statement_timeout_s
        page = await self._records.store.list(
            resource, query, at_least=position, hint=look.newest, seen=True, timeout_s=timeout_s
        )
        rows = tuple([(row.name, row.version) for row in page.rows])
        listed = Listed(rows, page.last if page.more else (), page.seen)
        await lists.fill(look, resource, ttl_s, listed, page.position)
        return page


def _lists(records: Records) -> Lists | None:
    entries = records.entries
    if entries is None:
        return None
    return Lists(entries.connection, entries.layout, Scopes.of(records.model.resources.values()))


def _of_page(page: Page) -> Listing:
    return Listing(
        [row.message for row in page.rows], page.last if page.more else (), str(page.source), page.seen
    )
