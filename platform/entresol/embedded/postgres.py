"""One PostgreSQL server; its settings are on its command line and its data folder is as initdb left it."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from entresol.embedded.binaries import Postgres
from entresol.embedded.folders import Folders
from entresol.embedded.guard import exists
from entresol.embedded.processes import Processes
from entresol.embedded.psql import TIMEOUT_S, Psql
from entresol.embedded.server import Server
from entresol.errors import ServerStartError

USER = "entresol"
DATABASE = "entresol"

# Makes the database if there is none.
MAKE_DATABASE = (
    f"SELECT 'CREATE DATABASE {DATABASE}' WHERE NOT EXISTS "  # noqa: S608 (a name of ours)
    f"(SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec\n"
)
# Writes an empty message and returns the position after it.
MARK = "SELECT pg_logical_emit_message(true, 'entresol', '') - '0/0'::pg_lsn"
_INITDB_S = 60.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "wal_level": "logical",
    "max_connections": "300",  # a benchmark runs twenty services at once
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_slot_wal_keep_size": "4GB",  # a forgotten slot must not fill the disk
    "wal_keep_size": "256MB",  # how far a replica may fall behind while it is down
    "wal_retrieve_retry_interval": "100ms",  # a replica is back soon after its primary
    "hot_standby_feedback": "on",
    "dynamic_shared_memory_type": "mmap",  # /dev/shm is small in containers, and keeps what a killed server had
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# full_page_writes stays on even so: a SIGKILL can tear a page that is being written.
NOT_DURABLE = {"fsync": "off", "max_wal_size": "512MB"}  # such data may be in memory

# Not what the kernel gives to outgoing connections, so that a restart finds its port free.
_PORTS = range(20000, 32000)


def free_port() -> int:
    """Return a loopback port that was free a moment ago."""
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerStartError(f"no free port between {_PORTS.start} and {_PORTS.stop}")


class PostgresServer(Server):
    """What primary and replica share.

    The Unix socket is in a folder that only its owner may enter and needs no password. TCP on the loopback
    address needs one: any user of the machine can reach it.
    """

    _stop_signal = signal.SIGINT  # fast: cut sessions, write a checkpoint
    _quit_signal = signal.SIGQUIT  # immediate: recovery at the next start

    def __init__(
        self,
        name: str,
        programs: Postgres,
        folders: Folders,
        processes: Processes,
        durable: bool,
        password: str,
    ) -> None:
        super().__init__(name, processes, folders.server(name), folders.log(name))
        self.port = free_port()
        self.sockets = folders.sockets(name)
        self._programs = programs
        self._durable = durable
        self._password = password
        self._psql = Psql(programs.psql, self.sockets, USER)

    @property
    def version(self) -> int:
        """Return PostgreSQL's major version."""
        return self._programs.version

    @property
    def data(self) -> Path:
        """Return the data folder."""
        return self._folder

    @property
    def argv(self) -> list[str]:
        """Return the command line, with every setting that differs from PostgreSQL's defaults."""
        settings = [f"{name}={value}" for name, value in self._settings().items()]
        return [
            self._programs.program("postgres"),
            "-D",
            str(self.data),
            *(part for item in settings for part in ("-c", item)),
        ]

    def url(self, database: str = DATABASE) -> str:
        """Return the URL of a database through the Unix socket."""
        return f"postgresql://{USER}@/{database}?host={quote(str(self.sockets))}&port={self.port}"

    def tcp_url(self, database: str = DATABASE) -> str:
        """Return the URL of a database through TCP on the loopback address, with the password (SCRAM)."""
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    async def psql(self, sql: str, *, database: str = DATABASE, timeout_s: float = TIMEOUT_S) -> str:
        """Run statements, each in a transaction of its own, and return rows as lines of `|`-separated values.

        Raises:
            ServerCommandError: a statement failed, the server is away, or `timeout_s` passed.
        """
        return await self._psql.run(sql, port=self.port, database=database, timeout_s=timeout_s)

    async def trust(self, role: str) -> None:
        """Let a role log in over TCP from this machine without a password: what is checked by it must know none."""
        path, line = self.data / "pg_hba.conf", f"host all {role} 127.0.0.1/32 trust\n"
        text = await asyncio.to_thread(path.read_text)
        if line not in text:
            # Before all others, for the first line that fits counts; written in place, which leaves its owner as it is.
            await asyncio.to_thread(path.write_text, line + text)
            await self.psql("SELECT pg_reload_conf()", database="postgres")

    def _settings(self) -> dict[str, str]:
        own = {
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "cluster_name": self.name,
        }
        loaded = {"shared_preload_libraries": self._programs.preloaded} if self._programs.preloaded else {}
        return {**SETTINGS, **({} if self._durable else NOT_DURABLE), **loaded, **own}

    async def _prepare(self) -> None:
        await asyncio.to_thread(_remove_stale_lock, self.data)

    async def _answers(self, pid: int) -> bool:
        """Read what pg_ctl reads: the eighth line of postmaster.pid says when sessions are accepted."""
        lines = _lines(self.data / "postmaster.pid")
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"


