"""`entresol relay`: carry committed changes from PostgreSQL's log to the cache, or stand by for the one that does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import click

from entresol.app import open_relay, start_telemetry
from entresol.cli.run import run, settle_memory, until_told
from entresol.config import Settings


@click.command("relay")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
def command(protos: str | None) -> None:
    """Relay changes to the cache until told to stop.

    One relay works for each database, the one that holds the replication slot; others stand by and take over when it
    ends. While none works, writes still reach the cache, but what others write does not: hits age up to their time to
    live, and beyond `max_staleness` are marked or refused.
    """
    run(_relay(Settings.load(protos=protos)))


async def _relay(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        start_telemetry(settings, stack, "entresol-relay")
        relay = await stack.enter_async_context(open_relay(settings))
        working = asyncio.create_task(relay.run(), name="entresol relay")
        told = asyncio.create_task(until_told(), name="signal")
        settle_memory()
        click.echo("relaying")
        await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if working.done():
            working.result()
        working.cancel()
        await asyncio.wait((working,))
