"""`entresol batches`: begin a run, and see which generation readers are shown."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from entresol.app import load_served
from entresol.cli.run import run
from entresol.config import Settings
from entresol.errors import ConfigurationError, EntresolError, NotFoundError
from entresol.service.enqueue import new_job, operation_name
from entresol.service.registry import registry
from entresol.storage.batches import Generation, Generations
from entresol.storage.new_jobs import enqueue
from entresol.storage.placement import jobs_of
from entresol.storage.pools import Pools
from entresol.stores import open_records

_POLL_S = 0.5


class RunFailedError(EntresolError):
    """The run that was waited for has failed."""

    reason = "BATCH_FAILED"


@click.group("batches")
def command() -> None:
    """Run batches, and see what readers are shown of them."""


@command.command("run")
@click.argument("name")
@click.option("--key", default="", help="The day, such as 2026-01-31. Default: yesterday.")
@click.option("--engine", default="", help="sql, duckdb, python, dask or spark. Default: what fits the size.")
@click.option("--wait", is_flag=True, help="Wait until it is published.")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--functions", help="Modules, files or folders with functions, separated by commas.")
def run_(name: str, key: str, engine: str, wait: bool, protos: str | None, functions: str | None) -> None:
    """Put in a run of the batch NAME, which a worker (`entresol work`) does, and print its operation."""
    settings = Settings.load(protos=protos, functions=functions)
    run(_run(settings, name, key, engine, wait=wait))


@command.command("list")
@click.option(
    "--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="So many, the newest."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each.")
def list_(limit: int, as_json: bool) -> None:
    """List the newest generation of each key of each batch."""
    found = run(_generations("", "", limit))
    if as_json:
        for one in found:
            click.echo(json.dumps(_facts(one)))
        return
    table = Table("batch", "key", "generation", "state", "engine", "as of", "rows", box=None, pad_edge=False)
    for one in found:
        moment = "" if one.as_of_time is None else f"{one.as_of_time:%Y-%m-%d %H:%M:%S}"
        rows = "" if one.output_rows is None else str(one.output_rows)
        table.add_row(one.batch, one.run_key, str(one.generation), one.state, one.engine, moment, rows)
    Console(width=None if Console().is_terminal else 200).print(table)


@command.command("show")
@click.argument("name")
@click.option("--key", default="", help="Every generation of this key that is kept.")
def show(name: str, key: str) -> None:
    """Tell all that is known of the runs of a batch as JSON, the newest first."""
    found = run(_generations(name, key, 100))
    if not found:
        raise NotFoundError(name)
    for one in found:
        click.echo(json.dumps(_facts(one), indent=2))


async def _run(settings: Settings, name: str, key: str, engine: str, *, wait: bool) -> None:
    model = load_served(settings)
    if name not in registry.batches:
        known = ", ".join(sorted(registry.batches)) or "none"
        raise ConfigurationError(f"there is no batch {name}; there are {known}")
    service, _, method_name = registry.batches[name].method.rpartition(".")
    method = model.methods[f"/{service}/{method_name}"]
    given = {field: value for field, value in (("key", key), ("engine", engine)) if value}
    try:
        job = new_job(method, method.input_class(**given))
    except ValueError as error:
        raise ConfigurationError(f"{method.input.full_name} takes no such field: {error}") from error
    async with open_records(settings, model) as records, records.transaction() as transaction:
        await enqueue(transaction, [job])
    click.echo(operation_name(job.id))
    async with _pools() as pools:
        jobs = jobs_of(pools)
        while wait:
            state = (await jobs.read([job.id]))[job.id].state
            if state == "succeeded":
                return
            if state in ("dead", "cancelled"):
                raise RunFailedError(
                    f"{operation_name(job.id)} is {state}: see `entresol batches show {name}`"
                )
            await asyncio.sleep(_POLL_S)


async def _generations(name: str, key: str, limit: int) -> list[Generation]:
    async with _pools() as pools:
        return await Generations(pools).list(name, key, limit)


@asynccontextmanager
async def _pools() -> AsyncIterator[Pools]:
    pools = await Pools.open(Settings.load())
    try:
        yield pools
    finally:
        await pools.close()


def _facts(one: Generation) -> dict[str, Any]:
    return {
        name: value.isoformat()
        if isinstance(value, datetime)
        else value
        if isinstance(value, int)
        else str(value)
        for name, value in dataclasses.asdict(one).items()
        if value is not None
    }
