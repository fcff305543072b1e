"""`entresol schedules`: what puts itself in and when, what did not, and what an operator does about it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click
from rich.table import Table

from entresol.app import load_model
from entresol.cli.counts import counted
from entresol.cli.pools import opened_pools
from entresol.cli.run import run
from entresol.cli.tables import show_table, time_text
from entresol.config import Settings
from entresol.errors import NotFoundError
from entresol.schedules import by_hand
from entresol.service.enqueue import operation_name
from entresol.service.schedules import policies
from entresol.storage.timetable import ScheduleState, TickState, Timetable

Result = TypeVar("Result")
_TIMES = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
_protos = click.option("--protos", help="Folder of .proto files, or a descriptor set.")
_limit = click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="So many.")


@click.group("schedules")
def command() -> None:
    """Look after schedules: what puts itself in, and what is to become of it."""


@command.command("list")
@_limit
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each.")
def list_(limit: int, as_json: bool) -> None:
    """List schedules, by name."""
    found = _ask(lambda timetable: timetable.page(limit=limit))
    table = Table("name", "method", "timing", "zone", "state", "next", "last", box=None, pad_edge=False)
    for one in found:
        what = one.declared
        times = (time_text(one.next_time), time_text(one.last_time))
        table.add_row(what.name, what.kind, what.timing, what.zone, one.state, *times)
        if as_json:
            click.echo(json.dumps(_facts(one)))
    if not as_json:
        show_table(table)


@command.command("show")
@click.argument("name")
@_limit
def show(name: str, limit: int) -> None:
    """Tell all that is known of a schedule as JSON, with its last ticks and why some of them put no job in."""

    async def ask(timetable: Timetable) -> tuple[ScheduleState, list[TickState]]:
        end = (datetime.max.replace(tzinfo=UTC), 0)
        return await by_hand.found(timetable, name), await timetable.ticks(name, end, limit)

    state, ticks = _ask(ask)
    click.echo(json.dumps(_facts(state) | {"ticks": [_tick_facts(tick) for tick in ticks]}, indent=2))


@command.command("pause")
@click.argument("name")
@click.option("--reason", default="", help="Why, for who wonders later.")
def pause(name: str, reason: str) -> None:
    """Let ticks put no jobs in until the schedule is resumed; they are counted and listed."""
    _change(name, lambda timetable: timetable.pause(name, reason), "is paused")


@command.command("resume")
@click.argument("name")
def resume(name: str) -> None:
    """Let ticks that are to come put jobs in again."""
    _change(name, lambda timetable: timetable.resume(name), "is not paused")


@command.command("run")
@click.argument("name")
@_protos
def run_(name: str, protos: str | None) -> None:
    """Put a schedule's job in now, whatever its pause and its policies say, and print its operation."""
    known = policies(load_model(Settings.load(protos=protos)))
    job = _ask(lambda timetable: by_hand.run_now(timetable, known, name))
    click.echo(operation_name(job))


@command.command("backfill")
@click.argument("name")
@click.argument("begin", type=_TIMES)
@click.argument("end", type=_TIMES)
@_protos
def backfill(name: str, begin: datetime, end: datetime, protos: str | None) -> None:
    """Put in the jobs of the ticks from BEGIN until before END, in UTC, but for those that have had theirs."""
    known = policies(load_model(Settings.load(protos=protos)))
    first, last = begin.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    jobs = _ask(lambda timetable: by_hand.backfill(timetable, known, name, first, last))
    click.echo(f"{counted(len(jobs), 'job')} put in")


def _change(name: str, change: Callable[[Timetable], Awaitable[bool]], what: str) -> None:
    if not _ask(change):
        raise NotFoundError(f"schedules/{name}")
    click.echo(f"{name} {what}")


def _ask(ask: Callable[[Timetable], Awaitable[Result]]) -> Result:
    async def work() -> Result:
        async with opened_pools() as pools:
            return await ask(Timetable(pools))

    return run(work())


def _facts(state: ScheduleState) -> dict[str, Any]:
    one = state.declared
    times = {
        "start_time": one.start_time,
        "end_time": one.end_time,
        "next_time": state.next_time,
        "last_time": state.last_time,
        "update_time": state.update_time,
    }
    return {
        "name": one.name,
        "method": one.kind,
        "timing": one.timing,
        "zone": one.zone,
        "overlap": one.overlap,
        "missed": one.missed,
        "missed_max": one.missed_max,
        "jitter_s": one.jitter_s,
        "state": state.state,
        "pause_reason": state.pause_reason,
        "declared": state.is_declared,
        **{name: time.isoformat() for name, time in times.items() if time is not None},
    }


def _tick_facts(tick: TickState) -> dict[str, Any]:
    facts: dict[str, Any] = {"time": tick.first_time.isoformat()}
    if tick.job is not None:
        return facts | {"operation": operation_name(tick.job)}
    return facts | {"last_time": tick.last_time.isoformat(), "count": tick.count, "reason": tick.reason}
