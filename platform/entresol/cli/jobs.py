"""`entresol jobs`: what waits, runs and failed, and what an operator does about it."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2, status_pb2
from rich.table import Table

from entresol.app import load_model
from entresol.cli.counts import counted
from entresol.cli.pools import opened_pools
from entresol.cli.run import run
from entresol.cli.tables import show_table, time_text
from entresol.config import Settings
from entresol.errors import InvalidArgumentError, NotFoundError
from entresol.storage.jobs import Details, Jobs, JobState
from entresol.storage.placement import jobs_of

_PREFIX = "operations/"
_STATES = ("waiting", "ready", "running", "dead", "succeeded", "cancelled")
_Option = Callable[[Any], Any]


@click.group("jobs")
def command() -> None:
    """Look after jobs: what waits, runs and failed, and what is to become of it."""


def _chosen(function: Any) -> Any:
    """Add the options by which dead jobs are chosen: names, or a filter; `--all` where neither is given."""
    options: tuple[_Option, ...] = (
        click.argument("names", nargs=-1),
        click.option("--queue", default="", help="Those of this queue."),
        click.option("--kind", default="", help="Those of this method."),
        click.option("--all", "every", is_flag=True, help="All of them."),
    )
    for option in reversed(options):
        function = option(function)
    return function


@command.command("list")
@click.option("--queue", default="", help="Those of this queue.")
@click.option("--kind", default="", help="Those of this method.")
@click.option("--state", type=click.Choice(_STATES), help="Those in this state.")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="So many, the newest."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each.")
def list_(queue: str, kind: str, state: str | None, limit: int, as_json: bool) -> None:
    """List jobs, the newest first."""

    async def work() -> list[JobState]:
        async with opened_pools() as pools:
            jobs = jobs_of(pools)
            return await jobs.page(queue=queue, kind=kind, state=state or "", limit=limit)

    found = run(work())
    if as_json:
        for job in found:
            click.echo(json.dumps(facts_of(job)))
        return
    table = Table("name", "method", "state", "attempt", "done", "step", "began", box=None, pad_edge=False)
    for job in found:
        began = time_text(job.start_time)
        done = f"{job.percent} %"
        table.add_row(f"{_PREFIX}{job.id}", job.kind, job.state, str(job.attempt), done, job.step, began)
    show_table(table)


@command.command("queues")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each.")
def queues(as_json: bool) -> None:
    """Tell how many jobs and workers each queue has, for how long the oldest has been ready, and what is paused."""

    async def work() -> list[Any]:
        async with opened_pools() as pools:
            jobs = jobs_of(pools)
            return await jobs.depths()

    heads = ("queue", "waiting", "ready", "running", "dead", "oldest ready", "paused", "workers")
    table = Table(*heads, box=None, pad_edge=False)
    for depth in run(work()):
        facts = {name: getattr(depth, name) for name in depth.__slots__}
        if as_json:
            click.echo(json.dumps(facts))
        *texts, ready_s, is_paused, kinds, workers = facts.values()
        paused = "yes" if is_paused else ", ".join(kinds)
        table.add_row(*map(str, texts), f"{ready_s:.1f} s", paused, str(workers))
    if not as_json:
        show_table(table)


@command.command("pause")
@click.argument("queue")
@click.option("--kind", default="", help="Only this method's.")
def pause(queue: str, kind: str) -> None:
    """Let no more jobs of a queue begin, within a moment; those that run go on."""

    async def work() -> tuple[bool, bool]:
        async with opened_pools() as pools:
            jobs = jobs_of(pools)
            return await jobs.pause(queue, kind), await jobs.knows(queue, kind)

    is_new, is_known = run(work())
    told = "is paused" if is_new else "was paused already"
    no_job = "" if is_known else "; no job was ever put into it: is that its name?"
    click.echo(f"{_what(queue, kind)} {told}{no_job}")


@command.command("resume")
@click.argument("queue")
@click.option("--kind", default="", help="Only this method's.")
def resume(queue: str, kind: str) -> None:
    """Let jobs of a queue begin again; kinds that were paused by themselves stay so."""

    async def work() -> bool:
        async with opened_pools() as pools:
            jobs = jobs_of(pools)
            return await jobs.resume(queue, kind)

    if not run(work()):
        raise InvalidArgumentError.of(
            "queue", f"{_what(queue, kind)} is not paused; see `entresol jobs queues`"
        )
    click.echo(f"{_what(queue, kind)} goes on")


def _what(queue: str, kind: str) -> str:
    return f"{kind} in queue {queue}" if kind else f"queue {queue}"


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Tell all that is known of a job as JSON; of one that is over neither request nor failures are kept."""

    async def work() -> tuple[JobState, Details]:
        id_ = job_of(name)
        async with opened_pools() as pools:
            jobs = jobs_of(pools)
            found = await jobs.read([id_])
            if id_ not in found:
                raise NotFoundError(name)
            return found[id_], await jobs.details(id_)

    job, details = run(work())
    facts = facts_of(job)
    if details.host is not None:
        facts["worker"] = {"host": details.host, "process": details.process}
    if details.trace:
        facts["trace_id"] = details.trace.split("-")[1]
    if details.request is not None:
        facts["request"] = _request(job.kind, details.request)
        facts["failures"] = [_failure(status_pb2.Status.FromString(one)) for one in details.failures]
    click.echo(json.dumps(facts, indent=2))


