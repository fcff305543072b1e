"""A bounded pool of connections to one role: the primary wherever it is, or one replica."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from entresol import telemetry
from entresol.errors import DeadlineExceededError, ResourceExhaustedError, StoreUnavailableError
from entresol.life import Facts
from entresol.storage.connections import ServerConnection, kept_when_cancelled
from entresol.storage.deadline import Deadline
from entresol.storage.sql import PING, ROLLBACK
from entresol.storage.sqlstate import DRIVER_ERRORS, is_server_gone

log = logging.getLogger(__name__)

# How long a connection is given to become fit for the next caller, before it is cut.
_RELEASE_S = 2.0
# Firewalls forget a silent connection without telling either end; one that rested longer is not trusted.
_REST_S_MAX = 300.0
# After these the connection may have a cancelled statement to wait for; the caller has waited long enough.
_INTERRUPTED = (asyncio.CancelledError, GeneratorExit, TimeoutError, DeadlineExceededError)

Connect = Callable[[], Coroutine[Any, Any, ServerConnection]]


class ServerPool:
    """At most `size` connections, opened when needed, each lent to one caller at a time.

    The driver's own pool costs a task, two timers and a proxy for every loan, which is more than a query by key.
    `lost` is told whenever a connection, or the attempt to make one, shows that the server is of no use.
    """

    def __init__(
        self, connect: Connect, size: int, wait_s: float, label: str, lost: Callable[[BaseException], None]
    ) -> None:
        self._connect = connect
        self._wait_s = wait_s
        self._label = {telemetry.SERVER: label}
        self._lost = lost
        self._size = size
        self._closed = False
        self._slots = asyncio.Semaphore(size)
        self._resting: list[ServerConnection] = []  # the one used last comes first again
        self._lent: set[ServerConnection] = set()
        self._returning: set[asyncio.Task[None]] = set()
        self._trusted_s = time.monotonic()  # connections made before this moment are not used again
        self.outstanding = 0  # callers that hold a connection or wait for one

    @property
    def connected(self) -> int:
        """Return how many connections are open."""
        return sum(not connection.is_closed() for connection in (*self._resting, *self._lent))

    def facts(self) -> Facts:
        """Return its state: of at most `size` connections, those in use and those idle; and callers that wait."""
        idle = sum(not connection.is_closed() for connection in self._resting)
        in_use = len(self._lent)
        return {"size": self._size, "in_use": in_use, "idle": idle, "waiting": self.outstanding - in_use}

    @asynccontextmanager
    async def lend(self, deadline: Deadline) -> AsyncIterator[ServerConnection]:
        """Lend a connection; it comes back in a state fit for the next caller, or is closed.

        Raises:
            ResourceExhaustedError: none became free in time.
            Whatever `connect` raises, when a new one was needed.
        """
        if self._closed:
            raise StoreUnavailableError("this process is shutting down; ask another")
        started_s = time.perf_counter()
        self.outstanding += 1
        try:
            await self._take_slot(deadline)
            try:
                connection = self._rested() or await self._new(deadline)
            except BaseException as error:
                self._slots.release()
                self._judge(error)
                raise
        except BaseException as error:
            self.outstanding -= 1
            if isinstance(error, ResourceExhaustedError):  # who waits in vain has waited longest
                telemetry.POOL_WAIT.record(time.perf_counter() - started_s, self._label)
            raise
        self._lent.add(connection)
        telemetry.POOL_WAIT.record(time.perf_counter() - started_s, self._label)
        try:
            yield connection
        except BaseException as error:
            self._judge(error)
            task = asyncio.get_running_loop().create_task(self._give_back(connection, interrupted=True))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)
            if not isinstance(error, _INTERRUPTED):
                await asyncio.shield(task)
            raise
        await self._give_back(connection)

    def distrust(self) -> None:
        """Make every connection anew before its next use, because the server it leads to may be the wrong one."""
        self._trusted_s = time.monotonic()

    def cut(self) -> None:
        """Close every connection at once; whoever waits on one sees it break."""
        self.distrust()
        for connection in [*self._resting, *self._lent]:
            connection.terminate()
        self._resting.clear()

    async def close(self, grace_s: float) -> None:
        """Lend no more, wait this long for what is lent to come back, then close everything."""
        self._closed = True
        try:
            async with asyncio.timeout(grace_s):
                for _ in range(self._size):
                    await self._slots.acquire()
                for connection in self._resting:
                    await connection.close()
        except (TimeoutError, *DRIVER_ERRORS) as error:
            log.warning("connections to %s are cut: %r", self._label, error)
        self.cut()

    async def _take_slot(self, deadline: Deadline) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(min(self._wait_s, deadline.left_s())):
                await self._slots.acquire()
        except TimeoutError as error:
            raise ResourceExhaustedError(
                "every database connection is in use; try again, or raise the limit on connections"
            ) from error

    def _rested(self) -> ServerConnection | None:
        """Return a connection that can be used again, and drop those that cannot."""
        now_s = time.monotonic()
        while self._resting:
            connection = self._resting.pop()
            fresh = now_s - connection.used_s < _REST_S_MAX
            if not connection.is_closed() and connection.made_s > self._trusted_s and fresh:
                return connection
            connection.terminate()
        return None

    async def _new(self, deadline: Deadline) -> ServerConnection:
        try:
            async with asyncio.timeout(deadline.left_s()):
                return await kept_when_cancelled(self._connect())
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline passed before the database could be reached") from error

    def _judge(self, error: BaseException) -> None:
        if is_server_gone(error):
            self._lost(error)

    async def _give_back(self, connection: ServerConnection, *, interrupted: bool = False) -> None:
        try:
            if not connection.is_closed():
                await _make_fit(connection, interrupted=interrupted)
            connection.used_s = time.monotonic()
        except BaseException as error:
            connection.terminate()
            if not isinstance(error, DRIVER_ERRORS):
                raise
            log.info("a connection to %s was closed as it came back: %r", self._label, error)
        finally:
            self._lent.discard(connection)
            if not connection.is_closed():
                self._resting.append(connection)
            self.outstanding -= 1
            self._slots.release()


async def _make_fit(connection: ServerConnection, *, interrupted: bool) -> None:
    """End what the last caller left: a transaction, a statement that is being cancelled, a changed session.

    While an answer is on its way the connection may be cut; then it has no state any more, and needs none.
    """
    if interrupted and not connection.is_in_transaction():
        # What was under way when the caller left may have begun a transaction: the next answer tells.
        await connection.execute(PING, timeout=_RELEASE_S)
    if not connection.is_closed() and connection.is_in_transaction():
        await connection.execute(ROLLBACK, timeout=_RELEASE_S)
    if not connection.is_closed() and connection.raw:
        await connection.reset(timeout=_RELEASE_S)
        connection.raw = False
