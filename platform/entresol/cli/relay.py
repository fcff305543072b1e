"""`entresol relay`: carry committed changes from PostgreSQL's log to the cache, or stand by for the one that does."""

from __future__ import annotations

import click

from entresol.app import open_relay
from entresol.cli.run import living, run, until_over
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
    async with living(settings, "relay") as life, open_relay(settings, life=life) as relay:
        await until_over(relay.run(), life, "relaying")
