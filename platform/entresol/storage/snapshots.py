"""What new readers of the primary see, asked again and again on one connection: the relay's gate."""

from __future__ import annotations

from contextlib import AsyncExitStack

import asyncpg

from entresol.errors import StoreUnavailableError
from entresol.storage.administration import connect_primary
from entresol.storage.connections import Connection

TIMEOUT_S = 5.0
_SELECT = "SELECT pg_current_snapshot()::text, extract(epoch FROM clock_timestamp())::double precision"


class Snapshots:
    """Takes snapshots of the primary; connects when first asked, and again after a failure."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = AsyncExitStack()
        self._connection: Connection | None = None

    async def take(self) -> tuple[str, float]:
        """Return `pg_current_snapshot()` as text, and the primary's clock in seconds since the epoch.

        Raises:
            StoreUnavailableError: no server accepts writes, or it did not answer in time.
        """
        try:
            if self._connection is None:
                self._connection = await self._stack.enter_async_context(connect_primary(self._url))
            row = await self._connection.fetchrow(_SELECT, timeout=TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self.close()
            raise StoreUnavailableError(f"the primary shows no snapshot: {error!r}") from error
        assert row is not None
        return row[0], row[1]

    async def close(self) -> None:
        """End the connection; the next `take` makes another."""
        self._connection = None
        await self._stack.aclose()
