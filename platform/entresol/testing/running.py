"""A platform and its relay in a thread of their own, for tests that call it as a client would."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Self, TypeVar

from entresol.app import Platform, relaying, working
from entresol.config import Settings
from entresol.schedules.by_hand import next_time, run_now
from entresol.service.enqueue import operation_name
from entresol.service.registry import Registry, registry
from entresol.service.schedules import declared, policies
from entresol.storage.schedules import Schedules
from entresol.storage.timetable import Timetable

Result = TypeVar("Result")
START_S = 30.0
STOP_S = 15.0


class RunningPlatform:
    """Serves while its block lasts, on a free port of the loopback address.

    `relay=False` leaves the cache without the relay, for tests of what happens then. `functions` are the custom methods
    and the policy, in place of what `settings.functions` registers.
    """

    def __init__(self, settings: Settings, *, relay: bool = True, functions: Registry | None = None) -> None:
        self.settings = settings
        self.address = ""
        self.web_address = ""  # when `settings.web_listen` is given
        self.workers = 0
        self._relay = relay
        self._functions = functions
        self._ready: Future[Platform] = Future()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="entresol platform", daemon=True)
        self._stop: asyncio.Event | None = None

    @property
    def platform(self) -> Platform:
        """Return the platform; use it only through `run`."""
        return self._ready.result(START_S)

    def run(self, work: Coroutine[Any, Any, Result], *, timeout_s: float = 30.0) -> Result:
        """Run `work` in the platform's own event loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Run a worker of all queues, in the platform's own event loop, while the block lasts.

        What runs at the block's end may end for `drain_s`; then, and if it was not begun, it is left to other workers.
        """
        over, begun = asyncio.Event(), Future[None]()
        work = asyncio.run_coroutine_threadsafe(self._work(begun, over), self._loop)
        wait((begun, work), START_S, FIRST_COMPLETED)
        if not begun.done():
            work.result(0)  # why it was not begun
        self.workers += 1
        try:
            yield
        finally:
            self.workers -= 1
            self._loop.call_soon_threadsafe(over.set)
            work.result(START_S + self.settings.drain_s)

    def run_schedule(self, name: str) -> str:
        """Declare the schedules as a worker does, put in the job of this one, and return its operation's name."""
        return self.run(_run_schedule(self.platform, self._functions or registry, name))

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._ready.result(START_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop.is_closed():
            return
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_S)

    def _run(self) -> None:
        # The runner, unlike the bare loop, lets what was closed at the end come to its end.
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                if self._ready.done():
                    raise
                self._ready.set_exception(error)

    async def _work(self, begun: Future[None], over: asyncio.Event) -> None:
        # In one task from start to end, as the command does.
        async with working(self.settings, self.platform.model, functions=self._functions):
            begun.set_result(None)
            await over.wait()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with AsyncExitStack() as stack:
            if self._relay and self.settings.cache_url:
                await stack.enter_async_context(relaying(self.settings))
            platform = await stack.enter_async_context(
                await Platform.open(self.settings, functions=self._functions)
            )
            server = await platform.serve()
            self.address = f"127.0.0.1:{server.port}"
            if web := await platform.serve_web():
                self.web_address = f"127.0.0.1:{web.port}"
            self._ready.set_result(platform)
            await self._stop.wait()


async def _run_schedule(platform: Platform, functions: Registry, name: str) -> str:
    schedules, timetable = Schedules(platform.pools), Timetable(platform.pools)
    now = await schedules.now()
    for one in declared(platform.model, functions):
        await schedules.declare(one, next_time(one, now))
    return operation_name(await run_now(timetable, policies(platform.model), name))
