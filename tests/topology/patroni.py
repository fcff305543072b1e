"""Three nodes of PostgreSQL under Patroni with etcd, as Debian has them, one of two followers synchronous."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg
from tests.debian import PackageMissingError, unpacked

from entresol.embedded.accounts import server_account
from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port
from entresol.embedded.processes import Processes, last_lines
from entresol.storage.administration import connect_primary
from entresol.topology import DatabaseCheck, Databases, Endpoint

START_S, TTL_S, LOOP_S = 60.0, 20, 2
NODES = ("pg1", "pg2", "pg3")
_PYTHON = "/usr/bin/python3"  # the one that Debian's modules are made for
_PACKAGES = (
    "patroni",
    "etcd-server",
    *(f"python3-{name}" for name in ["psycopg2", "dateutil", "cdiff", "prettytable", "wcwidth", "psutil"]),
    *(
        f"python3-{name}"
        for name in ["urllib3", "six", "yaml", "dnspython", "click", "pkg-resources", "etcd"]
    ),
    "libpq5",
    "postgresql-15",
    "postgresql-client-15",
)


@cache
def packages() -> Path:
    """Return the folder that has Patroni, etcd and PostgreSQL.

    Raises:
        PackageMissingError: they cannot be had here.
    """
    if not Path(_PYTHON).exists():
        raise PackageMissingError(f"there is no {_PYTHON} to run Patroni")
    return unpacked("patroni", _PACKAGES)


class Cluster:
    """The nodes. `start` returns when one leads and two follow, one of them synchronously."""

    def __init__(self, folder: Path) -> None:
        self._root = packages()
        self._folder = folder / "patroni"
        self._account = server_account()
        self._folder.mkdir()
        self._processes = Processes(self._account, [], folder / "patroni-guard.log")
        self._etcd, self._peers = free_port(), free_port()
        self.ports = {name: free_port() for name in NODES}
        self._rest = {name: free_port() for name in NODES}

    @property
    def databases(self) -> Databases:
        """Return what the balancer is told of them."""
        servers = (Endpoint("127.0.0.1", self.ports[name], self._rest[name]) for name in NODES)
        return Databases(tuple(servers), DatabaseCheck.PATRONI)

    def url(self, address: str = "", database: str = "entresol") -> str:
        """Return the URL of a database at an address, or on whichever node is the primary."""
        address = address or ",".join(f"127.0.0.1:{port}" for port in self.ports.values())
        return f"postgresql://postgres@{address}/{database}?sslmode=disable"

    async def start(self) -> None:
        """Start etcd and the nodes."""
        await asyncio.to_thread(self._write)
        argv = [
            str(self._root / "usr/bin/etcd"),
            "--data-dir",
            str(self._folder / "etcd"),
            "--log-level",
            "error",
        ]
        client, peer = f"http://127.0.0.1:{self._etcd}", f"http://127.0.0.1:{self._peers}"
        argv += ["--listen-client-urls", client, "--advertise-client-urls", client]
        argv += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        argv += ["--initial-cluster", f"default={peer}", "--unsafe-no-fsync"]
        await self._run("etcd", argv)
        for name in NODES:
            await self.begin(name)
        if not await until(self.is_whole, START_S):
            raise PackageMissingError(f"Patroni does not come up. {last_lines(self._folder / 'pg1.log')}")
        async with connect_primary(self.url(database="postgres")) as connection:
            await connection.execute("CREATE DATABASE entresol")
        if not await until(self._is_everywhere, START_S):
            raise PackageMissingError("a node of Patroni does not follow")

    async def close(self) -> None:
        """End all of it."""
        await self._processes.close()

    async def begin(self, name: str) -> None:
        """Start a node."""
        await self._run(
            name, [_PYTHON, str(self._root / "usr/bin/patroni"), str(self._folder / f"{name}.json")]
        )

    async def kill(self, name: str) -> None:
        """End a node, Patroni and PostgreSQL, as a power cut would."""
        postmaster = int((self._folder / name / "postmaster.pid").read_text().split()[0])
        await self._processes.signal_tree(name, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(postmaster, signal.SIGKILL)  # it has a session of its own

    async def switch(self) -> None:
        """Have another node lead, as operators do."""
        await asyncio.to_thread(
            self._ask, self._rest[NODES[0]], "/switchover", {"leader": await self.leader()}
        )

    async def leader(self) -> str:
        """Return the node that leads; empty while none does."""
        members = await self._members()
        return next((member["name"] for member in members if member["role"] == "leader"), "")

    async def is_whole(self) -> bool:
        """Tell whether one node leads and both others follow."""
        running = [member for member in await self._members() if member["state"] in ("running", "streaming")]
        return sorted(member["role"] for member in running) == ["leader", "replica", "sync_standby"]

    async def _is_everywhere(self) -> bool:
        for port in self.ports.values():
            try:
                await (await asyncpg.connect(self.url(f"127.0.0.1:{port}"))).close()
            except (asyncpg.PostgresError, OSError):
                return False
        return True

    async def _members(self) -> list[dict[str, Any]]:
        for port in self._rest.values():
            try:
                members = (await asyncio.to_thread(self._ask, port, "/cluster"))["members"]
            except (OSError, ValueError, KeyError):
                continue
            return list(members)
        return []

    def _ask(self, port: int, path: str, body: dict[str, Any] | None = None) -> Any:
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=data, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else {}

    async def _run(self, name: str, argv: list[str]) -> None:
        libraries = ":".join(map(str, (self._root / "usr/lib").glob("*-linux-gnu")))
        told = {"PYTHONPATH": self._root / "usr/lib/python3/dist-packages", "LD_LIBRARY_PATH": libraries}
        argv = ["/usr/bin/env", *(f"{key}={value}" for key, value in told.items()), *argv]
        await self._processes.start(name, argv, self._folder, self._folder / f"{name}.log", signal.SIGKILL)

    def _write(self) -> None:
        for name in NODES:
            (self._folder / f"{name}.json").write_text(json.dumps(self._node(name)))  # of which YAML is more
        if self._account is not None:
            shutil.chown(self._folder, self._account.user, self._account.group)

    def _node(self, name: str) -> dict[str, Any]:
        rest, listen = f"127.0.0.1:{self._rest[name]}", f"127.0.0.1:{self.ports[name]}"
        return {
            "scope": "entresol",
            "name": name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": {"hosts": [f"127.0.0.1:{self._etcd}"]},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S,
                    "loop_wait": LOOP_S,
                    "retry_timeout": 5,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": {"wal_level": "logical", "max_connections": 200, "wal_log_hints": "on"},
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "trust"}],
            },
            "postgresql": {
                "listen": listen,
                "connect_address": listen,
                "data_dir": str(self._folder / name),
                "bin_dir": str(self._root / "usr/lib/postgresql/15/bin"),
                "authentication": {
                    "superuser": {"username": "postgres"},
                    "replication": {"username": "replicator"},
                },
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "parameters": {"unix_socket_directories": str(self._folder), "fsync": "off"},
            },
        }
