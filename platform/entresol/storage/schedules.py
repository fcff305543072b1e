"""Schedules in PostgreSQL: one statement moves a schedule's cursor and puts in the jobs of the ticks that it passes.

Whoever moves the cursor from where it was seen puts them in, and nobody else: no leader, no lock, the database's clock.
`Schedules` is what schedulers ask, `storage/timetable.py` what operators do.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import NamedTuple

from entresol.schema.model import JobPolicy
from entresol.storage.catalog import read_query
from entresol.storage.connections import Record
from entresol.storage.new_jobs import Lane, add_lanes
from entresol.storage.pools import Pools
from entresol.storage.sql import Statement
from entresol.storage.sqlstate import translated
from entresol.storage.wakeups import Wakeups

UPHOLD_S = 20.0  # between two times that a worker says what its code declares
DECLARED_S = 60.0  # so long does it hold
FORGOTTEN_MAX = 10_000  # ticks in one statement


@dataclass(frozen=True, slots=True)
class Declared:
    """A schedule as code declares it, or a call makes it."""

    name: str
    kind: str
    request: bytes
    timing: str
    zone: str
    overlap: str
    missed: str
    missed_max: int
    jitter_s: float
    start_time: datetime | None = None
    end_time: datetime | None = None

    def values(self) -> list[object]:
        """Return what it says, in the order in which statements take it."""
        return [getattr(self, name) for name in Declared.__slots__]

    def digest(self) -> bytes:
        """Return what differs when it says something else."""
        return hashlib.sha256(repr(self.values()).encode()).digest()


@dataclass(frozen=True, slots=True)
class Due:
    """A schedule whose tick `next_time` had come at `now`, or is about to, by the database's clock."""

    name: str
    kind: str
    timing: str
    zone: str
    overlap: str
    missed: str
    missed_max: int
    jitter_s: float
    is_paused: bool
    next_time: datetime
    now: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None
    last_job: uuid.UUID | None = None
    is_running: bool = False
    is_held: bool = False


class Skip(NamedTuple):
    """So many ticks of a schedule that put no job in, from the first to the last, and why."""

    schedule: str
    first_time: datetime
    last_time: datetime
    number: int
    reason: str


class Tick(NamedTuple):
    """A tick that puts a job in, in `delay_s`; of an endless delay, when the run before it is over."""

    schedule: str
    tick_time: datetime
    job: uuid.UUID
    delay_s: float


class Move(NamedTuple):
    """Where a schedule's cursor was seen, where it goes, and the last of its jobs that begin or are held."""

    schedule: str
    was: datetime
    next_time: datetime | None
    last_job: uuid.UUID | None
    held_job: uuid.UUID | None


class Schedules:
    """The schedules of one database, on its primary."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools.queue
        self._lanes: set[Lane] = set()  # those that are known to be there
        self._salt = uuid.uuid4().hex
        self._wakeups = Wakeups(pools)

    async def now(self) -> datetime:
        """Return the database's time."""
        found: datetime = (await self._run("clock"))[0][0]
        return found

    async def declare(self, declared: Declared, next_time: datetime | None) -> bool:
        """Add a schedule, or bring it up to a declaration that is new; tell whether anything changed."""
        return bool(await self._run("declare", *declared.values(), next_time, declared.digest()))

    async def uphold(self, names: Collection[str]) -> None:
        """Say that code still declares these schedules, without which they tick no more in `DECLARED_S`."""
        await self._run("uphold", [*names], UPHOLD_S / 2)

    async def near(self, kinds: Collection[str], limit: int, within_s: float) -> list[Due]:
        """Return up to so many schedules whose tick has come, or does within so long, the next one first.

        They are of these kinds, and not undeclared.
        """
        parameters = ([*kinds], limit, DECLARED_S, self._salt, within_s)
        return [Due(**record) for record in await self._run("near", *parameters)]

    async def advance(
        self,
        moves: Sequence[Move],
        ticks: Sequence[tuple[Tick, str, JobPolicy]],
        skips: Sequence[Skip],
    ) -> set[str]:
        """Move cursors, and put in the jobs of ticks, each with its kind and its policy; return the schedules moved."""
        lanes = {Lane(policy.queue, kind, "", policy.priority) for _, kind, policy in ticks}
        if lanes - self._lanes:
            await run(self._pools, add_lanes(lanes))
            self._lanes |= lanes
        jobs = [
            (*tick, policy.queue, kind, policy.priority, policy.attempts_max, policy.timeout_s)
            for tick, kind, policy in ticks
        ]
        parameters = (*_columns(moves, 5), *_columns(jobs, 9), *_columns(skips, 5))
        moved = {record["name"] for record in await self._run("advance", *parameters)}
        if jobs and moved:
            self._wakeups.tell()
        return moved

    async def unhold(self) -> int:
        """Let jobs be ready that waited for the run before them, where it is over; return how many."""
        return len(await self._run("unhold"))

    async def forget(self, days: int) -> bool:
        """Forget ticks of more than so many days ago, but not too many at once; tell whether there are more."""
        return bool((await self._run("forget", days, FORGOTTEN_MAX))[0][0] == FORGOTTEN_MAX)

    async def _run(self, query: str, *parameters: object) -> list[Record]:
        return await run(self._pools, schedule_statement(query, *parameters))


async def run(pools: Pools, statement: Statement) -> list[Record]:
    """Return what the primary answers."""
    deadline = pools.deadline(None)
    with translated({}):
        async with pools.write(timeout_s=deadline.left_s()) as connection:
            return await connection.fetch(statement.text, *statement.parameters, timeout=deadline.left_s())


def schedule_statement(query: str, *parameters: object) -> Statement:
    """Return a statement of `queries/schedules`."""
    return Statement(_text(query), parameters)


@cache
def _text(query: str) -> str:
    return read_query(f"schedules/{query}")


def _columns(rows: Sequence[Sequence[object]], count: int) -> list[list[object]]:
    return [[row[index] for row in rows] for index in range(count)]
