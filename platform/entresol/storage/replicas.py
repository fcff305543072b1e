"""The replicas: which are live, how far behind they are, and what each has replayed, as polled every few moments."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

import asyncpg

from entresol.config import Settings
from entresol.life import Absence
from entresol.storage.connections import Address, ServerConnection, connect
from entresol.storage.server_pool import ServerPool
from entresol.storage.sql import REPLAYED, REPLICA_STATE
from entresol.storage.sqlstate import DRIVER_ERRORS

log = logging.getLogger(__name__)

_POLL_TIMEOUT_S_MIN = 0.25


@dataclass(slots=True)
class Replica:
    """One replica and what was last seen of it."""

    url: str
    address: Address
    settings: Settings
    pool: ServerPool = field(init=False)
    live: bool = False
    replayed: int = 0  # a WAL position that had been replayed at `polled_s`
    polled_s: float = 0.0  # monotonic, taken before the poll was sent
    lag_s: float = float("inf")
    absence: Absence = field(default_factory=lambda: Absence("not polled yet"))
    polled: asyncio.Event = field(default_factory=asyncio.Event)  # set once a poll has ended, whichever way
    _current_s: float = 0.0  # when it was last seen to have all that the primary had sent
    _cutting: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        """Make the pool, which connects when it is first used."""
        settings = self.settings
        self.pool = ServerPool(
            self._connect,
            settings.database_read_connections,
            settings.database_wait_s,
            f"replica:{self.address}",
            self._lost,
        )
        self._current_s = time.monotonic()

    def serves(self, at_least: int) -> bool:
        """Whether reads that need the changes up to this position may go here."""
        return self.live and self.lag_s <= self.settings.replica_lag_max_s and self.replayed >= at_least

    @property
    def seen_lag_s(self) -> float:
        """Return how far it is behind as far as can be seen; of one that is away, for how long it has not been seen."""
        return self.lag_s if self.live else time.monotonic() - self._current_s

    def position(self, connection: ServerConnection) -> int:
        """Return what was replayed before any statement that `connection` runs from now on (rule R2, fact E4).

        A replica that crashes may come back with less than it had replayed. So the polled position counts only for
        a connection that was there already when it was polled, and has lived ever since; another one knows what it
        read itself when it was made.
        """
        own = connection.replayed
        return max(own, self.replayed) if connection.made_s < self.polled_s else own

    def leave(self, error: BaseException) -> None:
        """Take no more reads until the next successful poll."""
        if self.live:
            log.warning("replica %s left: %r", self.address, error)
            self._cutting = asyncio.get_running_loop().call_later(self._patience_s(), self.pool.cut)
        self.live = False
        self.absence.begin(str(error) or type(error).__name__)
        self.polled.set()

    async def watch(self) -> None:
        """Poll for ever: leave at the first failure, return at the first success."""
        try:
            while True:
                try:
                    connection = await connect(self.url, self.address, self.settings, primary=False)
                    try:
                        await self._poll_while_it_answers(connection)
                    finally:
                        connection.terminate()
                except DRIVER_ERRORS as error:
                    self.leave(error)
                await asyncio.sleep(self.settings.replica_poll_s)
        finally:
            self._stop_cutting()

    async def _poll_while_it_answers(self, connection: ServerConnection) -> None:
        while True:
            await self._poll(connection)
            await asyncio.sleep(self.settings.replica_poll_s)

    def _poll_timeout_s(self) -> float:
        return max(2 * self.settings.replica_poll_s, _POLL_TIMEOUT_S_MIN)

    def _patience_s(self) -> float:
        """Return how long reads may still wait for a replica that has left; then another answers them sooner."""
        return self.settings.replica_failures_max * self._poll_timeout_s()

    def _stop_cutting(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None

    async def _poll(self, connection: ServerConnection) -> None:
        started_s = time.monotonic()
        record = await connection.fetchrow(REPLICA_STATE, timeout=self._poll_timeout_s())
        assert record is not None, "the query has no WHERE"
        if not record["in_recovery"]:
            self.leave(asyncpg.TargetServerAttributeNotMatched("it is no replica any more"))
            return
        # To have replayed all that was received is to be up to date only as long as more can be received.
        if record["caught_up"] and record["streaming"]:
            self._current_s = started_s
        self.replayed, self.polled_s = record["replayed"], started_s
        since_current_s = started_s - self._current_s
        # The age of the last commit replayed says nothing of a primary that commits nothing.
        self.lag_s = (
            since_current_s if record["caught_up"] else min(since_current_s, max(0.0, record["behind_s"]))
        )
        if not self.live:
            log.info("replica %s serves reads", self.address)
            self._stop_cutting()
        self.live = True
        self.absence.end()
        self.polled.set()

    def _lost(self, error: BaseException) -> None:
        self.leave(error)
        self.pool.distrust()

    async def _connect(self) -> ServerConnection:
        connection = await connect(self.url, self.address, self.settings, primary=False)
        timeout_s = self.settings.database_connect_timeout_s
        connection.replayed = await connection.fetchval(REPLAYED, timeout=timeout_s)
        return connection
