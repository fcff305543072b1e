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
from entresol.storage.standing import Standing, Standings

log = logging.getLogger(__name__)

_POLL_TIMEOUT_S_MIN = 0.25
_STAY_S = 1.0  # with a server that may answer no reads


@dataclass(slots=True)
class Replica:
    """One URL that leads to a replica, or through a balancer to one of several, and what was last seen there."""

    url: str
    address: Address
    settings: Settings
    pool: ServerPool = field(init=False)
    live: bool = False
    lag_s: float = float("inf")  # of the server that is polled
    absence: Absence = field(default_factory=lambda: Absence("not polled yet"))
    polled: asyncio.Event = field(default_factory=asyncio.Event)  # set once a poll has ended, whichever way
    standings: Standings = field(default_factory=Standings)
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

    @property
    def replayed(self) -> int:
        """Return what was replayed here, by the furthest server."""
        return self.standings.replayed

    def serves(self, at_least: int, *, alone: bool = False) -> bool:
        """Whether reads that need the changes up to this position may try here; `look` decides, by the connection.

        `alone`: the primary is away. Then a balancer is tried though nobody has heard of a server there with so much.
        """
        is_near = self.live and self.lag_s <= self.settings.replica_lag_max_s
        return is_near and (self.replayed >= at_least or (alone and self.leads_to_several))

    @property
    def leads_to_several(self) -> bool:
        """Whether another connection may lead to another server."""
        return self.standings.are_several

    @property
    def seen_lag_s(self) -> float:
        """Return how far it is behind as far as can be seen; of one that is away, for how long it has not been seen."""
        return self.lag_s if self.live else time.time() - self.absence.since_s

    async def look(self, connection: ServerConnection) -> Standing | None:
        """Return the standing of the server that `connection` leads to; None where it may not answer reads.

        That server is asked once more where nobody has for a while: behind a balancer it need not be the polled one.

        Raises:
            ConnectionError: it does not answer.
        """
        standing = connection.standing
        assert standing is not None, "connections of this pool have one"
        if time.monotonic() - standing.polled_s > self._poll_timeout_s():
            try:
                standing = await self._ask(connection)
            except TimeoutError as error:  # not to be taken for the caller's own deadline
                raise ConnectionError(f"{self.address} does not say how far it is") from error
        return standing if standing and standing.lag_s <= self.settings.replica_lag_max_s else None

    def address_of(self, standing: Standing) -> Address:
        """Return where the server is: of several behind one port, which is not theirs, its own address."""
        host, port, _ = standing.server
        return self.address if host is None or port in (None, self.address.port) else Address(host, port)

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
                        await self._poll_while_it_serves(connection)
                    finally:
                        connection.terminate()
                except DRIVER_ERRORS as error:
                    self.leave(error)
                await asyncio.sleep(self.settings.replica_poll_s)
        finally:
            self._stop_cutting()

    async def _poll_while_it_serves(self, connection: ServerConnection) -> None:
        """Poll, until the server was of no use for a while: another connection may lead to another one."""
        used_s = time.monotonic()
        while time.monotonic() - used_s < _STAY_S:
            if await self._poll(connection):
                used_s = time.monotonic()
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

    async def _poll(self, connection: ServerConnection) -> bool:
        """Ask the server, and return whether it may answer reads."""
        standing = await self._ask(connection)
        if standing is None:
            self.leave(asyncpg.TargetServerAttributeNotMatched("it is no replica any more"))
            return False
        self.lag_s = standing.lag_s
        if not self.live:
            log.info("replica %s serves reads", self.address)
            self._stop_cutting()
        self.live = True
        self.absence.end()
        self.polled.set()
        return self.lag_s <= self.settings.replica_lag_max_s

    async def _ask(self, connection: ServerConnection) -> Standing | None:
        """Ask the server that a connection leads to; None where it is no replica."""
        started_s = time.monotonic()
        record = await connection.fetchrow(REPLICA_STATE, timeout=self._poll_timeout_s())
        assert record is not None, "the query has no WHERE"
        if not record["in_recovery"]:
            return None
        standing = self.standings.of(record)
        standing.take(record, started_s)
        connection.standing = standing
        return standing

    def _lost(self, error: BaseException) -> None:
        if not self.leads_to_several:  # else the balancer leads the next connection to one that is there
            self.leave(error)
        self.pool.distrust()

    async def _connect(self) -> ServerConnection:
        connection = await connect(self.url, self.address, self.settings, primary=False)
        timeout_s = self.settings.database_connect_timeout_s
        record = await connection.fetchrow(REPLAYED, timeout=timeout_s)
        assert record is not None, "the query has no WHERE"
        connection.replayed, connection.standing = record["replayed"], self.standings.of(record)
        return connection
