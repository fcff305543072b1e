"""How commands run: one event loop, until done or until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

Result = TypeVar("Result")

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


async def until_told(ready: Callable[[], object] | None = None) -> str:
    """Return the name of the signal that asks this process to end.

    `ready` is called once signals are heard: whoever is told by it may send one at once.
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()

    def tell(name: str) -> None:
        if not told.done():
            told.set_result(name)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, tell, number.name)
    try:
        if ready is not None:
            ready()
        return await told
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
