"""What operators do to schedules: when a changed one ticks next, a run now, and the ticks of a time that is past."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta

from entresol.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from entresol.schedules.timing import parse
from entresol.schema.model import JobPolicy
from entresol.storage.schedules import Declared
from entresol.storage.timetable import ScheduleState, Timetable

BACKFILL_MAX = 1000


def next_time(schedule: Declared, now: datetime) -> datetime | None:
    """Return when a schedule ticks next.

    Raises:
        InvalidArgumentError: of its timing or its zone.
    """
    return parse(schedule.timing, schedule.zone, schedule.start_time, schedule.end_time)(now)


async def found(timetable: Timetable, name: str) -> ScheduleState:
    """Return a schedule; NotFoundError when there is none of this name."""
    state = await timetable.read(name)
    if state is None:
        raise NotFoundError(f"schedules/{name}")
    return state


async def run_now(timetable: Timetable, policies: Mapping[str, JobPolicy], name: str) -> uuid.UUID:
    """Put a schedule's job in, whatever its policies and its pause say; its nominal time is now.

    Raises:
        NotFoundError: there is no schedule of this name.
        FailedPreconditionError: its method is none of `policies`.
    """
    schedule = (await found(timetable, name)).declared
    begun = await timetable.begin(schedule, _policy(policies, schedule), [await timetable.now()])
    return next(iter(begun.values()))


async def backfill(
    timetable: Timetable, policies: Mapping[str, JobPolicy], name: str, begin: datetime, end: datetime
) -> dict[datetime, uuid.UUID]:
    """Put in the jobs of the ticks from `begin` until before `end` that had none; return them by nominal time.

    Raises:
        NotFoundError: there is no schedule of this name.
        FailedPreconditionError: its method is none of `policies`.
        InvalidArgumentError: the time is none that is past, or has more than `BACKFILL_MAX` ticks.
    """
    schedule = (await found(timetable, name)).declared
    policy = _policy(policies, schedule)
    if not begin < end <= await timetable.now():
        raise InvalidArgumentError.of("end_time", "must be behind start_time, and not behind now")
    following = parse(schedule.timing, schedule.zone, schedule.start_time, schedule.end_time)
    times: list[datetime] = []
    tick = following(begin - timedelta(microseconds=1))
    while tick is not None and tick < end:
        times.append(tick)
        if len(times) > BACKFILL_MAX:
            raise InvalidArgumentError.of(
                "end_time", f"leaves more than {BACKFILL_MAX} ticks; take a shorter time"
            )
        tick = following(tick)
    return await timetable.begin(schedule, policy, times) if times else {}


def _policy(policies: Mapping[str, JobPolicy], schedule: Declared) -> JobPolicy:
    if schedule.kind not in policies:
        raise FailedPreconditionError(f"{schedule.name} puts in {schedule.kind}, which is no job here")
    return policies[schedule.kind]
