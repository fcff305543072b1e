"""Servers behind one balancer, each a process held to a slice of a core, as if it were a small machine of its own."""

from __future__ import annotations

import contextlib
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.growth.balancer import balanced
from tests.bench.processes import BenchError, free_address, started
from tests.bench.slices import held
from tests.bench.systems import Command, Entresol
from tests.bench.trial import Ground, Trial, load_on

from entresol.embedded.polling import until

READY_S = 60.0
LISTENS = "reading from"  # the last that a server says before it serves


@dataclass
class Machine:
    """A server of its own: `start` it, and `kill` it."""

    command: Command
    log: Path
    address: str
    share: float
    cores: frozenset[int]
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    process: Process | None = None

    async def start(self) -> None:
        """Return once it listens; only then it is held to its slice, for starting is not what is measured."""
        run = started(self.command.arguments, self.command.environment, self.log, self.cores)
        self.process = await self._stack.enter_async_context(run)

        async def listens() -> bool:
            return LISTENS in self.log.read_text(errors="replace")

        if not await until(listens, READY_S):
            raise BenchError(f"the server at {self.address} does not serve after {READY_S:g} s")
        self._stack.enter_context(held([self.process.pid], self.share))

    async def kill(self) -> None:
        """End it at once, as a machine that loses its power."""
        assert self.process is not None, "it was started"
        self.process.kill()
        await self.process.wait()
        await self._stack.aclose()

    async def close(self) -> None:
        """End it in order."""
        await self._stack.aclose()


@dataclass(frozen=True)
class Fleet:
    """Servers that run, and the load that calls them by way of the balancer."""

    machines: list[Machine]
    trial: Trial


@contextlib.asynccontextmanager
async def fleet(
    system: Entresol, ground: Ground, count: int, share: float, *, cached: bool
) -> AsyncIterator[Fleet]:
    """Start so many servers, the relay of a cache, a balancer and the load for the length of the block."""
    async with contextlib.AsyncExitStack() as stack:
        servers = await stack.enter_async_context(machines(system, ground, [share] * count, cached=cached))
        addresses = [machine.address for machine in servers]
        address = await stack.enter_async_context(balanced(addresses, servers[0].command.environment, ground))
        load = await stack.enter_async_context(load_on(address, system, ground, f"{system.name}-{count}"))
        pids = {
            "serve" if not number else f"serve-{number}": machine.process.pid
            for number, machine in enumerate(servers)
            if machine.process is not None
        }
        yield Fleet(servers, Trial(system, ground, pids, load, cached))


@contextlib.asynccontextmanager
async def machines(
    system: Entresol, ground: Ground, shares: Sequence[float], *, cached: bool
) -> AsyncIterator[list[Machine]]:
    """Start a server for each share of a core, and the relay of a cache, for the length of the block."""
    async with contextlib.AsyncExitStack() as stack:
        servers = []
        for number, share in enumerate(shares):
            # Each has an address of its own, so that no two can be given the same port.
            address = f"127.0.1.{number + 1}:{free_address().rpartition(':')[2]}"
            serve, *others = system.commands(ground.stores, address, cached=cached)
            log = ground.folder / f"{system.name}-{len(shares)}-serve-{number}.log"
            log.unlink(missing_ok=True)
            machine = Machine(serve, log, address, share, ground.cores.others)
            stack.push_async_callback(machine.close)
            servers.append(machine)
            if not number:
                for other in others:
                    beside = ground.folder / f"{system.name}-{len(shares)}-{other.role}.log"
                    run = started(other.arguments, other.environment, beside, ground.cores.others)
                    await stack.enter_async_context(run)
        for machine in servers:
            await machine.start()
        yield servers


async def prepare(system: Entresol, ground: Ground, rows: int, seed: int) -> None:
    """Make the tables and rows of a system, and wait until replicas have them."""
    await system.prepare(ground.stores, rows, seed)
    await ground.stores.wait_for_replica()
