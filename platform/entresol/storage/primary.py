"""The primary, wherever it is at the moment: one pool for writes, and one for the reads that no replica may answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg

from entresol.config import Settings
from entresol.errors import StoreUnavailableError
from entresol.life import Absence
from entresol.storage.connections import Address, ServerConnection, addresses, connect, kept_when_cancelled
from entresol.storage.deadline import Deadline
from entresol.storage.server_pool import ServerPool
from entresol.storage.sqlstate import DRIVER_ERRORS, is_misconfigured, meaning

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.05
_PATIENCE_S = 0.5  # a search that has lasted longer is not waited for


class Primary:
    """Finds the server that accepts writes among those of the write URL, and again whenever a connection is lost.

    Reads have connections of their own, so that no flood of them keeps a write waiting. One search at a time looks at
    all addresses at once, but for those where a replica is known to be, again and again until it finds the primary.
    Callers wait until each has refused once; from then on they hear at once that there is none.
    """

    def __init__(self, settings: Settings, is_replica: Callable[[Address], bool]) -> None:
        self._settings = settings
        self._is_replica = is_replica
        self._addresses = addresses(settings.database_write)
        self.address = self._addresses[0]  # where the primary was found last
        self.absence = Absence("not tried yet")
        self._closed = False
        self._search: asyncio.Task[None] | None = None
        self._hopeless = asyncio.Event()  # no address has the primary, as far as this search has seen
        self._hopeless_s = 0.0  # when callers stop waiting for this search, monotonic
        self._failures: dict[Address, Exception] = {}  # of this search
        wait_s = settings.database_wait_s
        self.writes = ServerPool(
            self._connect, settings.database_write_connections, wait_s, "primary:write", self._lost
        )
        self.reads = ServerPool(
            self._connect, settings.database_read_connections, wait_s, "primary:read", self._lost
        )

    @property
    def reason(self) -> str:
        """Return why the primary is away; empty while it is there."""
        return self.absence.reason

    async def find(self, deadline: Deadline) -> None:
        """Return once the primary was found or has refused everywhere, or when the time is over."""
        self._begin_search()
        await self._wait(deadline.left_s())

    async def close(self) -> None:
        """Look no more. The pools are closed by whoever closes all pools."""
        self._closed = True
        if self._search is not None:
            self._search.cancel()
            await asyncio.wait([self._search])

    def _lost(self, error: BaseException) -> None:
        """Look for the primary again before any connection is used again."""
        if not self.reason:
            self.absence.begin(str(error) or type(error).__name__)
        self.writes.distrust()
        self.reads.distrust()
        self._begin_search()

    async def _connect(self) -> ServerConnection:
        if not self.reason:
            try:
                return await self._dial(self.address)
            except DRIVER_ERRORS as error:
                self._lost(error)
        self._begin_search()
        await self._wait(self._hopeless_s - time.monotonic())
        return await self._dial(self.address)

    def _dial(self, address: Address) -> Coroutine[Any, Any, ServerConnection]:
        return connect(self._settings.database_write, address, self._settings, primary=True)

    def _begin_search(self) -> None:
        if not self._closed and (self._search is None or self._search.done()):
            self._failures.clear()
            self._hopeless.clear()
            self._hopeless_s = time.monotonic() + _PATIENCE_S
            self._search = asyncio.create_task(self._find(), name="entresol primary")

    async def _wait(self, timeout_s: float) -> None:
        """Return when the search has found the primary; raise what it met when that is not to be expected."""
        search = self._search
        if self._closed or search is None:
            raise StoreUnavailableError("this process is shutting down; ask another")
        hopeless = asyncio.ensure_future(self._hopeless.wait())
        try:
            await asyncio.wait(
                [search, hopeless], timeout=max(0.0, timeout_s), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            hopeless.cancel()
        if search.done() and not search.cancelled():
            search.result()  # a mistake of its own is the caller's to hear
            return
        failures = [*self._failures.values()]
        failure = next(filter(is_misconfigured, failures), failures[-1] if failures else None)
        if failure is None:
            raise StoreUnavailableError("the database does not answer at the moment; try again")
        raise meaning(failure, {}) or failure from failure

    async def _find(self) -> None:
        """Look everywhere until the primary is found."""
        looks = [asyncio.create_task(self._look(address)) for address in self._addresses]
        try:
            done, _ = await asyncio.wait(looks, return_when=asyncio.FIRST_COMPLETED)
            self.address = done.pop().result()
            self.absence.end()
        finally:
            for look in looks:
                look.cancel()

    async def _look(self, address: Address) -> Address:
        """Return the address when the primary answers there."""
        while True:
            if self._is_replica(address):
                self._missed(address, asyncpg.TargetServerAttributeNotMatched("it is a replica"))
            else:
                try:
                    connection = await kept_when_cancelled(self._dial(address))
                except DRIVER_ERRORS as error:
                    self._missed(address, error)
                else:
                    connection.terminate()
                    return address
            await asyncio.sleep(_LOOK_AGAIN_S)

    def _missed(self, address: Address, error: Exception) -> None:
        self._failures[address] = error
        if len(self._failures) == len(self._addresses) and not self._hopeless.is_set():
            self.absence.begin("; ".join(f"{where}: {why}" for where, why in self._failures.items()))
            log.warning("no primary: %s", self.reason)
            self._hopeless.set()
