"""What operators see of schedules and do to them: pages of them and of their ticks, changes, runs by hand."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

from entresol.schema.model import JobPolicy
from entresol.storage.connections import Record
from entresol.storage.job_ids import new_id
from entresol.storage.new_jobs import Lane, add_lanes
from entresol.storage.pools import Pools
from entresol.storage.schedules import DECLARED_S, Declared, run, schedule_statement


@dataclass(frozen=True, slots=True)
class ScheduleState:
    """A schedule as it is. `state` is active, paused, ended, or undeclared, which by code it was, and is no more."""

    declared: Declared
    state: str
    pause_reason: str
    is_declared: bool  # by code; else a call made it
    next_time: datetime | None
    last_time: datetime | None  # of the last tick that put a job in
    last_job: uuid.UUID | None
    create_time: datetime
    update_time: datetime


@dataclass(frozen=True, slots=True)
class TickState:
    """A tick and its job; or `count` ticks from the first to the last that put none in, and the reason."""

    first_time: datetime
    last_time: datetime
    count: int
    job: uuid.UUID | None
    reason: str
    create_time: datetime
    id: int  # of those that put none in; two of them may begin at one time


class Timetable:
    """The schedules of one database, for who looks after them."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools.queue

    async def now(self) -> datetime:
        """Return the database's time."""
        found: datetime = (await self._run("clock"))[0][0]
        return found

    async def page(self, after: str = "", limit: int = 100) -> list[ScheduleState]:
        """Return schedules behind the name `after`, by name."""
        return [_state(record) for record in await self._run("list", after, None, limit, DECLARED_S)]

    async def read(self, name: str) -> ScheduleState | None:
        """Return a schedule, or None."""
        records = await self._run("list", "", [name], 1, DECLARED_S)
        return _state(records[0]) if records else None

    async def ticks(self, name: str, after: tuple[datetime, int], limit: int = 100) -> list[TickState]:
        """Return ticks of a schedule before a time, and of that time those before an id, the newest first."""
        return [TickState(**record) for record in await self._run("ticks", name, *after, limit)]

    async def ticks_of(self, jobs: Sequence[uuid.UUID]) -> dict[uuid.UUID, tuple[str, datetime]]:
        """Return the schedule and the nominal time of those of the jobs that a schedule put in."""
        return {record[0]: (record[1], record[2]) for record in await self._run("ticks_of", [*jobs])}

    async def pause(self, name: str, reason: str) -> bool:
        """Let a schedule's ticks put no jobs in; False when there is none of this name."""
        return bool(await self._run("pause", name, True, reason))

    async def resume(self, name: str) -> bool:
        """Let the ticks that are to come put jobs in again; False when there is none of this name."""
        return bool(await self._run("pause", name, False, ""))

    async def create(self, schedule: Declared, next_time: datetime | None) -> bool:
        """Add a schedule; False when there is one of this name."""
        return bool(await self._run("create", *schedule.values(), next_time))

    async def change(self, was: ScheduleState, schedule: Declared, next_time: datetime | None) -> bool:
        """Let a schedule be another from `next_time` on; False when somebody has changed it since it `was`."""
        return bool(await self._run("change", *schedule.values(), next_time, was.update_time))

    async def delete(self, name: str) -> bool:
        """Delete a schedule; False when there is none of this name, or a worker declares it."""
        return bool(await self._run("delete", name, DECLARED_S))

    async def begin(
        self, schedule: Declared, policy: JobPolicy, times: Sequence[datetime]
    ) -> dict[datetime, uuid.UUID]:
        """Put in a schedule's job for each of these nominal times that has had none; return the jobs."""
        lane = Lane(policy.queue, schedule.kind, "", policy.priority)
        await run(self._pools, add_lanes([lane]))
        jobs = [new_id() for _ in times]
        target = (lane.queue, lane.kind, lane.priority, policy.attempts_max, policy.timeout_s)
        return {
            record[0]: record[1]
            for record in await self._run("begin", schedule.name, [*times], jobs, *target)
        }

    async def _run(self, query: str, *parameters: object) -> list[Record]:
        return await run(self._pools, schedule_statement(query, *parameters))


def _state(record: Record) -> ScheduleState:
    declared = Declared(**{field.name: record[field.name] for field in fields(Declared)})
    own = {field.name: record[field.name] for field in fields(ScheduleState) if field.name != "declared"}
    return ScheduleState(declared, **own)
