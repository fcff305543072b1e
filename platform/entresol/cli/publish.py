"""`entresol publish`: tell RabbitMQ of every change of the resources that ask for it, or stand by for who does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import click

from entresol.app import load_model, start_telemetry
from entresol.cli.run import run, settle_memory, until_told
from entresol.config import Settings
from entresol.events.publisher import open_publisher


@click.command("publish")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
def command(protos: str | None) -> None:
    """Publish changes as CloudEvents until told to stop.

    One publisher works for each database, the one that holds the replication slot; others stand by and take over when
    it ends. While none works the server keeps its log, up to max_slot_wal_keep_size: beyond, changes are missed, and
    listeners are told to read everything again.
    """
    run(_publish(Settings.load(protos=protos)))


async def _publish(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        start_telemetry(settings, stack, "entresol-publisher")
        publisher = await stack.enter_async_context(open_publisher(settings, load_model(settings)))
        working = asyncio.create_task(publisher.run(), name="entresol publisher")
        told = asyncio.create_task(until_told(), name="signal")
        settle_memory()
        click.echo("publishing")
        await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if working.done():
            working.result()
        working.cancel()
        await asyncio.wait((working,))
