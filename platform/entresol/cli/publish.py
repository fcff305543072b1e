"""`entresol publish`: tell RabbitMQ of every change of the resources that ask for it, or stand by for who does."""

from __future__ import annotations

import click

from entresol.app import load_model
from entresol.cli.run import living, run, until_over
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
    async with (
        living(settings, "publisher") as life,
        open_publisher(settings, load_model(settings)) as publisher,
    ):
        await until_over(publisher.run(), life, "publishing")
