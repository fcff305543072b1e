"""`entresol.ops.v1.ScheduleService`: schedules as operators see and change them while everything runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict

from entresol.errors import (
    AlreadyExistsError,
    ConflictError,
    FailedPreconditionError,
    InvalidArgumentError,
)
from entresol.schedules.by_hand import backfill, found, next_time, run_now
from entresol.schema.model import Model
from entresol.service.enqueue import operation_name
from entresol.service.operations import page_after, page_size
from entresol.service.ops.access import PACKAGE
from entresol.service.registry import Context, Function, Schedule
from entresol.service.schedules import policies, problems, read_schedule
from entresol.storage.schedules import Declared
from entresol.storage.timetable import ScheduleState, TickState, Timetable

SERVICE = f"{PACKAGE}.ScheduleService"
PREFIX = "schedules/"
_END = (datetime.max.replace(tzinfo=UTC), 0)
_CHANGEABLE = (
    "request", "timing", "zone", "overlap", "missed", "missed_max", "jitter", "start_time", "end_time"
)  # fmt: skip


def schedule_methods(model: Model, timetable: Timetable) -> Mapping[str, Function]:
    """Return the functions of the service, by full name."""
    served = _ScheduleService(model, timetable)
    functions: Mapping[str, Function] = {
        "GetSchedule": served.get,
        "ListSchedules": served.page,
        "CreateSchedule": served.create,
        "UpdateSchedule": served.update,
        "DeleteSchedule": served.delete,
        "PauseSchedule": served.pause,
        "ResumeSchedule": served.resume,
        "RunSchedule": served.run,
        "BackfillSchedule": served.backfill,
        "ListTicks": served.ticks,
    }
    return {f"{SERVICE}.{name}": function for name, function in functions.items()}


class _ScheduleService:
    def __init__(self, model: Model, timetable: Timetable) -> None:
        self._model = model
        self._timetable = timetable
        self._policies = policies(model)

    async def get(self, request: Any, context: Context) -> Any:
        return self._told(await found(self._timetable, _id(request.name)), context)

    async def page(self, request: Any, context: Context) -> Any:
        size = page_size(request)
        states = await self._timetable.page(request.page_token, size)
        told = [self._told(state, context) for state in states]
        response = context.new(f"{PACKAGE}.ListSchedulesResponse", schedules=told)
        if len(states) == size:
            response.next_page_token = states[-1].declared.name
        return response

    async def create(self, request: Any, context: Context) -> Any:
        schedule = self._read(request.schedule_id, request.schedule)
        if not await self._timetable.create(schedule, next_time(schedule, await self._timetable.now())):
            raise AlreadyExistsError(f"{PREFIX}{schedule.name}")
        return self._told(await found(self._timetable, schedule.name), context)

    async def update(self, request: Any, context: Context) -> Any:
        name = _id(request.schedule.name, "schedule.name")
        was = await found(self._timetable, name)
        merged = self._told(was, context)
        for field in _mask(request):
            merged.ClearField(field)
            if field == "missed_max" or isinstance(getattr(merged, field), str):
                setattr(merged, field, getattr(request.schedule, field))
            elif request.schedule.HasField(field):
                getattr(merged, field).CopyFrom(getattr(request.schedule, field))
        schedule = self._read(name, merged)
        if not await self._timetable.change(was, schedule, next_time(schedule, await self._timetable.now())):
            raise ConflictError(f"{PREFIX}{name} was changed by another call meanwhile; read it again")
        return self._told(await found(self._timetable, name), context)

    async def delete(self, request: Any, context: Context) -> Any:
        name = _id(request.name)
        if not await self._timetable.delete(name):
            await found(self._timetable, name)
            raise FailedPreconditionError(
                f"{request.name} is declared by code: take it out there, or pause it"
            )
        return context.new("google.protobuf.Empty")

    async def pause(self, request: Any, context: Context) -> Any:
        await self._timetable.pause(_id(request.name), request.reason)
        return await self.get(request, context)

    async def resume(self, request: Any, context: Context) -> Any:
        await self._timetable.resume(_id(request.name))
        return await self.get(request, context)

    async def run(self, request: Any, context: Context) -> Any:
        job = await run_now(self._timetable, self._policies, _id(request.name))
        return context.new(f"{PACKAGE}.RunScheduleResponse", operation=operation_name(job))

    async def backfill(self, request: Any, context: Context) -> Any:
        begin, end = (time.ToDatetime(UTC) for time in (request.start_time, request.end_time))
        jobs = await backfill(self._timetable, self._policies, _id(request.name), begin, end)
        response = context.new(f"{PACKAGE}.BackfillScheduleResponse")
        for time, job in jobs.items():
            tick = response.ticks.add(schedule=request.name, count=1, operation=operation_name(job))
            _set_times(tick, time, time)
        return response

    async def ticks(self, request: Any, context: Context) -> Any:
        name, size = _id(request.parent, "parent"), page_size(request)
        await found(self._timetable, name)
        states = await self._timetable.ticks(name, page_after(request, _position, _END), size)
        response = context.new(f"{PACKAGE}.ListTicksResponse")
        for state in states:
            _add_tick(response.ticks.add(schedule=request.parent), state)
        if len(states) == size:
            response.next_page_token = f"{states[-1].first_time.isoformat()} {states[-1].id}"
        return response

    def _read(self, name: str, schedule: Any) -> Declared:
        """Return a schedule as the database keeps it; InvalidArgumentError with what is wrong with it."""
        if schedule.method not in self._policies:
            raise InvalidArgumentError.of("schedule.method", f"{schedule.method} is no method that has a job")
        start, end = (
            getattr(schedule, field).ToDatetime(UTC) if schedule.HasField(field) else None
            for field in ("start_time", "end_time")
        )
        one = Schedule(
            name,
            schedule.method,
            schedule.timing,
            schedule.zone or "UTC",
            MessageToDict(schedule.request),
            schedule.overlap or "skip",
            schedule.missed or "latest",
            schedule.missed_max or 100,
            schedule.jitter.ToTimedelta().total_seconds(),
            start,
            end,
            ("", 0),
        )
        wrong = [f"{problem}; {remedy}" for problem, remedy in problems(self._model, one)]
        if wrong:
            raise InvalidArgumentError.of("schedule", " and ".join(wrong))
        return read_schedule(self._model, one)

    def _told(self, state: ScheduleState, context: Context) -> Any:
        one = state.declared
        told = context.new(
            f"{PACKAGE}.Schedule",
            name=f"{PREFIX}{one.name}",
            method=one.kind,
            timing=one.timing,
            zone=one.zone,
            overlap=one.overlap,
            missed=one.missed,
            missed_max=one.missed_max,
            state=f"SCHEDULE_STATE_{state.state.upper()}",
            pause_reason=state.pause_reason,
            declared=state.is_declared,
        )
        told.jitter.FromMilliseconds(round(one.jitter_s * 1000))
        for field, time in (
            ("start_time", one.start_time),
            ("end_time", one.end_time),
            ("next_time", state.next_time),
            ("create_time", state.create_time),
            ("update_time", state.update_time),
        ):
            if time is not None:
                getattr(told, field).FromDatetime(time)
        if state.last_time is not None and state.last_job is not None:
            told.last_tick.schedule, told.last_tick.count = told.name, 1
            told.last_tick.operation = operation_name(state.last_job)
            _set_times(told.last_tick, state.last_time, state.last_time)
        service, _, name = one.kind.rpartition(".")
        method = self._model.methods.get(f"/{service}/{name}")
        if method is not None:
            request = method.input_class.FromString(one.request)
            ParseDict(MessageToDict(request, descriptor_pool=self._model.pool), told.request)
        return told


def _id(name: str, field: str = "name") -> str:
    if not name.startswith(PREFIX):
        raise InvalidArgumentError.of(field, f"must be {PREFIX} and the id of a schedule")
    return name.removeprefix(PREFIX)


def _mask(request: Any) -> list[str]:
    """Return the fields that an update is to set; without a mask, those of them that are given."""
    if not request.update_mask.paths:
        return [field.name for field, _ in request.schedule.ListFields() if field.name in _CHANGEABLE]
    wrong = [path for path in request.update_mask.paths if path not in _CHANGEABLE]
    if wrong:
        raise InvalidArgumentError.of("update_mask", f"{', '.join(wrong)} cannot be changed")
    return [*request.update_mask.paths]


def _position(token: str) -> tuple[datetime, int]:
    time, id_ = token.split(" ")
    return datetime.fromisoformat(time), int(id_)


def _add_tick(tick: Any, state: TickState) -> None:
    tick.count, tick.reason = state.count, state.reason
    if state.job is not None:
        tick.operation = operation_name(state.job)
    _set_times(tick, state.first_time, state.last_time)


def _set_times(tick: Any, first: datetime, last: datetime) -> None:
    tick.time.FromDatetime(first)
    tick.last_time.FromDatetime(last)
