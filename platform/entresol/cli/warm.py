"""`entresol warm`: note what the cache holds, and bring it back into one that is empty."""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import click

from entresol.app import load_model
from entresol.cache.census import census
from entresol.cache.entries import Entries
from entresol.cache.session import EMPTY
from entresol.cli.pace import Pace
from entresol.cli.progress import ProgressBar
from entresol.cli.run import run
from entresol.config import Settings
from entresol.errors import ConfigurationError, UnavailableError
from entresol.records import CACHE, Demand, Records
from entresol.schema.model import Consistency, Model, Resource
from entresol.stores import open_records

NAMES_MAX = 50  # read at once by each of the concurrent readers
SAVE_RATE = 20_000
WARM_RATE = 500
_DEMAND = Demand(EMPTY, Consistency.BOUNDED)

EXAMPLE = """\b
Examples:
  entresol warm --save hot.txt --limit 50000
  entresol warm hot.txt --rate 500
"""


@click.command("warm", epilog=EXAMPLE)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--save", is_flag=True, help="Write FILE: what the cache holds now, most used first.")
@click.option(
    "--limit", default=100_000, show_default=True, type=click.IntRange(min=1), help="Names to save."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    help=f"Records a second: to load at most ({WARM_RATE}), or to look at for --save ({SAVE_RATE}).",
)
@click.option(
    "--concurrency", default=8, show_default=True, type=click.IntRange(1, 64), help="Reads at once."
)
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def command(
    file: Path,
    save: bool,
    limit: int,
    rate: float | None,
    concurrency: int,
    protos: str | None,
    as_json: bool,
) -> None:
    """Read the records that FILE names through the cache, which then holds them.

    FILE has a line for each record, its resource and its name, as --save writes it. What is cached already is passed
    over, so that the same command goes on after an interruption. Misses are read from the replicas.
    """
    settings = Settings.load(protos=protos)
    if not settings.cache_url:
        raise ConfigurationError("there is no cache: set ENTRESOL_CACHE_URL")
    model = load_model(settings)
    if save:
        facts = run(_save(settings, model, file, limit, rate or SAVE_RATE))
        says = f"{facts['saved']} of {facts['cached']} saved in {facts['seconds']} s"
    else:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        with ProgressBar(f"warming from {file.name}", len(lines), quiet=as_json) as advance:
            facts = run(_warm(settings, model, lines, rate or WARM_RATE, concurrency, advance))
        says = (
            f"{facts['loaded']} loaded, {facts['present']} were cached, {facts['unknown']} unknown"
            f" in {facts['seconds']} s"
        )
    click.echo(json.dumps(facts) if as_json else says)


async def _save(settings: Settings, model: Model, file: Path, limit: int, rate: float) -> dict[str, Any]:
    by_table = {table.removeprefix("public."): resource for table, resource in model.by_table.items()}
    heats: dict[str, int] = {}
    entries, pace, started_s = Entries.open(settings), Pace(rate), time.perf_counter()
    try:
        seen = 0
        async for uses in census(entries.connection, entries.layout):
            for use in uses:
                if (resource := by_table.get(use.key.table)) is not None:
                    heats[f"{resource.message} {use.key.name}"] = use.heat
            seen += len(uses)
            await pace.keep(seen)
    finally:
        await entries.close()
    lines = heapq.nlargest(limit, heats, key=heats.__getitem__)
    part = file.with_name(file.name + ".part")
    part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    part.replace(file)
    seconds = round(time.perf_counter() - started_s, 2)
    return {"saved": len(lines), "cached": len(heats), "file": str(file), "seconds": seconds}


async def _warm(
    settings: Settings,
    model: Model,
    lines: Sequence[str],
    rate: float,
    concurrency: int,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    started_s = time.perf_counter()
    chunks = _chunks(lines, model, max(1, min(NAMES_MAX, int(rate / concurrency))))
    async with open_records(settings, model) as records:
        warming = _Warming(records, Pace(rate), advance)
        readers = [asyncio.create_task(warming.read(chunks)) for _ in range(concurrency)]
        try:
            await asyncio.gather(*readers)
        finally:
            for reader in readers:
                reader.cancel()
    return {
        "loaded": warming.loaded,
        "present": warming.present,
        "unknown": warming.unknown,
        "seconds": round(time.perf_counter() - started_s, 2),
    }


_Chunk = tuple[Resource | None, list[str]]


def _chunks(lines: Iterable[str], model: Model, size: int) -> Iterator[_Chunk]:
    """Yield names of one resource, in the order of the file; None instead of a resource that is not one any more."""
    pairs = (line.partition(" ")[::2] for line in lines)
    for message, group in groupby(pairs, key=lambda pair: pair[0]):
        names = (name for _, name in group)
        while chunk := list(islice(names, size)):
            yield model.by_message.get(message), chunk


@dataclass(slots=True)
class _Warming:
    """What several readers have done together."""

    records: Records
    pace: Pace
    advance: Callable[[int], None]
    loaded: int = 0
    present: int = 0
    unknown: int = 0

    async def read(self, chunks: Iterator[_Chunk]) -> None:
        """Take chunks and read them, until there are no more."""
        for resource, names in chunks:
            if resource is None or not resource.cache.enabled:
                self.unknown += len(names)
            else:
                await self._read(resource, names)
            self.advance(self.loaded + self.present + self.unknown)
            await self.pace.keep(self.loaded + self.unknown)

    async def _read(self, resource: Resource, names: list[str]) -> None:
        for found in await self.records.get(resource, names, _DEMAND):
            if found.message is None:
                self.unknown += 1
            elif found.answered_by == CACHE:
                self.present += 1
            else:
                self.loaded += 1
        entries = self.records.entries
        assert entries is not None, "there is a cache in the settings"
        if not (await entries.begin(resource, names[:1], lease=False)).spots:
            raise UnavailableError("the cache takes no entries: it is away, or no `entresol relay` runs")
