"""Nodes of PostgreSQL under Patroni, which agrees through etcd on who leads: one follower of two is synchronous.

All of it is on one machine, as is the only etcd: it shows what a failover does, and outlives no loss of the machine.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from entresol.embedded.binaries import Postgres
from entresol.embedded.folders import Folders
from entresol.embedded.polling import until
from entresol.embedded.postgres import (
    DATABASE,
    MAKE_DATABASE,
    NOT_DURABLE,
    SETTINGS,
    USER,
    free_port,
    make_extension,
)
from entresol.embedded.processes import Processes, last_lines
from entresol.embedded.psql import TIMEOUT_S, Psql
from entresol.embedded.server import Server
from entresol.errors import ServerCommandError, ServerStartError

NODES = ("pg1", "pg2", "pg3")
TTL_S, LOOP_S = 20, 2  # how long who leads may be silent; how often all look
_START_S = 60.0
_ASK_S = 30.0
_HOST = "127.0.0.1"
_REPLICATOR = "replicator"


@dataclass(frozen=True, slots=True)
class PatroniPrograms:
    """The two programs that it takes beside PostgreSQL's."""

    patroni: Path
    etcd: Path


def find_patroni() -> PatroniPrograms | None:
    """Return the programs on PATH, if both are there."""
    patroni, etcd = shutil.which("patroni"), shutil.which("etcd")
    return PatroniPrograms(Path(patroni), Path(etcd)) if patroni and etcd else None


class Patroni:
    """The nodes and their etcd."""

    def __init__(
        self,
        programs: PatroniPrograms,
        postgres: Postgres,
        folders: Folders,
        processes: Processes,
        durable: bool,
    ) -> None:
        password = _password(folders)
        self._account = f"postgresql://{USER}:{password}"
        self._etcd = Etcd(programs.etcd, folders, processes, durable)
        self._preloaded = postgres.preloaded
        parts = (programs.patroni, postgres, folders, processes, durable, password, self._etcd.port)
        self.nodes = {name: Node(name, *parts) for name in NODES}

    def url(self, address: str = "", database: str = DATABASE) -> str:
        """Return the URL of a database at an address, or on whichever node accepts writes."""
        address = address or ",".join(node.address for node in self.nodes.values())
        return f"{self._account}@{address}/{database}?sslmode=disable"

    @property
    def read_urls(self) -> tuple[str, ...]:
        """Return the URLs of all nodes, each of which may lead at some time."""
        return tuple(self.url(node.address) for node in self.nodes.values())

    async def start(self) -> None:
        """Start etcd and the nodes; return when one leads, the others follow, and the database is there.

        Raises:
            ServerStartError: that did not come about in time.
        """
        await self._etcd.start()
        await asyncio.gather(*(node.start() for node in self.nodes.values()))
        if not await until(self.is_whole, _START_S):
            first = next(iter(self.nodes.values()))
            raise ServerStartError(
                f"Patroni has no leader with two followers after {_START_S:g} s. {last_lines(first.log)}"
            )
        await self.psql(MAKE_DATABASE, database="postgres")
        if self._preloaded:
            await self.psql(make_extension(self._preloaded))
        if not await until(self._is_everywhere, _START_S):
            raise ServerStartError(f"a node of Patroni has no database {DATABASE} after {_START_S:g} s")

    async def stop(self) -> None:
        """Stop all in order, who leads behind the others: nobody is to take its place."""
        leader = await self.leader()
        await asyncio.gather(*(node.stop() for name, node in self.nodes.items() if name != leader))
        if leader:
            await self.nodes[leader].stop()
        await self._etcd.stop()

    async def psql(self, sql: str, *, database: str = DATABASE, timeout_s: float = TIMEOUT_S) -> str:
        """Run statements on the node that leads; see `PostgresServer.psql`."""
        leader = await self.leader()
        if not leader:
            raise ServerCommandError("no node of Patroni leads")
        return await self.nodes[leader].psql(sql, database=database, timeout_s=timeout_s)

    async def switch(self) -> None:
        """Have another node lead, as operators do."""
        body = {"leader": await self.leader()}
        await asyncio.to_thread(self.nodes[NODES[0]].ask, "/switchover", body)

    async def leader(self) -> str:
        """Return the name of the node that leads; empty while none does."""
        members = await self._members()
        return next((member["name"] for member in members if member["role"] == "leader"), "")

    async def is_whole(self) -> bool:
        """Tell whether one node leads and both others follow, one of them synchronously."""
        running = [member for member in await self._members() if member["state"] in ("running", "streaming")]
        return sorted(member["role"] for member in running) == ["leader", "replica", "sync_standby"]

    async def _is_everywhere(self) -> bool:
        try:
            for node in self.nodes.values():
                await node.psql("SELECT")
        except ServerCommandError:
            return False
        return True

    async def _members(self) -> list[dict[str, Any]]:
        for node in self.nodes.values():
            try:
                members = (await asyncio.to_thread(node.ask, "/cluster"))["members"]
            except (OSError, ValueError, KeyError):
                continue
            return list(members)
        return []


