"""A scheduler: moves the cursors of schedules whose tick has come. Any number run side by side, and none leads."""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from entresol import telemetry
from entresol.jobs.insist import insist
from entresol.schedules.advance import Advance, advance, jitter_s, job_of
from entresol.schedules.by_hand import next_time
from entresol.schema.model import JobPolicy
from entresol.storage.jobs import Jobs
from entresol.storage.schedules import UPHOLD_S, Declared, Due, Move, Schedules, Tick

log = logging.getLogger(__name__)

LOOK_S = 0.9  # between two looks: no tick of a schedule that was added meanwhile is later
SPREAD_S = 0.1  # over which schedulers come to one tick, so that not all of them ask at its moment
AGAIN_S = 0.2  # when all that is due is being moved by others
UNHOLD_S = 1.0  # between two looks at what waits for the run before it
DUE_MAX = 1000  # schedules in one statement
FORGET_S = 3600.0  # between two looks at which ticks are to be forgotten
_HELD = float("inf")


class Scheduler:
    """Puts in the jobs of schedules, of the kinds that `policies` has."""

    def __init__(
        self,
        schedules: Schedules,
        jobs: Jobs,
        policies: Mapping[str, JobPolicy],
        declared: Sequence[Declared],
        kept_days: int,
    ) -> None:
        self._schedules = schedules
        self._jobs = jobs
        self._policies = policies
        self._declared = declared
        self._kept_days = kept_days
        self._uphold_s = self._unhold_s = self._forget_s = float("-inf")  # when it was last done

    async def run(self) -> None:
        """Declare the schedules, then move cursors for ever; while the database is away it is waited for."""
        await insist(self.declare)
        while True:
            await insist(self._uphold)
            pause_s = await insist(self.tick)
            await insist(self._unhold)
            await insist(self._forget)
            await asyncio.sleep(pause_s)

    async def declare(self) -> None:
        """Tell the database what the code declares."""
        now = await self._schedules.now()
        for one in self._declared:
            await self._schedules.declare(one, next_time(one, now))

    async def tick(self) -> float:
        """Move the cursors of what is due, at most `DUE_MAX`, and return in how many seconds to look again."""
        near = await self._schedules.near(self._policies, DUE_MAX, LOOK_S)
        advances = {one.name: advance(one) for one in near if one.next_time <= one.now}
        if not advances:
            return _pause_s(near)
        moves = [_move(one) for one in advances.values()]
        ticks = [
            (tick, one.due.kind, self._policies[one.due.kind])
            for one in advances.values()
            for tick in _ticks(one)
        ]
        skips = [skip for one in advances.values() for skip in one.skipped]
        moved = await self._schedules.advance(moves, ticks, skips)
        for name in moved:
            _count(advances[name])
        await self._cancel([advances[name] for name in moved])
        return 0.0 if moved else AGAIN_S

    async def _uphold(self) -> None:
        """Say what the code declares often enough that it ticks; before the ticks, however long nobody could say so."""
        now_s = asyncio.get_running_loop().time()
        if self._declared and now_s - self._uphold_s >= UPHOLD_S:
            await self._schedules.uphold([one.name for one in self._declared])
            self._uphold_s = now_s

    async def _unhold(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._unhold_s >= UNHOLD_S:
            await self._schedules.unhold()
            self._unhold_s = now_s

    async def _forget(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._forget_s >= FORGET_S and not await self._schedules.forget(self._kept_days):
            self._forget_s = now_s

    async def _cancel(self, advances: Sequence[Advance]) -> None:
        """Cancel the runs before those that have begun, where that is what overlapping ones are to do."""
        ended = [
            one.due.last_job
            for one in advances
            if one.due.overlap == "cancel" and one.due.is_running and one.begun and one.due.last_job
        ]
        if ended:
            await self._jobs.cancel(ended)


def _pause_s(near: Sequence[Due]) -> float:
    """Return for how long nothing is due, by the database's clock, as far as is known."""
    if not near:
        return LOOK_S
    left_s = (near[0].next_time - near[0].now).total_seconds()
    return min(LOOK_S, left_s + random.uniform(0, SPREAD_S))  # noqa: S311 - no secret


def _move(one: Advance) -> Move:
    return Move(one.due.name, one.due.next_time, one.next_time, _last(one, one.begun), _last(one, one.held))


def _last(one: Advance, ticks: Sequence[datetime]) -> uuid.UUID | None:
    return job_of(one.due.name, ticks[-1]) if ticks else None


def _ticks(one: Advance) -> list[Tick]:
    name, longest_s = one.due.name, one.due.jitter_s
    begun = [Tick(name, tick, job_of(name, tick), jitter_s(name, tick, longest_s)) for tick in one.begun]
    return begun + [Tick(name, tick, job_of(name, tick), _HELD) for tick in one.held]


def _count(one: Advance) -> None:
    schedule = {telemetry.SCHEDULE: one.due.name}
    for tick in (*one.begun, *one.held):
        telemetry.TICK_DELAY.record((one.due.now - tick).total_seconds(), schedule)
    for skip in one.skipped:
        telemetry.TICKS_SKIPPED.add(skip.number, {**schedule, telemetry.REASON: skip.reason})
        level = logging.DEBUG if skip.reason == "paused" else logging.WARNING
        log.log(level, "ticks of %s that were skipped, %s: %d", one.due.name, skip.reason, skip.number)
