"""A plain function in a thread of its own, which may wait for coroutines of the event loop and hears when to end."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

_Outcome = tuple[Any, BaseException | None]


class Thread:
    """The thread of one function, made in the event loop that its coroutines run in.

    Nobody can end a thread: it ends when the function does. So it is a daemon, which no process waits for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop, self._home = asyncio.get_running_loop(), threading.get_ident()
        self._ended: asyncio.Future[_Outcome] = self._loop.create_future()
        self._is_told = False
        self._awaited: set[concurrent.futures.Future[Any]] = set()

    async def call(self, work: Callable[[], Result]) -> Result:
        """Return what `work` returns. Who cancels this tells the thread to end, and has it wait until it has."""
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._run, work), name=self._name, daemon=True).start()
        try:
            result, error = await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            self._tell()
            await asyncio.wait((self._ended,))
            raise
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def wait(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Return what a coroutine returns, which the event loop runs while this thread waits.

        Raises:
            RuntimeError: the event loop would wait for itself.
            asyncio.CancelledError: the thread was told to end.
        """
        if threading.get_ident() == self._home:
            work.close()
            raise RuntimeError("a coroutine awaits what it waits for: only a plain function runs it so")
        awaited = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._awaited.add(awaited)
        if self._is_told:
            awaited.cancel()
        try:
            return awaited.result()
        except concurrent.futures.CancelledError:
            raise asyncio.CancelledError from None
        finally:
            self._awaited.discard(awaited)

    def check(self) -> None:
        """Raise asyncio.CancelledError once the thread was told to end."""
        if self._is_told:
            raise asyncio.CancelledError

    def _tell(self) -> None:
        self._is_told = True
        for awaited in [*self._awaited]:
            awaited.cancel()

    def _run(self, work: Callable[[], Any]) -> None:
        outcome: _Outcome
        try:
            outcome = (work(), None)
        except SystemExit:
            outcome = (None, RuntimeError("the function wanted to end the process"))
        except BaseException as error:
            outcome = (None, error)
        with suppress(RuntimeError):  # nobody is there any more
            self._loop.call_soon_threadsafe(self._ended.set_result, outcome)
