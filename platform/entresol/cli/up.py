"""`entresol up`: the whole platform on this machine, until Ctrl-C."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path

import click

from entresol.cli.balanced import balanced, give_calls, ports
from entresol.cli.run import run, until_told
from entresol.cli.stack import Stack, Stores, serving, stores
from entresol.config import STORES, Settings
from entresol.console.access import console_at_home
from entresol.embedded import CacheKind, find_patroni
from entresol.errors import ConfigurationError
from entresol.schema.model import MethodKind
from entresol.storage.plan import command as plan_command
from entresol.topology import Listen

WEB = "127.0.0.1:9080"
ADMIN = "127.0.0.1:9464"


@click.command("up")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--functions", help="Modules, files or folders with custom methods, separated by commas.")
@click.option("--migrations", help="Folder with one folder of migrations for each set of tables.")
@click.option("--listen", help="host:port to listen on; port 0 takes a free one.")
@click.option(
    "--web", help=f"host:port for Connect, gRPC-Web and REST; {WEB} where ENTRESOL_WEB_LISTEN says nothing."
)
@click.option(
    "--folder",
    metavar="FOLDER",
    default=STORES.parent,
    show_default=True,
    type=click.Path(path_type=Path),
    help="Data.",
)
@click.option(
    "--replicas", default=2, show_default=True, type=click.IntRange(0, 8), help="PostgreSQL replicas."
)
@click.option(
    "--topology",
    is_flag=True,
    help="Put HAProxy before two servers, and before the replicas and the primary at the next two ports; the stores "
    "are those of --patroni, where it is installed, and of --cache sentinel.",
)
@click.option(
    "--patroni/--no-patroni",
    default=None,
    help="With --topology: three PostgreSQL nodes that Patroni and etcd keep, with data of their own, or the primary "
    "and replicas of other times.",
)
@click.option(
    "--cache",
    type=click.Choice([kind.value for kind in CacheKind if kind is not CacheKind.NONE]),
    help="One Redis server; a primary and its replica under Sentinels; or a Redis Cluster of three and three.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when everything is up.")
def command(
    protos: str | None,
    functions: str | None,
    migrations: str | None,
    listen: str | None,
    web: str | None,
    folder: Path,
    replicas: int,
    topology: bool,
    patroni: bool | None,
    cache: str | None,
    as_json: bool,
) -> None:
    """Start PostgreSQL (a primary and replicas), Redis, relay, server and a worker of all queues, until told to stop.

    Uses installed binaries, needs no root, and keeps its data in FOLDER for the next time. While it runs, the other
    commands find its stores by themselves where they are started, if nothing else is set.
    """
    settings = Settings.load(
        defaults={"web_listen": WEB, "admin_listen": ADMIN},
        protos=protos,
        functions=functions,
        migrations=migrations,
        listen=listen,
        web_listen=web,
    )
    if patroni and not topology:
        raise click.UsageError("--patroni needs --topology: a balancer that finds out which node leads")
    programs = find_patroni() if topology and patroni is not False else None
    if patroni and programs is None:
        raise ConfigurationError(
            "there are no patroni and etcd on PATH: install both, or leave --patroni out"
        )
    kind = CacheKind(cache) if cache else CacheKind.SENTINEL if topology else CacheKind.SERVER
    started = stores(console_at_home(settings), folder, replicas=replicas, cache=kind, patroni=programs)
    run(_up(started, folder, topology, as_json))


async def _up(
    started: AbstractAsyncContextManager[Stores], folder: Path, topology: bool, as_json: bool
) -> None:
    async with started as running:
        settings = running.settings
        _leave_word(running, folder / STORES.name)
        if running.lacks:
            await until_told(partial(click.echo, _how_to_migrate(running), err=as_json))
            return
        async with balanced(running) if topology else nullcontext(running) as told, serving(told) as stack:
            listen = ports(settings.listen) if topology else None
            if listen:
                await give_calls(listen)
            text = json.dumps(addresses(stack, listen)) if as_json else _text(stack, listen)
            await until_told(partial(click.echo, text))


def _leave_word(running: Stores, path: Path) -> None:
    """Let the other commands find the stores, by a link to a file that goes when they go: a kill leaves no lie."""
    settings = running.settings
    stores = {
        "database_write": settings.database_write,
        "database_read": settings.database_read,
        "cache_url": settings.cache_url,
        "cache_partitions": settings.cache_partitions,
    }
    file = running.servers.temporary / path.name
    file.touch(mode=0o600)
    # Text, lists of text and numbers are written in TOML as in JSON.
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in stores.items()))
    path.unlink(missing_ok=True)
    path.symlink_to(file)


def _how_to_migrate(running: Stores) -> str:
    """Tell how to give the database what the protos need; the stores stay up for that."""
    settings, lacks = running.settings, running.lacks
    commands = []
    if lacks.missing:
        commands.append(f"  {plan_command(running.model, settings.migrations)}     # read what it writes")
    if lacks.refused:
        commands.append("  entresol plan     # tells the steps to what it writes no migration for: take them")
    return "\n".join(
        [
            f"the stores are up, and nothing is served yet: {lacks}",
            "in another terminal, in this folder:",
            *commands,
            "  entresol migrate",
            "then start this command again",
            *_from_elsewhere(settings),
        ]
    )


def _from_elsewhere(settings: Settings) -> list[str]:
    """Return what commands need that do not find the stores by themselves; it changes with every start."""
    return [
        f"in another folder, or beside a --folder that is not {STORES.parent}, they need",
        f'  export ENTRESOL_DATABASE_WRITE="{settings.database_write}"',
        f'  export ENTRESOL_DATABASE_READ="{" ".join(settings.database_read)}"',
        f'  export ENTRESOL_CACHE_URL="{settings.cache_url}"',
        f"  export ENTRESOL_CACHE_PARTITIONS={settings.cache_partitions}",
    ]


def addresses(stack: Stack, balancer: Listen | None = None) -> dict[str, object]:
    """Return where everything answers, the platform and the databases through the balancer, where there is one."""
    through = (
        {"reads": balancer.reads, "writes": balancer.writes, "balancer": balancer.admin} if balancer else {}
    )
    return {
        "platform": balancer.platform if balancer else stack.address,
        **through,
        "web": f"http://{stack.web_address}/" if stack.web_address else "",
        "admin": f"http://{stack.admin_address}/" if stack.admin_address else "",
        "primary": stack.servers.write_url,
        "replicas": list(stack.servers.read_urls),
        "cache": stack.servers.cache_url,
        "services": sorted(stack.platform.model.services),
    }


def _text(stack: Stack, balancer: Listen | None) -> str:
    told = addresses(stack, balancer)
    lines = [f"{name:>9}  {value}" for name, value in told.items() if isinstance(value, str)]
    lines += [f"{'replica':>9}  {url}" for url in stack.servers.read_urls]
    lines += ["purge, warm, verify and the like find the stores when they are started in this folder;"]
    lines += _from_elsewhere(stack.settings)
    methods = stack.platform.model.methods.values()
    lists = [
        method.path.strip("/")
        for method in methods
        if method.kind is MethodKind.LIST and "parent" not in method.input.fields_by_name
    ]
    if stack.web_address:
        lines.append("try: the page at the web's address")
    if stack.settings.console != "off":
        lines.append(f"try: the console at http://{stack.admin_address}/console/")
    return "\n".join(
        [*lines, *(f"try: entresol call {path} --address {told['platform']}" for path in lists[:1])]
    )