class Etcd(Server):
    """What holds the lock of who leads. It asks for no password: it is for a machine of one's own."""

    def __init__(self, program: Path, folders: Folders, processes: Processes, durable: bool) -> None:
        super().__init__("etcd", processes, folders.server("etcd"), folders.log("etcd"))
        self.port, self._peers = free_port(), free_port()
        self._program = program
        self._durable = durable

    @property
    def argv(self) -> list[str]:
        """Return the command line."""
        client, peer = f"http://{_HOST}:{self.port}", f"http://{_HOST}:{self._peers}"
        return [
            *(str(self._program), "--data-dir", str(self._folder), "--log-level", "error"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}"),
            *([] if self._durable else ["--unsafe-no-fsync"]),
        ]

    async def _answers(self, pid: int) -> bool:
        return await asyncio.to_thread(_is_healthy, f"http://{_HOST}:{self.port}/health")


class Node(Server):
    """Patroni with its PostgreSQL, which has a session of its own and goes where Patroni goes."""

    def __init__(
        self,
        name: str,
        program: Path,
        postgres: Postgres,
        folders: Folders,
        processes: Processes,
        durable: bool,
        password: str,
        etcd_port: int,
    ) -> None:
        super().__init__(name, processes, folders.server(name), folders.log(name))
        self.port, self.rest_port = free_port(), free_port()
        self._program = program
        self._postgres = postgres
        self._sockets = folders.sockets(name)
        self._durable = durable
        self._password = password
        self._etcd = f"{_HOST}:{etcd_port}"
        self._psql = Psql(postgres.psql, self._sockets, USER)
        self._file = self._sockets / "patroni.json"  # of which YAML is more

    @property
    def address(self) -> str:
        """Return where its PostgreSQL listens."""
        return f"{_HOST}:{self.port}"

    @property
    def argv(self) -> list[str]:
        """Return the command line."""
        return [str(self._program), str(self._file)]

    async def kill(self) -> None:
        """End Patroni and PostgreSQL, as a power cut would."""
        pid = await asyncio.to_thread(_first_line, self._folder / "postmaster.pid")
        await super().kill()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    async def psql(self, sql: str, *, database: str = DATABASE, timeout_s: float = TIMEOUT_S) -> str:
        """Run statements; see `PostgresServer.psql`."""
        return await self._psql.run(sql, port=self.port, database=database, timeout_s=timeout_s)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return what Patroni answers: a GET, or a POST where there is a body. It blocks."""
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"http://{_HOST}:{self.rest_port}{path}", data)
        if body:
            login = base64.b64encode(f"{USER}:{self._password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        with urllib.request.urlopen(request, timeout=_ASK_S) as answer:  # noqa: S310 (HTTP on loopback)
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else {}

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._write)

    async def _answers(self, pid: int) -> bool:
        try:
            await asyncio.to_thread(self.ask, "/cluster")
        except (OSError, ValueError):
            return False
        return True

    def _write(self) -> None:
        self._file.unlink(missing_ok=True)
        self._file.touch(mode=0o600)  # it holds a password
        self._file.write_text(json.dumps(self._configuration()))
        owner = self._sockets.stat()
        os.chown(self._file, owner.st_uid, owner.st_gid)

    def _configuration(self) -> dict[str, Any]:
        rest = f"{_HOST}:{self.rest_port}"
        login = {"username": USER, "password": self._password}
        return {
            "scope": "entresol",
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest, "authentication": login},
            "etcd3": {"hosts": [self._etcd]},
            "bootstrap": {
                "dcs": {
                    "ttl": TTL_S,
                    "loop_wait": LOOP_S,
                    "retry_timeout": 5,
                    "synchronous_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": True,
                        "parameters": {**SETTINGS, "wal_log_hints": "on"},
                    },
                },
                "initdb": [
                    *({"encoding": "UTF8"}, {"locale": "C.UTF-8"}),
                    *({"auth-local": "trust"}, {"auth-host": "scram-sha-256"}),
                ],
            },
            "postgresql": {
                "listen": self.address,
                "connect_address": self.address,
                "data_dir": str(self._folder),
                "bin_dir": str(self._postgres.folder),
                "pgpass": str(self._sockets / "pgpass"),
                "authentication": {"superuser": login, "replication": {**login, "username": _REPLICATOR}},
                # The Unix socket is in a folder that only its owner may enter.
                "pg_hba": [
                    "local all all trust",
                    f"host all all {_HOST}/32 scram-sha-256",
                    f"host replication all {_HOST}/32 scram-sha-256",
                ],
                "parameters": {
                    "unix_socket_directories": str(self._sockets),
                    "unix_socket_permissions": "0700",
                    "shared_preload_libraries": self._postgres.preloaded,
                    **({} if self._durable else NOT_DURABLE),
                },
            },
        }


def _password(folders: Folders) -> str:
    """Return the password of the nodes, which they keep with their data; a new one for new data."""
    path = folders.data / "patroni-password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(18))
    return path.read_text()


def _first_line(path: Path) -> str:
    return path.read_text().partition("\n")[0].strip() if path.exists() else ""


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310 (HTTP on loopback)
            return bool(json.load(answer)["health"] == "true")
    except (OSError, ValueError, KeyError):
        return False
