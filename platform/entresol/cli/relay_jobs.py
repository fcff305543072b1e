"""`entresol relay-jobs`: tell RabbitMQ of the jobs that are ready, for workers that take them from there."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import click

from entresol.app import start_telemetry
from entresol.cli.run import run, settle_memory, until_told
from entresol.config import Settings
from entresol.jobs.relay import open_job_relay


@click.command("relay-jobs")
@click.option(
    "--queue", "queues", multiple=True, default=("default",), help="A queue to relay; repeat it for more."
)
def command(queues: tuple[str, ...]) -> None:
    """Relay the jobs of some queues to RabbitMQ until told to stop.

    Run two for each queue: they share the work, and either goes on alone. Workers with ENTRESOL_JOBS_RELAYED=true take
    jobs from there; others may serve the same queues from the database at the same time.
    """
    run(_relay(Settings.load(), queues))


async def _relay(settings: Settings, queues: tuple[str, ...]) -> None:
    async with AsyncExitStack() as stack:
        start_telemetry(settings, stack, "entresol-job-relay")
        relay = await stack.enter_async_context(open_job_relay(settings, queues))
        working = asyncio.create_task(relay.run(), name="entresol job relay")
        told = asyncio.create_task(until_told(), name="signal")
        settle_memory()
        click.echo(f"relaying jobs of {', '.join(queues)}")
        await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()
        if working.done():
            working.result()
        working.cancel()
        await asyncio.wait((working,))