def _request(kind: str, request: bytes) -> Any:
    """Return a request as JSON has it, or in base64 where no proto here tells what it is."""
    methods = load_model(Settings.load()).methods.values()
    for method in methods:
        if method.full_name == kind:
            return MessageToDict(method.input_class.FromString(request))
    return base64.b64encode(request).decode()


def _failure(status: status_pb2.Status) -> dict[str, Any]:
    facts: dict[str, Any] = {"code": status.code, "message": status.message}
    debug = error_details_pb2.DebugInfo()
    for detail in status.details:
        if detail.Unpack(debug):
            facts |= {"error": debug.detail, "stack": [*debug.stack_entries]}
    return facts


@command.command("cancel")
@click.argument("names", nargs=-1, required=True)
def cancel(names: tuple[str, ...]) -> None:
    """Cancel jobs: those that have not begun at once, others as soon as they look."""
    _change(lambda jobs: jobs.cancel([job_of(name) for name in names]), "cancelled, or told to end")


@command.command("retry")
@_chosen
def retry(names: tuple[str, ...], queue: str, kind: str, every: bool) -> None:
    """Let dead jobs be ready again, with as many attempts as they had at first."""
    ids = _ids(names, queue, kind, every)
    _change(lambda jobs: jobs.retry(queue=queue, kind=kind, ids=ids), "ready again")


@command.command("purge")
@_chosen
def purge(names: tuple[str, ...], queue: str, kind: str, every: bool) -> None:
    """Delete dead jobs, with their requests and failures."""
    ids = _ids(names, queue, kind, every)
    _change(lambda jobs: jobs.purge(queue=queue, kind=kind, ids=ids), "deleted")


def _change(change: Callable[[Jobs], Coroutine[Any, Any, set[uuid.UUID]]], what: str) -> None:
    async def work() -> set[uuid.UUID]:
        async with opened_pools() as pools:
            jobs = jobs_of(pools)
            return await change(jobs)

    click.echo(f"{counted(len(run(work())), 'job')} {what}")


def _ids(names: tuple[str, ...], queue: str, kind: str, every: bool) -> list[uuid.UUID] | None:
    if not (names or queue or kind or every):
        raise click.UsageError("name the jobs, or give --queue, --kind or --all")
    return [job_of(name) for name in names] or None


def job_of(name: str) -> uuid.UUID:
    """Return the job of an operation's name, or of its id."""
    try:
        return uuid.UUID(name.removeprefix(_PREFIX))
    except ValueError as error:
        raise InvalidArgumentError.of("name", f"{name} is no job's: write {_PREFIX} and its id") from error


def facts_of(job: JobState) -> dict[str, Any]:
    """Return what is told of a job as JSON."""
    times = {"create_time": job.create_time, "start_time": job.start_time, "done_time": job.done_time}
    return {
        "name": f"{_PREFIX}{job.id}",
        "queue": job.queue,
        "kind": job.kind,
        "state": job.state,
        "attempt": job.attempt,
        "percent": job.percent,
        "step": job.step,
        "caller": job.caller,
        **{name: time.isoformat() for name, time in times.items() if time is not None},
    }
