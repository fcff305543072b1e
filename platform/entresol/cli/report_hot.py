"""`entresol report hot`: which records the cache is asked for most."""

from __future__ import annotations

import heapq
import json
from dataclasses import asdict, dataclass

import click
from rich.table import Table

from entresol.app import load_model
from entresol.cache.census import census
from entresol.cache.entries import Entries
from entresol.cache.heat import Heat, read_heat
from entresol.cli.pace import Pace
from entresol.cli.run import run
from entresol.cli.tables import show_table
from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.schema.model import Model

RATE = 20_000


@dataclass(frozen=True, slots=True)
class HotRecord:
    """A record and how much the cache is asked for it; `reads_per_minute` where the server counts, else `idle_s`."""

    resource: str
    name: str
    reads_per_minute: int | None
    idle_s: int | None


@click.command("hot")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Records to tell.")
@click.option(
    "--rate", default=RATE, show_default=True, type=click.FloatRange(min=0, min_open=True),
    help="Entries to look at in a second.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hot(protos: str | None, limit: int, rate: float, as_json: bool) -> None:
    """Tell which records the cache is asked for most.

    The cache's own count is read, where its policy is LFU (volatile-lfu): servers note nothing for it, and no entry
    is touched. The count is a logarithm that fades, so reads a minute are an estimate for a load that lasts. What
    servers answer from their own copies is not seen: such a record shows as one read for each process in
    ENTRESOL_NEAR_AGE_MAX_S.
    """
    settings = Settings.load(protos=protos)
    if not settings.cache_url:
        raise ConfigurationError("there is no cache: set ENTRESOL_CACHE_URL")
    heat, seen, records = run(_look(settings, load_model(settings), limit, rate))
    remedy = (
        "" if heat.counts else "CONFIG SET maxmemory-policy volatile-lfu: from then on the cache counts reads"
    )
    if as_json:
        rows = [asdict(record) for record in records]
        facts = {
            "counted": heat.counts,
            "policy": heat.policy,
            "entries": seen,
            "records": rows,
            "remedy": remedy,
        }
        click.echo(json.dumps(facts))
        return
    table = Table("resource", "record", "reads/min" if heat.counts else "idle s", box=None, pad_edge=False)
    for record in records:
        number = record.reads_per_minute if heat.counts else record.idle_s
        at_least = "at least " if number == heat.most else ""
        table.add_row(record.resource, record.name, f"{at_least}{number}")
    show_table(table)
    if remedy:
        click.echo(f"by how short ago, for the policy is {heat.policy}; {remedy}", err=True)


async def _look(
    settings: Settings, model: Model, limit: int, rate: float
) -> tuple[Heat, int, list[HotRecord]]:
    by_table = {table.removeprefix("public."): resource for table, resource in model.by_table.items()}
    entries, pace = Entries.open(settings), Pace(rate)
    heats: dict[tuple[str, str], int] = {}
    seen = 0
    try:
        heat = await read_heat(entries.connection)
        async for uses in census(entries.connection, entries.layout):
            known = {
                (by_table[use.key.table].type, use.key.name): use.heat
                for use in uses
                if use.key.table in by_table
            }
            # Only as many are kept as are told, so that a large cache costs this process nothing.
            heats = dict(heapq.nlargest(limit, (heats | known).items(), key=lambda item: item[1]))
            seen += len(uses)
            await pace.keep(seen)
    finally:
        await entries.close()
    records = [
        HotRecord(resource, name, heat.reads_per_minute(value), None)
        if heat.counts
        else HotRecord(resource, name, None, -value)
        for (resource, name), value in heats.items()
    ]
    return heat, seen, records
