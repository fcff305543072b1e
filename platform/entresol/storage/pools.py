"""Every database connection of this process: writes go to the primary, reads to the replica with the least to do."""

from __future__ import annotations

import asyncio
import logging
import math
import time
import weakref
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal, Self

from entresol import telemetry
from entresol.config import Settings
from entresol.errors import ConfigurationError, StoreUnavailableError
from entresol.life import Absence, Facts
from entresol.positions import lsn_text
from entresol.storage.connections import Address, ServerConnection, addresses
from entresol.storage.deadline import Deadline
from entresol.storage.primary import Primary
from entresol.storage.replicas import Replica
from entresol.storage.server_pool import ServerPool
from entresol.storage.sqlstate import is_misconfigured, is_server_gone

log = logging.getLogger(__name__)

_CLOSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Source:
    """Who answered a read."""

    kind: Literal["primary", "replica"]
    address: str

    def __str__(self) -> str:
        """Return the form that callers see; which server is primary is none of their business."""
        return self.kind if self.kind == "primary" else f"{self.kind}:{self.address}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A connection for reads. `position` was replayed there before now; None on the primary (rule R2)."""

    connection: ServerConnection
    source: Source
    position: int | None


@dataclass(frozen=True, slots=True)
class ServerState:
    """What is known of one server: as telemetry tells it. `reason`, why it is away, holds since `since_s`."""

    role: Literal["primary", "replica", "queue"]  # the last is the primary of the queue's own cluster
    address: str
    live: bool
    lag_s: float
    replayed: int
    connections: int
    outstanding: int
    reason: str
    since_s: float
    pools: Mapping[str, ServerPool]

    def facts(self) -> Facts:
        """Return it as JSON has it."""
        away = Absence(self.reason, self.since_s).facts()
        replica = (
            {}
            if self.role != "replica"
            else {"lag_s": _seconds(self.lag_s), "replayed": lsn_text(self.replayed)}
        )
        pools = {name: pool.facts() for name, pool in self.pools.items()}
        return {
            "role": self.role,
            "address": self.address,
            "live": self.live,
            **away,
            **replica,
            "pools": pools,
        }


