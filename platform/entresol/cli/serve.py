"""`entresol serve`: answer calls until told to stop, then drain."""

from __future__ import annotations

import asyncio
import signal

import click

from entresol.app import Platform
from entresol.cli.counts import counted
from entresol.cli.run import SERVER, hearing, living, run, settle_memory
from entresol.cli.workers import Workers
from entresol.config import Settings
from entresol.listing import described


@click.command("serve")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--functions", help="Modules, files or folders with custom methods, separated by commas.")
@click.option("--listen", help="host:port to listen on; port 0 takes a free one.")
@click.option("--transport", help="What speaks gRPC: http2 (the default), or grpcio.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes that share the port.")
@click.option(
    "--help-settings", is_flag=True, help="List every setting with its meaning, unit and default, and exit."
)
def command(
    protos: str | None,
    functions: str | None,
    listen: str | None,
    transport: str | None,
    workers: int,
    help_settings: bool,
) -> None:
    """Serve every method of the protos over gRPC.

    Refuses to start when the protos have mistakes, a declared method has no meaning, or the database lacks
    something; each says what to do. SIGTERM drains: health says NOT_SERVING, running calls finish. With --workers,
    SIGHUP renews the processes one after the other.
    """
    if help_settings:
        click.echo(described())
        return
    settings = Settings.load(protos=protos, functions=functions, listen=listen, transport=transport)
    run(serve(settings) if workers == 1 else serve_by_workers(settings, workers))


async def serve(settings: Settings) -> None:
    """Serve until a signal."""
    async with living(settings, SERVER) as life, await Platform.open(settings, life=life) as platform:
        # The supervisor of several workers waits in their stead, and tells them by this what they are to say meanwhile.
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, life.drain)
        with hearing() as told:
            await _listen(platform, settings)
            await told
        click.echo("draining")
        await platform.drain()


async def _listen(platform: Platform, settings: Settings) -> None:
    """Begin to answer on every port, and say so."""
    web = await platform.serve_web()
    server = await platform.serve()
    host = settings.listen.rpartition(":")[0]
    click.echo(f"serving {counted(len(platform.model.services), 'service')} on {host}:{server.port}")
    if web:
        click.echo(f"serving the web on {settings.web_listen.rpartition(':')[0]}:{web.port}")
    cache = "cache" if settings.cache_url else "no cache (ENTRESOL_CACHE_URL is not set)"
    click.echo(f"reading from {cache}, {counted(len(settings.database_read), 'replica')} and the primary")
    settle_memory()


async def serve_by_workers(settings: Settings, count: int) -> None:
    """Serve by several processes until a signal."""
    arguments = [
        "--protos",
        settings.protos,
        "--functions",
        settings.functions,
        "--transport",
        settings.transport,
    ]
    await Workers(arguments, settings, count).run()
