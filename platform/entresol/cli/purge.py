"""`entresol purge`: delete the records that a filter matches, in batches that can be stopped at any moment."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import click

from entresol.app import load_model
from entresol.cli.pace import Pace
from entresol.cli.progress import ProgressBar
from entresol.cli.resources import resource_of
from entresol.cli.run import run
from entresol.config import Settings
from entresol.errors import DeadlineExceededError
from entresol.records import Records
from entresol.schema.model import Model, Resource
from entresol.storage.store import Selection
from entresol.stores import open_records

COUNT_S = 5.0  # longest wait for the end of the progress bar

EXAMPLE = """\b
Examples:
  entresol purge stories.v1.Click --filter 'create_time < "2026-01-01T00:00:00Z"' --dry-run
  entresol purge stories.v1.Story --expired --force --rate 500
"""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be deleted, and how."""

    filter: str
    parent: str
    force: bool
    expired: bool
    limit: int | None
    batch_size: int
    rate: float | None


@click.command("purge", epilog=EXAMPLE)
@click.argument("resource")
@click.option("--filter", "filter_", help="AIP-160 filter of what goes; `*` is everything.")
@click.option("--parent", default="", help="Only records of this parent.")
@click.option("--expired", is_flag=True, help="Remove what is marked as deleted and past its retention.")
@click.option("--force", is_flag=True, help="Delete children, too.")
@click.option("--limit", type=click.IntRange(min=0), help="Delete at most so many.")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Records a second, at most.")
@click.option(
    "--batch-size",
    default=500,
    show_default=True,
    type=click.IntRange(1, 5000),
    help="Records a transaction.",
)
@click.option("--dry-run", is_flag=True, help="Count, and delete nothing.")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def command(
    resource: str,
    filter_: str | None,
    parent: str,
    expired: bool,
    force: bool,
    limit: int | None,
    rate: float | None,
    batch_size: int,
    dry_run: bool,
    protos: str | None,
    as_json: bool,
) -> None:
    """Delete the records of RESOURCE (stories.v1.Click) that a filter matches.

    They go in batches, in the order of their names, each batch one transaction: given again after an interruption, the
    same command goes on. Records whose deletion is soft are marked; --expired removes those whose retention has passed.
    A record with children ends it, unless --force.
    """
    if filter_ is None and not expired:
        raise click.UsageError("give --filter, with `*` for every record, or --expired")
    settings = Settings.load(protos=protos)
    model = load_model(settings)
    text = "*" if filter_ is None else filter_
    size = batch_size if rate is None else max(1, min(batch_size, int(rate)))  # a second's worth at a time
    order = Order(text, parent, force, expired, limit, size, rate)
    facts = run(_work(settings, model, resource_of(model, resource), order, dry_run=dry_run, quiet=as_json))
    if as_json:
        click.echo(json.dumps(facts))
    elif dry_run:
        click.echo(f"{facts['matching']} match; nothing was deleted")
    else:
        click.echo(f"{facts['deleted']} deleted in {facts['seconds']} s")


async def _work(
    settings: Settings, model: Model, resource: Resource, order: Order, *, dry_run: bool, quiet: bool
) -> dict[str, Any]:
    selection = Selection.of(resource, order.filter, order.parent, expired=order.expired)
    async with open_records(settings, model) as records:
        if dry_run:
            return {"matching": await records.store.count(resource, selection)}
        return await _purge(records, resource, selection, order, quiet=quiet)


async def _purge(
    records: Records, resource: Resource, selection: Selection, order: Order, *, quiet: bool
) -> dict[str, Any]:
    total = None if quiet else await _total(records, resource, selection, order.limit)
    pace, started_s, deleted = Pace(order.rate), time.perf_counter(), 0
    try:
        with ProgressBar(f"purging {resource.plural}", total, quiet=quiet) as advance:
            async for purged in records.delete_where(
                resource,
                order.filter,
                parent=order.parent,
                batch=order.batch_size,
                limit=order.limit,
                force=order.force,
                expired=order.expired,
            ):
                deleted = purged.count
                advance(deleted)
                await pace.keep(deleted)
    except BaseException:
        click.echo(f"{deleted} deleted before it ended; the same command goes on", err=True)
        raise
    return {"deleted": deleted, "seconds": round(time.perf_counter() - started_s, 2)}


async def _total(records: Records, resource: Resource, selection: Selection, limit: int | None) -> int | None:
    """Return how many will be deleted, None when it takes too long to count them."""
    try:
        count = await records.store.count(resource, selection, timeout_s=COUNT_S)
    except DeadlineExceededError:
        return limit
    return count if limit is None else min(count, limit)
