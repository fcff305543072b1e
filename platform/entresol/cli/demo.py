"""`entresol demo`: start everything, load a news site, tour it, and serve on."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from entresol.cli import sample, tour_jobs
from entresol.cli.importer import load_file
from entresol.cli.run import run, until_told
from entresol.cli.stack import Stack, serving, stores
from entresol.cli.tour import Step, Tour
from entresol.cli.up import ADMIN, WEB, addresses
from entresol.config import Settings
from entresol.console.access import console_at_home
from entresol.transport.caller import Caller

WIDTH = 120
MAPPING = (
    "name=stories/{id}",
    "title=title",
    "url=url",
    "score=num_points",
    "comment_count=num_comments",
    "author=users/{author}",
    "post_time=created_at",
)


@click.command("demo")
@click.option(
    "--data", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A CSV of posts to load."
)
@click.option("--count", default=20_000, show_default=True, help="Made-up stories to load without --data.")
@click.option("--once", is_flag=True, help="End after the tour.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(data: Path | None, count: int, once: bool, as_json: bool) -> None:
    """Start PostgreSQL with two replicas, Redis, relay, server, worker; load stories; show what answers what; serve on.

    Everything is temporary, and ends with this command. DATA has the columns id, title, url, num_points, num_comments,
    author and created_at.
    """
    free = "127.0.0.1:0"
    settings = Settings.load(
        defaults={"web_listen": WEB, "admin_listen": ADMIN},
        listen=free if once else None,
        web_listen=free if once else None,
        admin_listen=free if once else None,
    )
    run(_demo(console_at_home(settings), data, count, once, as_json))


async def _demo(settings: Settings, data: Path | None, count: int, once: bool, as_json: bool) -> None:
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = WIDTH  # of a log
    started = time.perf_counter()
    async with stores(settings, None) as running, serving(running) as stack:
        up_s = round(time.perf_counter() - started, 1)
        console.print(f"PostgreSQL (a primary, two replicas), Redis, relay and server: up in {up_s} s")
        async with _posts(data, count) as file:
            loaded = await _load(stack, file, quiet=as_json)
        console.print(
            f"{loaded['loaded']:,} stories loaded at {loaded['rows_per_second']:,} rows a second, "
            f"with the {loaded['created']:,} authors that they name"
        )
        steps = await _walk(stack, console)
        if as_json:
            facts = [step.facts() for step in steps]
            click.echo(json.dumps({"up_s": up_s, "import": loaded, "steps": facts, **addresses(stack)}))
        if not once:
            where = f"serving on {stack.address}, and for the web on http://{stack.web_address}/"
            text = f"{where}{_console(stack)}; Ctrl-C ends it"
            await until_told(partial(console.print, text))


def _console(stack: Stack) -> str:
    is_there = stack.settings.console != "off"
    return f"; the console is at http://{stack.admin_address}/console/" if is_there else ""


@asynccontextmanager
async def _posts(data: Path | None, count: int) -> AsyncIterator[Path]:
    """Give the file to load: the user's, or a made-up one for as long as it is needed."""
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posts.csv"
        await asyncio.to_thread(sample.write, path, count)
        yield path


async def _load(stack: Stack, file: Path, *, quiet: bool) -> dict[str, Any]:
    settings = dataclasses.replace(stack.settings, database_read=())
    return await load_file(
        settings,
        stack.platform.model,
        file,
        "stories.v1.Story",
        MAPPING,
        ("stories.v1.User",),
        quiet=quiet,
    )


async def _walk(stack: Stack, console: Console) -> list[Step]:
    table = Table("step", "answered by", "ms", "", box=None, padding=(0, 2, 0, 0))
    table.columns[2].justify = "right"
    with Caller(stack.address) as caller:
        tour = Tour(
            stack,
            caller,
            lambda step: table.add_row(step.step, step.answered_by, f"{step.ms:.1f}", step.detail),
            console.print,
        )
        try:
            await tour.walk()
            await tour_jobs.walk(tour)
            return tour.steps
        finally:
            console.print(table)
