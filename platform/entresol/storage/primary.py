"""The primary, wherever it is at the moment: one pool for writes, and one for the reads that no replica may answer."""

from __future__ import annotations

import logging
import time

from entresol.config import Settings
from entresol.errors import StoreUnavailableError
from entresol.storage.connections import Address, ServerConnection, addresses, connect
from entresol.storage.server_pool import ServerPool
from entresol.storage.sqlstate import DRIVER_ERRORS, meaning

log = logging.getLogger(__name__)

_LOOK_AGAIN_S = 0.05
_KNOWN_S = 5.0  # longer than this ago, a failed look says nothing of now


class Primary:
    """Finds the server that accepts writes among those of the write URL, and again whenever a connection is lost.

    Reads have connections of their own, so that no flood of them keeps a write waiting. While none is found, one
    caller at a time looks, and the others hear at once what the last look found.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._addresses = addresses(settings.database_write)
        self._first = 0  # index of the address to try first
        self._failure: Exception | None = None  # how the last look failed; None after one that did not
        self._looking = False
        self._failed_s = 0.0  # when that was, monotonic
        self.reason = "not tried yet"  # why the primary is away; "" while it is there
        wait_s = settings.database_wait_s
        self.writes = ServerPool(
            self._connect, settings.database_write_connections, wait_s, "primary:write", self._lost
        )
        self.reads = ServerPool(
            self._connect, settings.database_read_connections, wait_s, "primary:read", self._lost
        )

    @property
    def address(self) -> Address:
        """Return where the primary was found last, or is looked for first."""
        return self._addresses[self._first]

    def _lost(self, error: BaseException) -> None:
        """Look for the primary again before any connection is used again."""
        self.reason = str(error) or type(error).__name__
        self.writes.distrust()
        self.reads.distrust()

    async def _connect(self) -> ServerConnection:
        failure, since_s = self._failure, time.monotonic() - self._failed_s
        if failure is not None and since_s < (_KNOWN_S if self._looking else _LOOK_AGAIN_S):
            raise meaning(failure, {}) or failure from failure
        self._looking = True
        try:
            return await self._look()
        finally:
            self._looking = False

    async def _look(self) -> ServerConnection:
        failure: Exception = StoreUnavailableError("no database server is configured")
        first = self._first
        for index in [*range(first, len(self._addresses)), *range(first)]:
            # Whoever comes while this one hangs begins with the next.
            self._first = (index + 1) % len(self._addresses)
            try:
                connection = await connect(
                    self._settings.database_write, self._addresses[index], self._settings, primary=True
                )
            except DRIVER_ERRORS as error:
                failure = error
            else:
                self._first = index
                self._failure, self.reason = None, ""
                return connection
        self._failure, self._failed_s = failure, time.monotonic()
        self.reason = str(failure) or type(failure).__name__
        log.warning("no primary among %s: %r", ", ".join(map(str, self._addresses)), failure)
        raise meaning(failure, {}) or failure from failure