class Pools:
    """The pools of one process. `open` makes it; whoever opened it closes it.

    `queue` are those of the cluster that has the queue: these, unless `database_jobs` names another.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._replicas = [Replica(url, addresses(url)[0], settings) for url in settings.database_read]
        self._primary = Primary(settings, self._is_replica)
        self._turn = 0
        self._watching: asyncio.Task[None] | None = None
        self.queue = Pools(_of_queue(settings)) if settings.database_jobs else self

    @classmethod
    async def open(cls, settings: Settings) -> Self:
        """Connect, and return once every replica was polled or has failed to answer.

        Raises:
            ConfigurationError: a URL is none, or the server refuses its user, password or database.
            StoreUnavailableError: neither the primary nor any replica can be reached.
        """
        pools = cls(settings)
        try:
            await pools._start()
        except BaseException:
            await pools.close()
            raise
        _opened.add(pools)
        return pools

    async def close(self) -> None:
        """Stop polling, wait a little for connections to come back, and close them."""
        _opened.discard(self)
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        if self.queue is not self:
            await self.queue.close()
        await self._primary.close()
        await asyncio.gather(*(pool.close(_CLOSE_S) for pool in self._pools()))

    @asynccontextmanager
    async def write(self, *, timeout_s: float | None = None) -> AsyncIterator[ServerConnection]:
        """Lend a connection to the primary.

        Raises:
            ResourceExhaustedError: none became free within `database_wait_s`.
            StoreUnavailableError: no server that accepts writes can be reached.
        """
        async with self._primary.writes.lend(self.deadline(timeout_s)) as connection:
            yield connection

    @asynccontextmanager
    async def read(
        self, at_least: int = 0, *, hint: int = 0, primary: bool = False, timeout_s: float | None = None
    ) -> AsyncIterator[Lease]:
        """Lend a connection to a replica that has replayed `at_least`, and `hint`, too, or else to the primary.

        The caller can do without `hint`: while the primary is away a replica that has `at_least` will do. While no
        server that may answer can be had, one is waited for `database_wait_s`, for roles may just be changing hands.

        Raises:
            ResourceExhaustedError: none became free within `database_wait_s`.
            StoreUnavailableError: no server that may answer can be reached.
        """
        deadline = self.deadline(timeout_s)
        until_s = time.monotonic() + self.settings.database_wait_s
        while True:
            lent = False
            alone = bool(self._primary.reason)  # whether replicas are all there is
            needed = at_least if alone else max(at_least, hint)
            try:
                for replica in [] if primary else self._choices(needed, alone=alone):
                    try:
                        async with replica.pool.lend(deadline) as connection:
                            if lease := await self._lease(replica, connection, needed, alone=alone):
                                lent = True
                                yield lease
                                return
                    except Exception as error:
                        if lent or not is_server_gone(error):
                            raise
                async with self._primary.reads.lend(deadline) as connection:
                    lent = True
                    yield Lease(connection, Source("primary", str(self._primary.address)), None)
                    return
            except StoreUnavailableError:
                if lent or primary or time.monotonic() > until_s or not self._may_replicas_come():
                    raise
            await asyncio.sleep(self.settings.replica_poll_s / 2)

    async def _lease(
        self, replica: Replica, connection: ServerConnection, needed: int, *, alone: bool
    ) -> Lease | None:
        """Return the lease of a connection for reads; None where the server that it leads to may not answer."""
        standing = await replica.look(connection)
        if standing is not None:
            position = standing.position(connection.replayed, connection.made_s)
            if position >= needed:
                return Lease(connection, Source("replica", str(replica.address_of(standing))), position)
        if standing is None or (alone and replica.leads_to_several):
            connection.terminate()  # the next one may lead to another server
        return None

    def _may_replicas_come(self) -> bool:
        """Tell whether a replica answers, or did a moment ago: one that has been away for longer is not waited for."""
        return any(
            replica.live or replica.seen_lag_s < self.settings.database_wait_s for replica in self._replicas
        )

    def servers(self) -> list[ServerState]:
        """Return what is known of each server, the primary first."""
        primary = self._primary
        pools = (primary.writes, primary.reads)
        return [
            ServerState(
                role="primary",
                address=str(primary.address),
                live=not primary.reason,
                lag_s=0.0,
                replayed=0,
                connections=sum(pool.connected for pool in pools),
                outstanding=sum(pool.outstanding for pool in pools),
                reason=primary.reason,
                since_s=primary.absence.since_s,
                pools={"write": primary.writes, "read": primary.reads},
            ),
            *(_replica_state(replica) for replica in self._replicas),
            *(replace(state, role="queue") for state in self._queue_servers()),
        ]

    def require_primary(self) -> None:
        """Raise StoreUnavailableError while the primary is known to be away; nobody is asked."""
        if self._primary.reason:
            raise StoreUnavailableError("the database cannot be reached at the moment; try again")

    def deadline(self, timeout_s: float | None) -> Deadline:
        """Return the moment by which a call must be done; None gives it `database_statement_timeout_s`."""
        return Deadline.after(self.settings.database_statement_timeout_s if timeout_s is None else timeout_s)

    async def _start(self) -> None:
        if self._replicas:
            self._watching = asyncio.create_task(self._watch(), name="entresol replicas")
            self._watching.add_done_callback(self._watch_ended)
        polled = (replica.polled.wait() for replica in self._replicas)
        _, failure, _ = await asyncio.gather(asyncio.gather(*polled), self._try_primary(), self._try_queue())
        if failure is None:
            return
        cause = failure.__cause__
        if cause is not None and is_misconfigured(cause):
            raise ConfigurationError(
                f"the database refuses the URL of ENTRESOL_DATABASE_WRITE: {cause}"
            ) from failure
        if not any(replica.live for replica in self._replicas):
            where = ", ".join(map(str, addresses(self.settings.database_write)))
            is_default = self.settings.database_write == Settings().database_write
            says = (
                "the default, for no `entresol up` runs in this folder"
                if is_default
                else "where ENTRESOL_DATABASE_WRITE says"
            )
            raise StoreUnavailableError(
                f"no database answers at {where}, {says}: {self._primary.reason}"
            ) from cause

    async def _try_primary(self) -> StoreUnavailableError | None:
        try:
            await self._primary.find(self.deadline(self.settings.database_connect_timeout_s))
            async with self.write():
                return None
        except StoreUnavailableError as error:
            return error

    async def _try_queue(self) -> None:
        """Look for the queue's own cluster; one that is away is waited for by who needs it."""
        failure = None if self.queue is self else await self.queue._try_primary()
        if failure is not None:
            if (cause := failure.__cause__) is not None and is_misconfigured(cause):
                raise ConfigurationError(
                    f"the database refuses the URL of ENTRESOL_DATABASE_JOBS: {cause}"
                ) from failure
            log.warning("the cluster of the queue does not answer: %s", failure.message)

    def _queue_servers(self) -> list[ServerState]:
        return [] if self.queue is self else self.queue.servers()

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            for replica in self._replicas:
                group.create_task(replica.watch(), name=f"entresol replica {replica.address}")

    def _watch_ended(self, task: asyncio.Task[None]) -> None:
        """Read from the primary alone when polling has died, which only a mistake in it can do."""
        if task.cancelled():
            return
        error = task.exception() or RuntimeError("polling ended")
        log.critical("replicas are no longer polled; all reads go to the primary", exc_info=error)
        for replica in self._replicas:
            replica.leave(error)

    def _is_replica(self, address: Address) -> bool:
        return any(replica.live and replica.address == address for replica in self._replicas)

    def _choices(self, at_least: int, *, alone: bool) -> Iterable[Replica]:
        """Return the replicas that may answer, the one with the least to do first, equals in turn."""
        self._turn += 1
        first = self._turn % max(1, len(self._replicas))
        around = self._replicas[first:] + self._replicas[:first]
        serving = [replica for replica in around if replica.serves(at_least, alone=alone)]
        return sorted(serving, key=lambda replica: replica.pool.outstanding)

    def _pools(self) -> list[ServerPool]:
        return [self._primary.writes, self._primary.reads, *(replica.pool for replica in self._replicas)]


