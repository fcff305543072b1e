"""`entresol import`: load a CSV or NDJSON file into any resource."""

from __future__ import annotations

import json
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import click

from entresol.app import load_model
from entresol.cli.imports.job import ImportJob
from entresol.cli.imports.mapping import parse_mapping, refuse_lacking
from entresol.cli.imports.rejects import Rejects
from entresol.cli.imports.source import Source
from entresol.cli.progress import ProgressBar
from entresol.cli.resources import resource_of
from entresol.cli.run import run
from entresol.config import Settings
from entresol.schema.model import Model
from entresol.storage.pools import Pools
from entresol.storage.store import Store

EXAMPLE = """\b
Example:
  entresol import posts.csv --resource stories.v1.Story --create stories.v1.User \\
    --map name=stories/{id} --map title=title --map author=users/{author} --map score=num_points
"""


@click.command("import", epilog=EXAMPLE)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--resource", "message", required=True, help="Full name of the resource's message: stories.v1.Story."
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    help="FIELD=COLUMN, or FIELD='text {column}'. Fields without: equal names.",
)
@click.option(
    "--create", "create", multiple=True, help="Create missing records of this message that the rows refer to."
)
@click.option(
    "--batch-size", default=500, show_default=True, type=click.IntRange(1, 5000), help="Rows a transaction."
)
@click.option(
    "--rejects", type=click.Path(path_type=Path), help="Where bad rows go. Default: FILE.rejects.csv here."
)
@click.option("--again", is_flag=True, help="Begin at the first row, however far an earlier run came.")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def command(
    file: Path,
    message: str,
    pairs: tuple[str, ...],
    create: tuple[str, ...],
    batch_size: int,
    rejects: Path | None,
    again: bool,
    protos: str | None,
    as_json: bool,
) -> None:
    """Load FILE (CSV with a header, or NDJSON) into a resource.

    Rows go in batches, each one transaction that also records the line it reached: an import that was stopped goes
    on where it was when the same command is given again. Rows that break a rule go to the rejects file by line
    and field, and the rest is loaded.

    Times are RFC 3339 or seconds since 1970, bytes base64, enums their names; a list is JSON or has semicolons
    between its elements, a message or map is JSON. An empty cell is no value.
    """
    settings = Settings.load(protos=protos)
    work = load_file(
        settings,
        load_model(settings),
        file,
        message,
        pairs,
        create,
        batch_size,
        rejects,
        again=again,
        quiet=as_json,
    )
    facts = run(work)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        resumed = f", went on after line {facts['begun']}" if facts["begun"] else ""
        click.echo(
            f"{facts['loaded']} loaded, {facts['created']} referred to created, {facts['rejected']} rejected"
            f" in {facts['seconds']} s ({facts['rows_per_second']} rows/s){resumed}"
        )
        if facts["rejected"]:
            click.echo(f"rejects: {facts['rejects']}")
    if facts["rejected"] and not (facts["loaded"] or facts["begun"] or again):
        raise SystemExit(1)


async def load_file(
    settings: Settings,
    model: Model,
    file: Path,
    message: str,
    pairs: tuple[str, ...],
    create: tuple[str, ...],
    batch_size: int = 500,
    rejects: Path | None = None,
    *,
    again: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Load `file` and return the figures, `rows_per_second` among them."""
    resource = resource_of(model, message)
    source = Source(file)
    last_line = source.check()
    sources = parse_mapping(pairs, resource, source)
    refuse_lacking(resource, sources)
    async with AsyncExitStack() as stack:
        pools = await Pools.open(settings)
        stack.push_async_callback(pools.close)
        job = ImportJob(
            store=Store(pools, model),
            model=model,
            resource=resource,
            source=source,
            sources=sources,
            rejects=Rejects(rejects or Path(f"{file.name}.rejects.csv")),
            references=[resource_of(model, name) for name in create],
            batch_size=batch_size,
        )
        started = time.perf_counter()
        with ProgressBar(f"importing {file.name}", last_line, quiet=quiet) as advance:
            begun = await job.run(advance, again=again)
        seconds = time.perf_counter() - started
    return {
        "loaded": job.loaded,
        "created": job.created,
        "rejected": job.rejects.count,
        "rejects": str(job.rejects.path),
        "begun": begun,
        "seconds": round(seconds, 2),
        "rows_per_second": round(job.loaded / seconds),
    }
