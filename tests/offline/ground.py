"""What a scenario is played on: a database of a system's own PostgreSQL, its workers and producers, and their rows.

Every process is owned by a guard that ends it when this process is gone, however it went.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from tests.offline.counts import Away, Begun, Blow, Done, Rows
from tests.offline.systems import ROOT, System
from tests.offline.work import ACKNOWLEDGED, TABLES

from entresol.embedded import EmbeddedServers, PostgresServer
from entresol.embedded.polling import until
from entresol.embedded.postgres import USER, free_port
from entresol.embedded.processes import Processes, last_lines
from entresol.storage.administration import connect_primary

START_S = 30.0
PATIENCE_S = 20.0  # what has not begun again by then never does
_LOOK_S = 0.1
_QUIET_S = 1.0
SESSIONS = (
    "FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() "
    "AND pid <> pg_backend_pid()"
)


class OfflineError(Exception):
    """The scenario could not be played; the text says why."""


class Ground:
    """A system at work. `opened` starts it and ends it."""

    def __init__(
        self, system: System, servers: EmbeddedServers, database: str, folder: Path, dice: random.Random
    ) -> None:
        self.servers = servers
        self.primary: PostgresServer = servers.primary  # until another one is promoted
        self.dice = dice
        self.workers: dict[str, int] = {}  # ids of processes, by name
        self._system = system
        self._url = _url(servers, database)
        self._folder = folder
        self._processes = Processes(None, [], folder / "guard.log")
        self._numbers = itertools.count(1)
        self._wanted = 0

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        system: System,
        servers: EmbeddedServers,
        database: str,
        *,
        workers: int,
        dice: random.Random,
        do: str = "work",
    ) -> AsyncIterator[Ground]:
        """Give a new database with so many workers that have begun; all of it is gone at the end.

        What a worker does is to `work`, or to `tick` as well. One that ends is replaced, as whoever keeps processes in
        production would.
        """
        folder = servers.temporary / database
        folder.mkdir()
        await servers.psql(f"CREATE DATABASE {database}", database="postgres")
        ground = cls(system, servers, database, folder, dice)
        try:
            await servers.psql(TABLES, database=database)
            await ground.end_of(await ground.start("prepare", "prepare"), START_S)
            async with asyncio.TaskGroup() as group:
                ground._wanted = workers
                keeper = group.create_task(ground._keep(do))
                await ground._begun()
                yield ground
                keeper.cancel()
        finally:
            await ground._processes.close()
            await ground.primary.start()  # whatever was cut short may have left it down
            await ground.primary.psql(f"DROP DATABASE {database} WITH (FORCE)", database="postgres")

    async def rows(self) -> Rows:
        """Return all that was written until now."""
        async with connect_primary(self._url) as connection:
            return Rows(
                frozenset(record[0] for record in await connection.fetch("SELECT job FROM orders")),
                [Begun(*record) for record in await connection.fetch("SELECT * FROM begun_work")],
                [Done(*record) for record in await connection.fetch("SELECT * FROM done_work")],
            )

    async def cut(self) -> None:
        """Terminate every session that anybody else has."""
        async with connect_primary(self._url) as connection:
            await connection.execute(f"SELECT pg_terminate_backend(pid) {SESSIONS}")

    async def put(self, prefix: str, **arguments: object) -> str:
        """Begin to put jobs in, as `work.arguments` says; return the producer's name."""
        return await self._put("put", prefix, **arguments)

    async def call(self, prefix: str, **arguments: object) -> str | None:
        """Serve calls, and begin to put jobs in by them, as `work.arguments` says; None where a system serves none."""
        if not self._system.is_platform:
            return None
        address = f"127.0.0.1:{free_port()}"
        await self.start("platform", "serve", "--listen", address)
        return await self._put("call", prefix, address=address, **arguments)

    def acknowledged(self) -> set[str]:
        """Return the jobs of which producers were told that they are put in, whatever the database says of them."""
        lines = (line for log in self._folder.glob("put-*.log") for line in log.read_text().splitlines())
        return {line.removeprefix(ACKNOWLEDGED) for line in lines if line.startswith(ACKNOWLEDGED)}

    async def end_of(self, name: str, timeout_s: float) -> None:
        """Wait until a process has ended by itself, and well."""
        if not await self._processes.has_ended(name, timeout_s):
            raise OfflineError(f"{name} did not end within {timeout_s:g} s. {self._log(name)}")
        if await self._processes.exit_code(name):
            raise OfflineError(f"{name} failed. {self._log(name)}")

    async def strike(self, name: str, number: signal.Signals) -> Blow:
        """Send a signal to a process."""
        pid, at_s = self.workers.get(name, 0), time.time()
        await self._processes.signal(name, number)
        return Blow(pid, at_s, time.time())

    async def away(self, seconds: float) -> Away:
        """Kill -9 all workers, and after so many seconds have as many begin; return when there was none."""
        wanted, self._wanted, from_s = self._wanted, 0, time.time()
        while self.workers:
            for name in list(self.workers):
                await self.strike(name, signal.SIGKILL)
            await asyncio.sleep(2 * _LOOK_S)
        await asyncio.sleep(seconds)
        self._wanted = wanted
        await self._begun()
        return Away(from_s, time.time())

    async def busiest(self) -> str:
        """Return the worker with the most attempts under way."""
        under_way = [row.pid for row in (await self.rows()).under_way]
        return max(self.workers, key=lambda name: under_way.count(self.workers[name]))

    async def until(self, holds: Callable[[Rows], bool], timeout_s: float) -> bool:
        """Say whether something comes to hold of the rows within this time."""
        ends_s = time.monotonic() + timeout_s
        while not holds(await self.rows()):
            if time.monotonic() > ends_s:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def some_done(self, count: int) -> None:
        """Wait until so many jobs were done."""
        if not await self.until(lambda rows: len(rows.done) >= count, PATIENCE_S):
            raise OfflineError("the workers do nothing")

    async def done(self, timeout_s: float, job_s: float) -> Rows:
        """Wait until every job was done, but not longer, and until all that began could have ended; return the rows.

        `job_s` is how long an attempt takes at most: what is done twice may be so a while after it was done once.
        """
        await self.until(lambda rows: not rows.lost, timeout_s)

        def could_have_ended(rows: Rows) -> bool:
            return time.time() > max((row.begun_s for row in rows.begun), default=0.0) + job_s + _QUIET_S

        await self.until(could_have_ended, timeout_s)
        return await self.rows()

    async def start(self, name: str, do: str, *arguments: object) -> str:
        """Start a process of the system, and return its name."""
        argv = self._system.command(do, self._url, *arguments)
        pid = await self._processes.start(name, argv, ROOT, self._folder / f"{name}.log", signal.SIGKILL)
        if name.startswith("worker-"):
            self.workers[name] = pid
        return name

    async def _put(self, do: str, prefix: str, **arguments: object) -> str:
        options = [(f"--{name.replace('_', '-')}", value) for name, value in arguments.items()]
        return await self.start(f"put-{prefix}", do, "--prefix", prefix, *itertools.chain(*options))

    async def _keep(self, do: str) -> None:
        """Keep as many workers as are wanted."""
        while True:
            for name in list(self.workers):
                if await self._processes.exit_code(name) is not None:
                    del self.workers[name]
            while len(self.workers) < self._wanted:
                await self.start(f"worker-{next(self._numbers)}", do)
            await asyncio.sleep(_LOOK_S)

    async def _begun(self) -> None:
        """Wait until workers have sessions, so that no fault meets one that is still being started."""

        async def have_sessions() -> bool:
            async with connect_primary(self._system.queue(self._url)) as connection:
                return bool(await connection.fetchval(f"SELECT count(*) >= {2 * self._wanted} {SESSIONS}"))

        if not await until(have_sessions, START_S):
            raise OfflineError(f"the workers did not begin. {self._log('worker-1')}")

    def _log(self, name: str) -> str:
        return last_lines(self._folder / f"{name}.log", 6)


def _url(servers: EmbeddedServers, database: str) -> str:
    """Return the URL of a database, of the primary alone or of whichever server is the primary at the moment."""
    if not servers.replicas:
        return servers.primary.url(database)
    all_servers = (servers.primary, *servers.replicas)
    hosts = ",".join(quote(str(server.sockets)) for server in all_servers)
    ports = ",".join(str(server.port) for server in all_servers)
    return f"postgresql://{USER}@/{database}?host={hosts}&port={ports}&target_session_attrs=primary"