def _of_queue(settings: Settings) -> Settings:
    """Return the settings of pools for the queue's own cluster, of which only the primary is asked."""
    return replace(settings, database_write=settings.database_jobs, database_read=(), database_jobs="")


def _replica_state(replica: Replica) -> ServerState:
    return ServerState(
        role="replica",
        address=str(replica.address),
        live=replica.serves(0),
        lag_s=replica.seen_lag_s,
        replayed=replica.replayed,
        connections=replica.pool.connected,
        outstanding=replica.pool.outstanding,
        reason=replica.absence.reason,
        since_s=replica.absence.since_s,
        pools={"read": replica.pool},
    )


def _seconds(lag_s: float) -> float | None:
    """Return a lag as JSON can hold it; None where it is not known."""
    return None if math.isinf(lag_s) else round(lag_s, 3)


_opened: weakref.WeakSet[Pools] = weakref.WeakSet()


def _observe_use(_: telemetry.CallbackOptions) -> Iterable[telemetry.Observation]:
    for pools in _opened:
        for state in pools.servers():
            server = {telemetry.SERVER: f"{state.role}:{state.address}"}
            yield telemetry.Observation(state.connections, {**server, "state": "open"})
            yield telemetry.Observation(state.outstanding, {**server, "state": "used"})


def _observe_lag(_: telemetry.CallbackOptions) -> Iterable[telemetry.Observation]:
    for pools in _opened:
        for state in pools.servers():
            if state.role == "replica":
                yield telemetry.Observation(state.lag_s, {telemetry.SERVER: state.address})


telemetry.meter.create_observable_gauge(
    telemetry.POOL_USE, [_observe_use], description="Database connections"
)
telemetry.meter.create_observable_gauge(
    telemetry.REPLICA_LAG, [_observe_lag], unit="s", description="Replica lag"
)
