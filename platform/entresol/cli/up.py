"""`entresol up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import json
from pathlib import Path

import click

from entresol.cli.run import run, until_told
from entresol.cli.stack import Stack, Stores, serving, stores
from entresol.config import Settings
from entresol.schema.model import MethodKind

WEB = "127.0.0.1:9080"


@click.command("up")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--functions", help="Modules, files or folders with custom methods, separated by commas.")
@click.option("--migrations", help="Folder with one folder of migrations for each set of tables.")
@click.option("--listen", help="host:port to listen on; port 0 takes a free one.")
@click.option("--web", default=WEB, show_default=True, help="host:port for Connect, gRPC-Web and REST.")
@click.option(
    "--folder",
    metavar="FOLDER",
    default=".entresol",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Data.",
)
@click.option(
    "--replicas", default=2, show_default=True, type=click.IntRange(0, 8), help="PostgreSQL replicas."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when everything is up.")
def command(
    protos: str | None,
    functions: str | None,
    migrations: str | None,
    listen: str | None,
    web: str,
    folder: Path,
    replicas: int,
    as_json: bool,
) -> None:
    """Start PostgreSQL (a primary and replicas), Redis, the relay and the server, and serve until told to stop.

    Uses installed binaries, needs no root, and keeps its data in FOLDER for the next time.
    """
    settings = Settings.load(
        protos=protos, functions=functions, migrations=migrations, listen=listen, web_listen=web
    )
    run(_up(settings, folder, replicas, as_json))


async def _up(settings: Settings, folder: Path, replicas: int, as_json: bool) -> None:
    async with stores(settings, folder, replicas=replicas) as running:
        if running.lacks:
            click.echo(_how_to_migrate(running), err=as_json)
            await until_told()
            return
        async with serving(running) as stack:
            click.echo(json.dumps(addresses(stack)) if as_json else _text(stack))
            await until_told()


def _how_to_migrate(running: Stores) -> str:
    """Tell how to give the database what the protos need; the stores stay up for that."""
    settings = running.settings
    return "\n".join(
        [
            f"the stores are up, and nothing is served yet: {'; '.join(running.lacks)}",
            "in another terminal, in this folder:",
            *_exports(settings),
            f"  entresol plan --write {settings.migrations}/NAME     # read what it writes",
            "  entresol migrate",
            "then start this command again",
        ]
    )


def _exports(settings: Settings) -> list[str]:
    """Return what other commands need to find the stores, which are elsewhere after every start."""
    return [
        f'  export ENTRESOL_DATABASE_WRITE="{settings.database_write}"',
        f'  export ENTRESOL_DATABASE_READ="{" ".join(settings.database_read)}"',
        f'  export ENTRESOL_CACHE_URL="{settings.cache_url}"',
    ]


def addresses(stack: Stack) -> dict[str, object]:
    """Return where everything answers."""
    return {
        "platform": stack.address,
        "web": f"http://{stack.web_address}/",
        "primary": stack.servers.write_url,
        "replicas": list(stack.servers.read_urls),
        "cache": stack.servers.cache_url,
        "services": sorted(stack.platform.model.services),
    }


def _text(stack: Stack) -> str:
    lines = [f"{name:>9}  {value}" for name, value in addresses(stack).items() if isinstance(value, str)]
    lines += [f"{'replica':>9}  {url}" for url in stack.servers.read_urls]
    lines += ["for purge, warm, verify and the like, in another terminal:", *_exports(stack.settings)]
    methods = stack.platform.model.methods.values()
    lists = [
        method.path.strip("/")
        for method in methods
        if method.kind is MethodKind.LIST and "parent" not in method.input.fields_by_name
    ]
    lines.append("try: the page at the web's address")
    return "\n".join(
        [*lines, *(f"try: entresol call {path} --address {stack.address}" for path in lists[:1])]
    )
