"""The publisher: every committed change in commit order, at least once; the slot moves on behind what was confirmed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import NamedTuple, cast

from entresol import telemetry
from entresol.broker.connection import check_named, open_channel
from entresol.broker.topics import Topics
from entresol.cache.pump import Pump
from entresol.config import Settings
from entresol.errors import ConfigurationError, EntresolError, SlotBusyError
from entresol.events.cloudevents import CREATED, DELETED, RESET, UPDATED, Event, Moment, event
from entresol.schema.model import Model, Resource
from entresol.storage.changes import ChangeKind, Keepalive, RowChange, Transaction
from entresol.storage.identifiers import full_name
from entresol.storage.logged import LoggedRows
from entresol.storage.pools import Pools
from entresol.storage.replication import ReplicationStream
from entresol.storage.slots import held, prepare

log = logging.getLogger(__name__)

TICK_S = 0.2
LINGER_S = 0.005
PAUSE_S = 1.0
HELD_S = 10.0
AT_ONCE = 500  # changes that are read and published as one
CHANGES_MAX = 50_000  # of one transaction, for memory's sake; of more, its resources are reset
_WHAT = {ChangeKind.INSERT: CREATED, ChangeKind.UPDATE: UPDATED, ChangeKind.DELETE: DELETED}


class _Placed(NamedTuple):
    """A change, where and in which place of its transaction it was committed, and whose record it is of."""

    moment: Moment
    number: int
    resource: Resource
    change: RowChange


@asynccontextmanager
async def open_publisher(settings: Settings, model: Model) -> AsyncIterator[Publisher]:
    """Give the publisher of the settings' database; its `run` makes the slot, publication and exchange it needs.

    Raises:
        ConfigurationError: no resource asks for it, no RabbitMQ is named, or the database cannot work.
    """
    published = [resource for resource in model.resources.values() if resource.is_published]
    if not published:
        raise ConfigurationError("no resource is published: one is that has the option `publish: true`")
    check_named(settings.rabbitmq_urls)
    pools = await Pools.open(settings)
    try:
        yield Publisher(LoggedRows(pools), published, settings)
    finally:
        await pools.close()


class Publisher:
    """Publishes what becomes of some resources until cancelled. Of several, one works, and the others stand by."""

    def __init__(self, rows: LoggedRows, resources: Sequence[Resource], settings: Settings) -> None:
        self._rows = rows
        self._settings = settings
        self._urls = settings.rabbitmq_urls
        self._by_table: Mapping[str, Resource] = {full_name(one.table): one for one in resources}
        self._columns = frozenset(
            field.column.name for one in resources for field in one.stored if field.column
        ) | {"row_version"}
        self._held_bytes = 0
        self._is_told = False  # that nothing is published
        self._resets = False  # whether listeners are still to be told that changes were missed

    async def run(self) -> None:
        """Publish until cancelled; what fails is logged once and tried again."""
        telemetry.meter.create_observable_gauge(
            telemetry.EVENTS_HELD, [self._observe_held], unit="By", description="Log kept for the slot"
        )
        measuring = asyncio.create_task(self._measure(), name="entresol slot")
        try:
            while True:
                try:
                    await self._follow()
                except SlotBusyError:
                    pass  # another one works
                except Exception as error:
                    if not self._is_told:
                        known = isinstance(error, OSError | EntresolError)
                        log.warning(
                            "no events are published: %s; it is tried again", error, exc_info=not known
                        )
                    self._is_told = True
                await asyncio.sleep(PAUSE_S)
        finally:
            measuring.cancel()

    async def _follow(self) -> None:
        """Publish what one stream yields, until it or the broker fails."""
        settings = self._settings
        async with open_channel(self._urls, settings.rabbitmq_timeout_s) as channel:
            topics = Topics(channel, settings.events_exchange, settings.rabbitmq_timeout_s)
            await topics.declare()
            slot = await prepare(
                settings.database_write,
                settings.events_slot,
                settings.events_publication,
                self._by_table,
                None,
                keeps=True,
            )
            self._resets |= slot.created
            async with (
                ReplicationStream.open(
                    settings.database_write,
                    settings.events_slot,
                    settings.events_publication,
                    columns=self._columns,
                    changes_max=CHANGES_MAX,
                    lease_s=settings.relay_lease_s,
                ) as stream,
                Pump(stream) as pump,
            ):
                level = logging.WARNING if self._is_told else logging.INFO
                log.log(level, "events are published from %X on", stream.start_lsn)
                self._is_told = False
                if self._resets:
                    await self._reset(topics, Moment(stream.system.timeline, stream.start_lsn, time.time()))
                while True:
                    taken = cast("list[Transaction | Keepalive]", await pump.take(TICK_S, LINGER_S))
                    transactions = [one for one in taken if isinstance(one, Transaction)]
                    await self._publish(topics, stream.system.timeline, transactions)
                    if taken:
                        last = taken[-1]
                        stream.acknowledge(last.end_lsn if isinstance(last, Transaction) else last.wal_end)

    async def _reset(self, topics: Topics, moment: Moment) -> None:
        log.warning("changes before now were not published: every resource is reset")
        resources = self._by_table.values()
        await topics.publish([event(one, RESET, "", moment, index) for index, one in enumerate(resources)])
        self._resets = False

    async def _publish(self, topics: Topics, timeline: int, transactions: Sequence[Transaction]) -> None:
        changes = self._changes(timeline, transactions)
        while some := list(islice(changes, AT_ONCE)):
            await topics.publish(await self._events(some))
            for message, count in Counter(one.resource.message for one in some).items():
                telemetry.EVENTS_PUBLISHED.add(count, {telemetry.RESOURCE: message})
            telemetry.EVENTS_DELAY.record(max(0.0, time.time() - some[0].moment.time_s))

    def _changes(self, timeline: int, transactions: Sequence[Transaction]) -> Iterator[_Placed]:
        for transaction in transactions:
            moment = Moment(timeline, transaction.end_lsn, transaction.commit_time_s)
            for index, change in enumerate(transaction.changes):
                if resource := self._by_table.get(change.table):
                    yield _Placed(moment, index, resource, change)

    async def _events(self, changes: Sequence[_Placed]) -> list[Event]:
        """Return the events in the order of the changes; the records are read by resource."""
        records: dict[int, bytes] = {}
        for resource in {one.resource.message: one.resource for one in changes}.values():
            places = [
                place
                for place, one in enumerate(changes)
                if one.resource is resource and one.change.new is not None
            ]
            rows = (
                await self._rows.read(resource, [changes[place].change for place in places]) if places else []
            )
            records |= {place: row.message for place, row in zip(places, rows, strict=True) if row}
        return [
            event(
                one.resource,
                _WHAT.get(one.change.kind, RESET),
                _name(one.change),
                one.moment,
                one.number,
                records.get(place),
            )
            for place, one in enumerate(changes)
        ]

    def _observe_held(self, _: telemetry.CallbackOptions) -> list[telemetry.Observation]:
        return [telemetry.Observation(self._held_bytes)]

    async def _measure(self) -> None:
        """Look at what the slot holds, also while another publisher works, and say once that nothing bounds it."""
        is_told = False
        while True:
            try:
                self._held_bytes, is_unbounded = await held(
                    self._settings.database_write, self._settings.events_slot
                )
                if is_unbounded and not is_told:
                    log.warning(
                        "the server keeps its log without end while nobody publishes: set max_slot_wal_keep_size"
                    )
                is_told = is_told or is_unbounded
            except Exception as error:  # the database may be away, and comes back
                log.info("the slot cannot be looked at: %s", error)
            await asyncio.sleep(HELD_S)


def _name(change: RowChange) -> str:
    return str((change.new or change.old or {}).get("name") or "")
