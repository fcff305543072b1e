"""`entresol topology`: write the balancer's configuration from the protos, and have HAProxy check it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import click

from entresol.app import load_model
from entresol.config import Settings
from entresol.embedded.haproxy import find_haproxy
from entresol.errors import ConfigurationError
from entresol.topology import (
    DatabaseCheck,
    Databases,
    Endpoint,
    Listen,
    Platforms,
    Topology,
    configuration,
    endpoints,
)

_CHECK_S = 30.0
_LISTEN = Listen()
_DATABASES = Databases((), DatabaseCheck.SQL)
_PLATFORMS = Platforms(())


@click.command("topology")
@click.option("--protos", help="Folder of .proto files, or a descriptor set.")
@click.option("--platforms", metavar="SERVERS", help="Servers of the platform: host:port, with commas.")
@click.option(
    "--platform-service", metavar="HOST:PORT", help="Or a name that leads to all of them (headless)."
)
@click.option(
    "--platforms-max",
    default=_PLATFORMS.slots_max,
    show_default=True,
    type=click.IntRange(1),
    help="Of those.",
)
@click.option(
    "--platform-admin-port",
    type=click.IntRange(1, 65535),
    help="Ask there, at /readyz, how a server is; without it gRPC's health check is used.",
)
@click.option("--databases", metavar="SERVERS", help="Servers of PostgreSQL: host:port, with commas.")
@click.option(
    "--database-check",
    type=click.Choice([check.value for check in DatabaseCheck]),
    default=_DATABASES.check.value,
    show_default=True,
    help="Who says which one is the primary. service: the servers are two names, the primary's and the replicas'.",
)
@click.option("--database-check-port", default=_DATABASES.check_port, show_default=True, help="Of Patroni.")
@click.option(
    "--replica-lag-s", default=_DATABASES.lag_s_max, show_default=True, help="Most of a replica, by sql."
)
@click.option(
    "--replica-lag-size", default=_DATABASES.lag_size_max, show_default=True, help="Most of one, by patroni."
)
@click.option("--check-role", default=_DATABASES.role, show_default=True, help="Role that sql logs in with.")
@click.option("--listen", default=_LISTEN.platform, show_default=True, help="Where the platform answers.")
@click.option("--listen-reads", default=_LISTEN.reads, show_default=True, help="Where replicas do.")
@click.option("--listen-writes", default=_LISTEN.writes, show_default=True, help="Where the primary does.")
@click.option(
    "--listen-admin", default=_LISTEN.admin, show_default=True, help="/stats, /metrics and /healthz."
)
@click.option("--socket", default="", metavar="FILE", help="Where HAProxy is operated by hand.")
@click.option("--check-only", is_flag=True, help="Write nothing: fail where HAProxy would not start with it.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write there, once it is good."
)
def command(
    protos: str | None,
    platforms: str | None,
    platform_service: str | None,
    platforms_max: int,
    platform_admin_port: int | None,
    databases: str | None,
    database_check: str,
    database_check_port: int,
    replica_lag_s: float,
    replica_lag_size: str,
    check_role: str,
    listen: str,
    listen_reads: str,
    listen_writes: str,
    listen_admin: str,
    socket: str,
    check_only: bool,
    output: Path | None,
) -> None:
    """Write a configuration for HAProxy: several servers of everything, behind a port of this machine for each use.

    A server that is asked how it is on another port than the others is written host:port/that-port. Which calls may be
    sent again to another server comes from the protos. HAProxy checks what is written, where there is one.
    """
    settings = Settings.load(protos=protos)
    if bool(platforms) and bool(platform_service):
        raise ConfigurationError("give --platforms or --platform-service, not both")
    servers = (Endpoint.parse(platform_service),) if platform_service else endpoints(platforms or "")
    topology = Topology(
        platforms=Platforms(servers, bool(platform_service), platforms_max, platform_admin_port or 0),
        databases=Databases(
            endpoints(databases),
            DatabaseCheck(database_check),
            database_check_port,
            replica_lag_s,
            replica_lag_size,
            check_role,
        )
        if databases
        else None,
        listen=Listen(
            *(str(Endpoint.parse(address)) for address in (listen, listen_reads, listen_writes, listen_admin))
        ),
        call_s_max=settings.deadline_max_s,
        socket=socket,
    )
    if not servers and not databases:
        raise ConfigurationError("there is nothing to balance: give --platforms, --databases, or both")
    text = configuration(topology, load_model(settings))
    is_checked = check(text, settings, needed=check_only)
    if check_only:
        click.echo("HAProxy would start with it")
    elif output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
        click.echo(f"wrote {output}{'' if is_checked else ', unchecked'}")


def check(text: str, settings: Settings, *, needed: bool = False) -> bool:
    """Have HAProxy read the configuration; return whether there was one to do it.

    Raises:
        ConfigurationError: it refuses, and says why; or there is none, and it is `needed`.
    """
    program = find_haproxy(settings.haproxy_bin)
    if program is None:
        missing = "no haproxy was found on PATH: install it, or set ENTRESOL_HAPROXY_BIN to its program"
        if needed:
            raise ConfigurationError(missing)
        click.echo(f"not checked: {missing}", err=True)
        return False
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        done = subprocess.run(  # noqa: S603 (a program that was installed, or named in a setting)
            [program, "-c", "-f", file.name],
            capture_output=True,
            text=True,
            timeout=_CHECK_S,
            check=False,
        )
    if done.returncode:
        raise ConfigurationError(f"HAProxy refuses the configuration:\n{done.stderr.strip()}")
    return True


def _write(path: Path, text: str) -> None:
    """Put the file in its place at once: who reloads meanwhile must not read half of it."""
    made = path.with_name(f".{path.name}.new")
    made.write_text(text)
    os.replace(made, path)
