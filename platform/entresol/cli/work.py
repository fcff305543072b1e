"""`entresol work`: run jobs of some queues until told to stop, then hand back what is not over."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import click

from entresol.app import open_worker
from entresol.cli.run import living, run, settle_memory, until_told
from entresol.config import Settings
from entresol.transport.health import open_health


@click.command("work")
@click.option(
    "--queue", "queues", multiple=True, default=("default",), help="A queue to serve; repeat it for more."
)
@click.option("--concurrency", type=click.IntRange(1), help="Jobs at once, at most.")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--functions", help="Modules, files or folders with functions, separated by commas.")
@click.option(
    "--health", default="", help="host:port of gRPC's health, for who restarts what does not answer."
)
def command(
    queues: tuple[str, ...], concurrency: int | None, protos: str | None, functions: str | None, health: str
) -> None:
    """Run the jobs of some queues.

    As many workers as one likes share a queue, on as many machines. Jobs of one that dies are begun again by others
    within ENTRESOL_JOBS_LEASE_S. SIGTERM: claims no more, lets jobs end for ENTRESOL_DRAIN_S, hands back the others.
    """
    settings = Settings.load(protos=protos, functions=functions, jobs_concurrency=concurrency)
    run(_work(settings, queues, health))


async def _work(settings: Settings, queues: tuple[str, ...], health: str) -> None:
    async with AsyncExitStack() as stack:
        life = await stack.enter_async_context(living(settings, "worker"))
        worker = await stack.enter_async_context(open_worker(settings, queues, life=life))
        if health:
            server = await stack.enter_async_context(open_health(settings, health))
            click.echo(f"telling of health on {health.rpartition(':')[0]}:{server.port}")
        working = asyncio.create_task(worker.run(), name="entresol worker")
        told = asyncio.create_task(until_told(life.ready), name="signal")
        settle_memory()
        click.echo(f"working on {', '.join(queues)}")
        await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
        life.drain()
        told.cancel()
        worker.stop()
        await working
