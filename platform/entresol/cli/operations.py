"""`entresol operations`: jobs as those see them who wait for them; all but `wait` is as of `entresol jobs`."""

from __future__ import annotations

import asyncio
import json
import sys

import click
from google.rpc import status_pb2
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from entresol.cli import jobs as jobs_command
from entresol.cli.pools import opened_pools
from entresol.cli.run import run
from entresol.errors import NotFoundError
from entresol.storage.jobs import JobState
from entresol.storage.placement import jobs_of

_POLL_S = 0.2
_OVER = ("succeeded", "dead", "cancelled")


@click.group("operations")
def command() -> None:
    """Follow operations: list, show or cancel them, or wait for one."""


command.add_command(jobs_command.list_)
command.add_command(jobs_command.show)
command.add_command(jobs_command.cancel)


@command.command("wait")
@click.argument("name")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0), help="Seconds, at most. Default: for ever.")
def wait(name: str, timeout_s: float | None) -> None:
    """Wait until an operation is done, and tell of it as JSON.

    The exit status is 0 if it succeeded, 1 if it did not, and 3 if it is not done in time.
    """
    job = run(_wait(name, timeout_s))
    facts = jobs_command.facts_of(job)
    if job.failure is not None:
        facts["error"] = status_pb2.Status.FromString(job.failure).message
    click.echo(json.dumps(facts))
    if job.state not in _OVER:
        sys.exit(3)
    if job.state != "succeeded":
        sys.exit(1)


async def _wait(name: str, timeout_s: float | None) -> JobState:
    id_ = jobs_command.job_of(name)
    loop = asyncio.get_running_loop()
    end_s = None if timeout_s is None else loop.time() + timeout_s
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=100)
        async with opened_pools() as pools:
            while True:
                job = (await jobs_of(pools).read([id_])).get(id_)
                if job is None:
                    raise NotFoundError(name)
                done = 100 if job.state == "succeeded" else job.percent
                bar.update(task, completed=done, description=job.step or job.state)
                if job.state in _OVER or (end_s is not None and loop.time() + _POLL_S > end_s):
                    return job
                await asyncio.sleep(_POLL_S)
