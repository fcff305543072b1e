"""How commands run: one event loop, until done or until SIGINT or SIGTERM; those that serve have an admin port."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import click
import uvloop

from entresol.config import Settings
from entresol.life import Life

Result = TypeVar("Result")
SERVER = "server"

# So many objects more than before, and the collector looks at the youngest; so often, and it looks at the next older.
_THRESHOLDS = (5_000, 20, 20)


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run `main` on uvloop and return its result."""
    return uvloop.run(main)


def settle_memory() -> None:
    """Let the garbage collector look no more at what was made so far, which lasts as long as the process.

    A server's model alone is hundreds of thousands of objects: each full collection walked them all, for a tenth of a
    second in which nobody was answered. What calls make afterwards hardly ever needs the collector (http2's leave no
    cycle at all, calls that grpcio refuses a small one), so it looks after every 5,000 objects, not 700.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


@asynccontextmanager
async def living(settings: Settings, role: str, *, say: bool = True) -> AsyncIterator[Life]:
    """Give the life of a process that lasts, with its telemetry and its admin port for as long as the block.

    The port is said, too.
    """
    from entresol.transport.admin.server import open_admin  # here, for most commands have no need of it

    life = Life(role)
    service = "entresol" if role == SERVER else f"entresol-{role}"
    async with (
        telemetry_of(settings, service, keep=bool(settings.admin_listen)),
        open_admin(settings, life) as admin,
    ):
        if admin is not None:
            life.address = f"{settings.admin_listen.rpartition(':')[0]}:{admin.port}"
        if admin is not None and say:
            click.echo(f"admin on {life.address}")
        yield life


@asynccontextmanager
async def telemetry_of(settings: Settings, service: str, *, keep: bool = False) -> AsyncIterator[None]:
    """Record while the block lasts, if somebody is to hear of it; what is left is sent when it ends."""
    if not settings.telemetry and not keep:
        yield
        return
    from entresol import collection  # likewise

    collection.start(service, send=settings.telemetry, keep=keep)
    try:
        yield
    finally:
        await asyncio.to_thread(
            collection.stop
        )  # it waits for the collector, and probes are answered meanwhile


async def until_over(work: Coroutine[Any, Any, None], life: Life, what: str) -> None:
    """Do `work`, which never ends by itself, until told to stop."""
    working = asyncio.create_task(work, name=f"entresol {life.role}")
    told = asyncio.create_task(until_told(life.ready), name="signal")
    settle_memory()
    click.echo(what)
    await asyncio.wait((working, told), return_when=asyncio.FIRST_COMPLETED)
    life.drain()
    told.cancel()
    if working.done():
        working.result()
    working.cancel()
    await asyncio.wait((working,))


async def until_told(ready: Callable[[], object] | None = None) -> str:
    """Return the name of the signal that asks this process to end. The next one ends it at once.

    `ready` is called once signals are heard: whoever is told by it may send one at once.
    """
    with hearing() as told:
        if ready is not None:
            ready()
        return await told


@contextmanager
def hearing() -> Iterator[asyncio.Future[str]]:
    """Hear signals while the block lasts; the future is the name of the first that asks to end. The next ends it all.

    Begin before others know of this process: until then a signal kills it, whatever it has begun.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()

    def tell(name: str) -> None:
        told.set_result(name)
        be_killed()

    def be_killed() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            if loop.remove_signal_handler(number):
                signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, tell, number.name)
    try:
        yield told
    finally:
        be_killed()
