"""`entresol serve --workers N`: several server processes on one port, watched, and renewed one after the other.

Each worker is an event loop of its own; the kernel spreads connections over them (SO_REUSEPORT). A crash loses what ran
in that worker and nothing else: another takes its place. SIGHUP renews them one by one, the new one ready before the
old one drains; SIGTERM drains all. The admin port is this process's, which asks its workers: each has one of its own,
on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import click

from entresol.config import Settings, environment_with
from entresol.errors import ConfigurationError
from entresol.life import Life
from entresol.transport.admin.fleet import Member, fleet_pages
from entresol.transport.admin.server import open_admin
from entresol.transport.listener import cannot_listen

READY = "serving "  # how the line begins that a worker prints when it answers
ADMIN = "admin on "  # and when its admin port does
_READY_S = 60.0
_PAUSE_S_MIN, _PAUSE_S_MAX = 0.1, 5.0
_STEADY_S = 10.0  # a worker that lived so long is begun again without a pause
_KILL_AFTER_S = 5.0  # beyond the time to drain


@dataclass(slots=True, eq=False)
class Worker:
    """One place, and the process that fills it."""

    number: int
    process: Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    admin: str = ""  # where its admin port is, while it answers there
    leaving: bool = False


class Workers:
    """The workers of one server. `arguments` are those of `entresol serve`, without `--workers`."""

    def __init__(self, arguments: Sequence[str], settings: Settings, count: int) -> None:
        self._arguments = arguments
        self._settings = settings
        self._count = count
        self._ready_s = _READY_S + settings.start_wait_s
        self._life = Life("supervisor")
        self._told = asyncio.Event()
        self._failed: asyncio.Future[str] | None = asyncio.get_running_loop().create_future()
        self._keepers: set[asyncio.Task[None]] = set()
        self._places: dict[int, Worker] = {}
        self._begun: set[Worker] = set()  # all that may have a process
        self._renewing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            ConfigurationError: no worker came up; its own output says why.
        """
        pages = fleet_pages(self._life, self._settings, self._members)
        if self._settings.console != "off":
            from entresol.console.fleet import fleet_console  # here, for most servers need no templates

            self._life.folders["/console"] = fleet_console(self._settings, self._life, self._members)
        async with open_admin(self._settings, self._life, pages) as admin, self._reserved():
            if admin is not None:
                click.echo(f"{ADMIN}{self._settings.admin_listen.rpartition(':')[0]}:{admin.port}")
            self._listen_to_signals()
            for number in range(self._count):
                self._begin(number)
            try:
                await self._until_ready()
                if not self._told.is_set():
                    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._renew_soon)
                    self._life.ready()
                    click.echo(f"{READY}with {self._count} workers on {self._settings.listen}")
                await self._told.wait()
                await self._announce()
            finally:
                await self._end_all()

    @contextlib.asynccontextmanager
    async def _reserved(self) -> AsyncIterator[None]:
        """Hold the ports that the workers share."""
        with contextlib.ExitStack() as stack:
            held: dict[str, Any] = {
                name: stack.enter_context(reserved(address, name))
                for name in ("listen", "web_listen")
                if (address := getattr(self._settings, name))
            }
            self._settings = replace(self._settings, **held)
            yield

    def _members(self) -> list[Member]:
        """Return the workers that have begun to answer, but for those on their way out."""
        workers = (worker for worker in self._begun if worker.admin and not worker.leaving)
        return sorted((Member(one.number, one.admin) for one in workers), key=lambda one: one.number)

    async def _announce(self) -> None:
        """Have every worker say that it is not ready, and let them go on for `drain_delay_s`."""
        self._life.drain()
        for number in (signal.SIGINT, signal.SIGTERM):  # the next one ends all at once
            asyncio.get_running_loop().add_signal_handler(number, self._kill_all)
        if self._settings.drain_delay_s:
            for worker in self._begun:
                if worker.ready.is_set() and worker.process is not None:
                    with contextlib.suppress(ProcessLookupError):
                        worker.process.send_signal(signal.SIGUSR1)
            await asyncio.sleep(self._settings.drain_delay_s)

    def _kill_all(self) -> None:
        for worker in self._begun:
            worker.leaving = True
            if worker.process is not None and worker.process.returncode is None:
                worker.process.kill()
        os._exit(1)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._told.set)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)  # until all are ready there is nothing to renew

    def _begin(self, number: int) -> Worker:
        worker = self._places[number] = Worker(number)
        self._begun.add(worker)
        keeper = asyncio.create_task(self._keep(worker), name=f"entresol worker {number}")
        self._keepers.add(keeper)
        keeper.add_done_callback(self._keepers.discard)
        keeper.add_done_callback(lambda _: self._begun.discard(worker))
        return worker

    async def _keep(self, worker: Worker) -> None:
        """Fill the worker's place until it leaves."""
        pause_s = _PAUSE_S_MIN
        loop = asyncio.get_running_loop()
        while not worker.leaving:
            began_s = loop.time()
            code = await self._fill(worker)
            worker.ready.clear()
            worker.admin = ""
            if worker.leaving:
                return
            if self._failed is not None and not self._failed.done():
                self._failed.set_result(f"worker {worker.number} ended with {code}; its output says why")
            click.echo(f"worker {worker.number} ended with {code}; another takes its place", err=True)
            pause_s = _PAUSE_S_MIN if loop.time() - began_s > _STEADY_S else min(2 * pause_s, _PAUSE_S_MAX)
            await asyncio.sleep(pause_s)

    async def _fill(self, worker: Worker) -> int | None:
        """Run one process in the place to its end, and return its exit status; None when it could not begin."""
        try:
            process = worker.process = await self._start()
        except OSError as error:
            click.echo(f"worker {worker.number} cannot begin: {error}", err=True)
            return None
        if worker.leaving:  # told so while the process was made
            process.terminate()
        reading = asyncio.create_task(self._read(worker, process))
        try:
            return await process.wait()
        finally:
            reading.cancel()

    async def _start(self) -> Process:
        settings = self._settings
        environment = environment_with(
            listen=settings.listen,
            web_listen=settings.web_listen,
            reuse_port="true",
            admin_listen="127.0.0.1:0" if settings.admin_listen else "",
            drain_delay_s="0",  # it is waited here, for all; of those that are renewed no balancer need know
        )
        command = (sys.executable, "-m", "entresol.cli.main", "serve", *self._arguments)
        # In a session of its own: Ctrl-C is for this process, which tells the workers in its own way.
        return await asyncio.create_subprocess_exec(
            *command, env=environment, stdout=PIPE, start_new_session=True
        )

    async def _read(self, worker: Worker, process: Process) -> None:
        assert process.stdout is not None
        while line := await _line(process.stdout):
            text = line.decode(errors="replace").rstrip()
            click.echo(f"worker {worker.number}: {text}")
            if text.startswith(ADMIN):
                worker.admin = text.removeprefix(ADMIN)
            if text.startswith(READY):
                worker.ready.set()

    async def _until_ready(self) -> None:
        """Wait for every worker; the first that ends before ends it all, for the others will end likewise."""
        failed = self._failed
        assert failed is not None
        ready = asyncio.gather(*(worker.ready.wait() for worker in self._places.values()))
        told = asyncio.ensure_future(self._told.wait())
        try:
            await asyncio.wait(
                (ready, failed, told), timeout=self._ready_s, return_when=asyncio.FIRST_COMPLETED
            )
            if failed.done():
                raise ConfigurationError(failed.result())
            if not ready.done() and not told.done():
                raise ConfigurationError(f"not every worker was ready within {self._ready_s:.0f} s")
        finally:
            ready.cancel()
            told.cancel()
            await asyncio.gather(ready, told, return_exceptions=True)
            self._failed = None

    def _renew_soon(self) -> None:
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="entresol workers renewed")

    async def _renew(self) -> None:
        """Put a new worker in each place, one after the other; the old one goes when the new one answers."""
        for number, old in list(self._places.items()):
            new = self._begin(number)
            try:
                async with asyncio.timeout(self._ready_s):
                    await new.ready.wait()
            except TimeoutError:
                click.echo(f"worker {number} is not renewed: the new one is not ready", err=True)
                self._places[number] = old
                await self._end(new)
                return
            await self._end(old)
        click.echo(f"renewed {self._count} workers")

    async def _end(self, worker: Worker) -> None:
        """Drain a worker, and kill it if that takes too long."""
        worker.leaving = True
        process = worker.process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._settings.drain_s + _KILL_AFTER_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _end_all(self) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        for worker in self._begun:
            worker.leaving = True
        await asyncio.gather(*(self._end(worker) for worker in list(self._begun)))
        await asyncio.wait([*self._keepers, asyncio.ensure_future(asyncio.sleep(0))], timeout=_KILL_AFTER_S)
        for keeper in list(self._keepers):
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)


@contextlib.contextmanager
def reserved(address: str, setting: str) -> Iterator[str]:
    """Give `host:port` with the port that the workers share, held for them while the block lasts.

    Raises:
        ConfigurationError: of the setting: the address is taken, or there is no such address.
    """
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as held:
        try:
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            held.bind((host.strip("[]"), int(port)))
        except (OSError, ValueError) as error:
            raise cannot_listen(address, setting) from error
        yield f"{host}:{held.getsockname()[1]}"


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, or a part of one that is too long; empty at the end."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:
        return await stream.read(error.consumed)
