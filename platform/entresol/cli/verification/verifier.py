"""The run: follows the log, reads sampled writes back at fixed ages, and compares hits with the primary.

Everything it adds to production is reads within the budget and one temporary replication slot, which goes with its
connection. What does not fit into the budget or the bounds is skipped and counted.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from entresol.cli.verification.budget import Budget
from entresol.cli.verification.findings import Difference, Findings, fields_that_differ
from entresol.cli.verification.ledger import Change, Ledger, State, Watched
from entresol.cli.verification.readers import CONCURRENCY, Primary, Readers, Reading
from entresol.clock import Clock
from entresol.errors import EntresolError
from entresol.records.demand import CACHE, NEAR
from entresol.service.call import PRIMARY
from entresol.service.status import CallFailedError
from entresol.storage.changes import ChangeKind, RowChange, Transaction
from entresol.storage.replication import ReplicationStream

log = logging.getLogger(__name__)

AGES_S = (0.1, 1.0, 10.0, 60.0)
VISIBLE_S = 2.0
PENDING_MAX = 10_000
# Comparisons have this share of the reads to themselves: however much is written and read back, hits are compared.
COMPARED_SHARE = 0.5
READS_OF_COMPARISON = 2  # the second one if the first was a hit
REOPEN_S = 1.0
CATCH_UP_S = 5.0
POLL_S = 0.1

OpenFeed = Callable[[], AbstractAsyncContextManager[ReplicationStream]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: for how long, for which share of the writes, and how old a difference the relay's lag explains."""

    for_s: float
    sample: float
    reads_per_second: float
    lag_max_s: float

    @property
    def ages_s(self) -> tuple[float, ...]:
        """Return the ages that fit into the run."""
        return tuple(age_s for age_s in AGES_S if age_s <= self.for_s)


@dataclass(frozen=True, slots=True, order=True)
class _Due:
    """A write to be read back at `due_s`; from every target when `age_s` is None."""

    due_s: float
    number: int
    change: Change = field(compare=False)
    age_s: float | None = field(compare=False)