class Primary(PostgresServer):
    """The server that accepts writes."""

    async def create(self) -> None:
        """Make the data folder, all or nothing; the superuser is `entresol`."""
        made = self.data.with_name("primary.new")
        await asyncio.to_thread(shutil.rmtree, made, ignore_errors=True)  # of a start that was cut short
        argv = [
            self._programs.program("initdb"),
            "-D",
            str(made),
            "-U",
            USER,
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        ]
        argv += ["--auth-local=trust", "--auth-host=scram-sha-256", "--lc-messages=C"]
        argv += ["--locale-provider=builtin"] if self._programs.version >= 17 else []
        argv += [] if self._durable else ["--no-sync"]
        await self._processes.run("initdb", argv, made.parent, self.log, timeout_s=_INITDB_S)
        made.rename(self.data)

    async def was_stopped_in_order(self) -> bool:
        """Say whether the last run ended with a shutdown checkpoint; only for a server that does not run."""
        argv = [self._programs.program("pg_controldata"), "-D", str(self.data)]
        report = self._folder.parent / "controldata"
        await self._processes.run("pg_controldata", argv, self.data, report, timeout_s=10)
        text = report.read_text()
        report.unlink()
        return bool(re.search(r"^Database cluster state: +shut down$", text, re.MULTILINE))

    async def position(self) -> int:
        """Return a position that a replica reaches when it has replayed everything committed so far.

        It is that of an empty message, written for the purpose: an idle server's insert position may lie
        behind a page header and its flush position inside a record, where no replay ever stops.
        """
        return int(await self.psql(MARK, database="postgres"))

    async def set_up(self) -> None:
        """Give the superuser the password of this run, and make the database if there is none."""
        await self.psql(
            f"ALTER ROLE {USER} PASSWORD '{self._password}';\n{MAKE_DATABASE}", database="postgres"
        )
        if self._programs.preloaded:
            await self.psql(make_extension(self._programs.preloaded))


def make_extension(name: str) -> str:
    """Return the statement that adds what a preloaded library counts to a database."""
    return f"CREATE EXTENSION IF NOT EXISTS {name}"


def _remove_stale_lock(data: Path) -> None:
    """Remove postmaster.pid of a server that is gone, even when another program has its process id by now.

    The lock on the folder of all servers is ours: only a server that lost its guard can still be there.
    """
    path = data / "postmaster.pid"
    lines = _lines(path)
    if not lines:
        return
    if _is_postgres(int(lines[0]), data):
        raise ServerStartError(
            f"PostgreSQL, process {lines[0]}, still runs in {data}; stop it first: kill -INT {lines[0]}"
        )
    path.unlink(missing_ok=True)


def _is_postgres(pid: int, data: Path) -> bool:
    try:
        return bytes(data) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return not Path("/proc/self").exists() and exists(pid)  # macOS does not tell more


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []
