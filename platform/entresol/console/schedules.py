"""Schedules: when they tick, what their last ticks became, and why some put no job in; pause, resume, run now."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from entresol.console.page import Ask, Moved, Page, View, link
from entresol.errors import NotFoundError
from entresol.redaction import message_shown
from entresol.schedules import by_hand
from entresol.schema.model import Model
from entresol.service.enqueue import operation_name
from entresol.service.schedules import policies
from entresol.storage.timetable import Timetable

_PAGE_SIZE = 50
_END = (datetime.max.replace(tzinfo=UTC), 0)


class SchedulePages:
    """The pages of schedules."""

    def __init__(self, model: Model, timetable: Timetable) -> None:
        self._timetable = timetable
        self._policies = policies(model)
        self._methods = {method.full_name: method for method in model.methods.values()}

    def pages(self) -> list[Page]:
        """Return them."""
        return [
            Page("GET", "/schedules", self._list),
            Page("GET", "/schedules/{name}", self._schedule),
            Page("POST", "/schedules/{name}/pause", self._pause, writes=True),
            Page("POST", "/schedules/{name}/resume", self._resume, writes=True),
            Page("POST", "/schedules/{name}/run", self._run, writes=True),
        ]

    async def _list(self, ask: Ask) -> View:
        found = await self._timetable.page(ask.query.get("after", ""), _PAGE_SIZE)
        more = found[-1].declared.name if len(found) == _PAGE_SIZE else ""
        return View("schedules.html", {"schedules": found, "next": more})

    async def _schedule(self, ask: Ask) -> View:
        state = await by_hand.found(self._timetable, ask.parts["name"])
        ticks = await self._timetable.ticks(state.declared.name, _END, _PAGE_SIZE)
        method = self._methods.get(state.declared.kind)
        request = None
        if method is not None:
            try:
                request = message_shown(method.input_class.FromString(state.declared.request))
            except DecodeError:
                request = None
        skipped = sum(tick.count for tick in ticks if tick.job is None)
        values = {
            "state": state,
            "one": state.declared,
            "ticks": ticks,
            "request": request,
            "skipped": skipped,
        }
        return View("schedule.html", values)

    async def _pause(self, ask: Ask) -> Moved:
        return self._told(
            ask, await self._timetable.pause(ask.parts["name"], ask.form.get("reason", "")), "paused"
        )

    async def _resume(self, ask: Ask) -> Moved:
        return self._told(ask, await self._timetable.resume(ask.parts["name"]), "not paused")

    async def _run(self, ask: Ask) -> Moved:
        job = await by_hand.run_now(self._timetable, self._policies, ask.parts["name"])
        return Moved(link("jobs", str(job)), f"{operation_name(job)} is put in")

    def _told(self, ask: Ask, is_known: bool, what: str) -> Moved:
        name = ask.parts["name"]
        if not is_known:
            raise NotFoundError(f"schedules/{name}")
        return Moved(link("schedules", name), f"{name} is {what}")