class Verifier:
    """One run. `findings` can be read at any time, and when `run` was cancelled."""

    def __init__(
        self,
        plan: Plan,
        open_feed: OpenFeed,
        readers: Readers,
        primary: Primary,
        clock: Clock,
        dice: random.Random,
    ) -> None:
        self.findings = Findings(plan.ages_s)
        self._plan = plan
        self._open_feed = open_feed
        self._readers = readers
        self._primary = primary
        self._clock = clock
        self._dice = dice
        self._ledger = Ledger()
        self._comparing = Budget(COMPARED_SHARE * plan.reads_per_second, clock)
        self._reading_back = Budget((1 - COMPARED_SHARE) * plan.reads_per_second, clock)
        self._due: list[_Due] = []
        self._numbers = 0
        self._new = asyncio.Event()
        self._ends_s = 0.0
        self._reading: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Verify for as long as the plan says, counted from when the log is followed.

        Raises:
            EntresolError: the log cannot be followed from the start.
        """
        async with AsyncExitStack() as opened:
            feed = await opened.enter_async_context(self._open_feed())
            starts_s = self._clock.monotonic_s()
            self._ends_s = starts_s + self._plan.for_s
            self.findings.began_s = self._clock.now_s()
            try:
                async with asyncio.timeout(self._plan.for_s) as limit, asyncio.TaskGroup() as group:
                    group.create_task(self._follow(feed, opened), name="verify: follow")
                    group.create_task(self._read_back(group), name="verify: read back")
                    group.create_task(self._compare_hits(group), name="verify: compare")
            except TimeoutError:
                if not limit.expired():
                    raise
            except ExceptionGroup as failures:
                raise failures.exceptions[0] from None
            finally:
                self.findings.ran_s = self._clock.monotonic_s() - starts_s

    async def _follow(self, feed: ReplicationStream, opened: AsyncExitStack) -> None:
        """Note what the log tells, also after its connection broke: with a new slot, and a gap."""
        async with opened:
            await self._note_until_lost(feed)
        while True:
            await asyncio.sleep(REOPEN_S)
            try:
                async with self._open_feed() as again:
                    await self._note_until_lost(again)
            except EntresolError as error:
                log.warning("the log cannot be followed: %s", error)

    async def _note_until_lost(self, feed: ReplicationStream) -> None:
        try:
            async for event in feed:
                if isinstance(event, Transaction):
                    for change in event.changes:
                        self._note(change)
                    feed.acknowledge(event.end_lsn)
                else:
                    feed.acknowledge(event.wal_end)
        except EntresolError as error:
            log.warning("the log is followed again: %s", error)
            self._ledger.forget()
            self.findings.gaps += 1

    def _note(self, row: RowChange) -> None:
        if not self._readers.can_read(row.table):
            return
        if row.kind is ChangeKind.TRUNCATE:
            self._ledger.forget(row.table)
            return
        values = row.new or row.old or {}
        name, version = values.get("name"), values.get("row_version")
        if name is None or version is None:
            return
        self.findings.writes += 1
        is_delete = row.kind is ChangeKind.DELETE
        change = Change(Watched(row.table, name), int(version), is_delete, self._clock.monotonic_s())
        is_sampled = self._dice.random() < self._plan.sample
        if is_sampled:
            self._ledger.watch(change.record)
        self._ledger.add(change)
        if is_sampled:
            self._schedule(change)

    def _schedule(self, change: Change) -> None:
        self.findings.sampled += 1
        ages: list[tuple[float, float | None]] = [(age_s, age_s) for age_s in self._plan.ages_s]
        for after_s, age_s in [*ages, (VISIBLE_S, None)]:
            due_s = change.told_s + after_s
            if due_s >= self._ends_s:
                continue
            if len(self._due) >= PENDING_MAX:
                self.findings.skip("too many pending")
                continue
            self._numbers += 1
            heapq.heappush(self._due, _Due(due_s, self._numbers, change, age_s))
        self._new.set()

    async def _read_back(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._new.clear()
            wait_s = self._due[0].due_s - self._clock.monotonic_s() if self._due else self._plan.for_s
            if wait_s > 0:
                try:
                    async with asyncio.timeout(wait_s):
                        await self._new.wait()
                except TimeoutError:
                    pass
                continue
            due = heapq.heappop(self._due)
            reads = 1 if due.age_s is not None else len(self._readers.targets)
            if not self._ledger.is_watched(due.change.record):
                self.findings.skip("changes were missed", reads)
            elif due.age_s is not None:
                self._begin(group, self._reading_back, reads, self._check_age(due.change, due.age_s))
            else:
                self._begin(group, self._reading_back, reads, self._check_visibility(due.change))

    def _begin(
        self, group: asyncio.TaskGroup, budget: Budget, reads: int, work: Coroutine[Any, Any, None]
    ) -> None:
        """Start reading, if the load allows it; what reads is a task of the group, which sees it fail."""
        busy = len(self._reading) >= CONCURRENCY
        if busy or not budget.take(reads):
            work.close()
            self.findings.skip("all readers were busy" if busy else "over the budget", reads)
            return
        task = group.create_task(work)
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    async def _check_age(self, change: Change, age_s: float) -> None:
        reading = await self._read(change.record)
        if reading is not None:
            self.findings.aged(age_s, is_right=await self._shows(reading, change))

    async def _check_visibility(self, change: Change) -> None:
        readings = [await self._read(change.record, target) for target in self._readers.targets]
        if None not in readings:
            shown = [reading is not None and await self._shows(reading, change) for reading in readings]
            self.findings.visible(is_right=all(shown))

    async def _shows(self, reading: Reading, change: Change) -> bool:
        """Tell whether the write shows; when it does not, ask the primary whether it is still what the row has."""
        record, state = change.record, reading.state
        # What is not found has no version; after a deletion it is what the write has become.
        if state.shows(change) or (not state.is_found and self._ledger.was_deleted_since(change)):
            return True
        self._reading_back.borrow()
        primary = await self._read_primary(record)
        if primary is not None and _is_same(state, primary.state):
            return True
        newer = self._ledger.first_newer(record, state) or change
        self.findings.stale(record.name, max(0.0, reading.began_s - newer.told_s))
        return False

    async def _compare_hits(self, group: asyncio.TaskGroup) -> None:
        """Begin a comparison of some watched record every so often."""
        while True:
            await asyncio.sleep(READS_OF_COMPARISON / (COMPARED_SHARE * self._plan.reads_per_second))
            record = self._ledger.pick(self._dice)
            if record is not None:
                self._begin(group, self._comparing, READS_OF_COMPARISON, self._compare(record))

    async def _compare(self, record: Watched) -> None:
        hit = await self._read(record)
        if hit is None or hit.answered_by not in (CACHE, NEAR):
            self._comparing.give_back()
            return
        primary = await self._read_primary(record)
        if primary is None:
            return
        difference = await self._difference(record, hit, primary)
        if difference is None or self._ledger.is_watched(record):
            self.findings.compared(difference)
        else:
            self.findings.skip("changes were missed")

    async def _difference(self, record: Watched, hit: Reading, primary: Reading) -> Difference | None:
        """Return how the hit differs. Explained is one that a change within the relay's lag accounts for."""
        if _is_same(hit.state, primary.state):
            if hit.message == primary.message:
                return None
            age_s, is_explained = None, False  # the right version, and other content: no lag does that
        else:
            age_s = await self._age(record, hit)
            is_explained = age_s is not None and age_s <= self._plan.lag_max_s
        if age_s is not None:
            self.findings.stale(record.name, age_s)
        versions = hit.state.version, primary.state.version
        fields = fields_that_differ(hit, primary)
        return Difference(record.name, hit.target, is_explained, *versions, age_s, fields)

    async def _age(self, record: Watched, hit: Reading) -> float | None:
        """Return how long before the hit its row had changed, None if no such change is known."""
        waits_until_s = self._clock.monotonic_s() + CATCH_UP_S
        while (newer := self._ledger.first_newer(record, hit.state)) is None:
            if self._clock.monotonic_s() >= waits_until_s:
                return None
            await asyncio.sleep(POLL_S)  # who reads the primary may be ahead of who follows the log
        return max(0.0, hit.began_s - newer.told_s)

    async def _read(self, record: Watched, target: str | None = None) -> Reading | None:
        target = target or self._readers.next_target()
        try:
            return await self._readers.read(record, target)
        except CallFailedError as error:
            log.warning("%s was not read from %s: %s", record.name, target, error)
            self.findings.fail(target)
            return None

    async def _read_primary(self, record: Watched) -> Reading | None:
        try:
            return await self._primary.read(record)
        except EntresolError as error:
            log.warning("%s was not read from the primary: %s", record.name, error)
            self.findings.fail(PRIMARY)
            return None


def _is_same(one: State, other: State) -> bool:
    """Tell whether both found the same version, or neither found anything: whose version may not be known."""
    return one == other if one.is_found and other.is_found else one.is_found is other.is_found
