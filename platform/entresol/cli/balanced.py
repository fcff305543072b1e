"""The stack of this machine behind a balancer: two servers on one port, replicas on the next, then the primary."""

from __future__ import annotations

import asyncio
import csv
import dataclasses
import io
import json
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.request import urlopen

from entresol.cli.stack import Stores
from entresol.cli.topology import check
from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.embedded.haproxy import Haproxy, find_haproxy
from entresol.embedded.patroni import TTL_S
from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port
from entresol.embedded.processes import Processes, last_lines
from entresol.errors import ConfigurationError, ServerStartError
from entresol.topology import DatabaseCheck, Databases, Endpoint, Listen, Platforms, Topology, configuration

_HOST = "127.0.0.1"
_START_S = 60.0
_STATS_S = 2.0
_SECOND = "entresol-second"


def ports(listen: str) -> Listen:
    """Return where the balancer listens: the platform's port, and the three that follow it."""
    first = Endpoint.parse(listen)
    return Listen(*(str(Endpoint(first.host, first.port + number)) for number in range(4)))


@asynccontextmanager
async def balanced(running: Stores) -> AsyncIterator[Stores]:
    """Put a balancer before the stores and two servers, one of which runs as a process of its own.

    Gives what the other one, which the caller runs, is told: the stores as they are reached through the balancer.

    Raises:
        ConfigurationError: there is no HAProxy, or it cannot listen.
    """
    settings, listen = running.settings, ports(running.settings.listen)
    program = find_haproxy(settings.haproxy_bin)
    if program is None:
        raise ConfigurationError(
            "there is no haproxy on PATH: install it, or set ENTRESOL_HAPROXY_BIN to its program"
        )
    topology = _topology(running, listen)
    text = configuration(topology, running.model)
    check(text, settings, needed=True)
    checked, platforms = topology.databases, topology.platforms
    assert checked is not None, "made with them"
    assert platforms is not None, "made with them"
    if checked.check is DatabaseCheck.SQL:
        await running.servers.trust(checked.role)
    folder = running.servers.temporary / "balancer"
    await asyncio.to_thread(folder.mkdir)
    processes = Processes(None, [], folder / "guard.log")
    try:
        admin = Endpoint.parse(listen.admin).port
        await Haproxy(program, text, admin, processes, folder, folder / "haproxy.log").start()
        own, other = (str(server) for server in platforms.servers)
        settings = dataclasses.replace(
            settings,
            listen=own,
            database_write=running.servers.through(listen.writes),
            database_read=(running.servers.through(listen.reads),),
            replica_lag_max_s=_lag_s_max(running),
        )
        await _start_second(
            processes,
            dataclasses.replace(settings, listen=other, web_listen="", admin_listen="", console="off"),
            folder,
        )
        yield dataclasses.replace(running, settings=settings)
    finally:
        await processes.close()


async def give_calls(listen: Listen) -> None:
    """Return when the balancer takes both servers for ready.

    Raises:
        ServerStartError: it does not in time.
    """

    async def has_both() -> bool:
        return await asyncio.to_thread(_ready, listen.admin) == 2

    if not await until(has_both, _START_S):
        raise ServerStartError(
            f"the balancer takes no calls for both servers after {_START_S:g} s: http://{listen.admin}/stats"
        )


def _ready(admin: str) -> int:
    """Return how many platforms the balancer gives calls to."""
    with urlopen(f"http://{admin}/stats;csv", timeout=_STATS_S) as answer:
        rows = csv.DictReader(io.StringIO(answer.read().decode()))
        return sum(row["# pxname"] == "be_platform" and _is_up(row) for row in rows)


def _is_up(row: Mapping[str, str]) -> bool:
    return row["svname"] != "BACKEND" and row["status"].startswith("UP")


def _topology(running: Stores, listen: Listen) -> Topology:
    return Topology(
        platforms=Platforms(tuple(Endpoint(_HOST, free_port()) for _ in range(2))),
        databases=databases(running.servers),
        listen=listen,
        call_s_max=running.settings.deadline_max_s,
    )


def databases(servers: EmbeddedServers) -> Databases:
    """Return what a balancer is told of the databases that run here."""
    if servers.patroni:
        nodes = servers.patroni.nodes.values()
        found = tuple(Endpoint(_HOST, node.port, node.rest_port) for node in nodes)
        return Databases(found, DatabaseCheck.PATRONI)
    own = (servers.primary, *servers.replicas)
    return Databases(tuple(Endpoint(_HOST, server.port) for server in own), DatabaseCheck.SQL)


def _lag_s_max(running: Stores) -> float:
    """Return how far replicas may be behind: until another node leads, nobody can tell one that it has everything."""
    wanted = running.settings.replica_lag_max_s
    return max(wanted, 2.0 * TTL_S) if running.servers.patroni else wanted


async def _start_second(processes: Processes, settings: Settings, folder: Path) -> None:
    """Start a server in a process of its own, and return when it listens."""
    log = folder / f"{_SECOND}.log"
    told = folder / "settings.toml"
    told.touch(mode=0o600)  # it holds a password, which arguments would show to everybody
    await asyncio.to_thread(told.write_text, _toml(settings))
    # In the file are all settings, and nothing in this environment may win over them.
    unset = [
        part for item in dataclasses.fields(Settings) for part in ("-u", f"ENTRESOL_{item.name.upper()}")
    ]
    argv = [
        "/usr/bin/env",
        *unset,
        f"ENTRESOL_CONFIG={told}",
        sys.executable,
        "-m",
        "entresol.cli.main",
        "serve",
    ]
    await processes.start(_SECOND, argv, Path.cwd(), log, signal.SIGTERM)
    address = Endpoint.parse(settings.listen)

    async def has_settled() -> bool:
        if await processes.exit_code(_SECOND) is not None:
            raise ServerStartError(f"the second server ended while it started. {last_lines(log)}")
        return await _listens(address)

    if not await until(has_settled, _START_S):
        raise ServerStartError(f"the second server was not ready after {_START_S:g} s. {last_lines(log)}")


def _toml(settings: Settings) -> str:
    """Return all settings as a file has them: what TOML and JSON write alike."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in dataclasses.asdict(settings).items())


async def _listens(address: Endpoint) -> bool:
    try:
        _, writer = await asyncio.open_connection(address.host, address.port)
    except OSError:
        return False
    writer.close()
    return True
