"""Threads of one run: whoever leaves has waited for them, however it came to that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

Result = TypeVar("Result")
READERS = 2


class Threads:
    """Runs functions beside the event loop. They look at `stop` now and then, for nothing else can end them."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._pool = ThreadPoolExecutor(READERS, "entresol batch")

    def call(self, function: Callable[..., Result], *arguments: Any) -> asyncio.Future[Result]:
        """Return what will have what the function returns."""
        return asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    async def close(self) -> None:
        """Return once no function runs any more."""
        self.stop.set()
        self._pool.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._pool.shutdown)


@asynccontextmanager
async def threads(interrupt: Callable[[], object] = lambda: None) -> AsyncGenerator[Threads]:
    """Give threads; `interrupt` ends what they wait for when the block ends."""
    some = Threads()
    try:
        yield some
    finally:
        some.stop.set()
        interrupt()
        await asyncio.shield(some.close())
