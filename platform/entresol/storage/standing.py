"""What is known of one running replica: how far it has replayed and how far it is behind, whoever asked it last."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import asyncpg

_LATELY_S = 60.0
_SERVERS_MAX = 16  # behind one URL; each start of one counts


class Server(NamedTuple):
    """One run of one server, as it tells itself: what a URL leads to may be another for each connection."""

    host: str | None  # None: it was reached through a Unix socket
    port: int | None
    start: Any  # when it was started


@dataclass(slots=True)
class Standing:
    """What a server said last. Moments are monotonic seconds."""

    server: Server
    replayed: int = 0  # a WAL position that had been replayed at `polled_s`
    polled_s: float = 0.0  # taken before the question was sent
    lag_s: float = float("inf")
    _current_s: float = field(default_factory=time.monotonic)  # when it had all that the primary had sent

    def take(self, record: asyncpg.Record, started_s: float) -> None:
        """Take the answer of REPLICA_STATE to what was asked at `started_s`."""
        # To have replayed all that was received is to be up to date only as long as more can be received.
        if record["caught_up"] and record["streaming"]:
            self._current_s = started_s
        self.replayed, self.polled_s = record["replayed"], started_s
        since_current_s = started_s - self._current_s
        # The age of the last commit replayed says nothing of a primary that commits nothing.
        self.lag_s = (
            since_current_s if record["caught_up"] else min(since_current_s, max(0.0, record["behind_s"]))
        )

    def position(self, replayed: int, made_s: float) -> int:
        """Return what was replayed before any statement that a connection runs from now on (rule R2, fact E4).

        The connection was made at `made_s`, when `replayed` was. A replica that crashes may come back with less than it
        had replayed. So what was polled counts only for a connection that was there already, and has lived ever since;
        another one knows what it read itself when it was made.
        """
        return max(replayed, self.replayed) if made_s < self.polled_s else replayed


class Standings:
    """The standings of the servers behind one URL: of a balancer's there are several, of any other one at a time."""

    def __init__(self) -> None:
        self._by_server: dict[Server, Standing] = {}

    def of(self, record: asyncpg.Record) -> Standing:
        """Return the standing of the server that a record of SERVER names."""
        server = Server(record["host"], record["port"], record["start"])
        standing = self._by_server.get(server)
        if standing is None:
            if len(self._by_server) == _SERVERS_MAX:
                del self._by_server[min(self._by_server, key=lambda known: self._by_server[known].polled_s)]
            standing = self._by_server[server] = Standing(server)
        return standing

    @property
    def are_several(self) -> bool:
        """Whether there was more than one of them lately, so that one that goes away says nothing of the others."""
        since_s = time.monotonic() - _LATELY_S
        return (
            len({known[:2] for known, standing in self._by_server.items() if standing.polled_s > since_s}) > 1
        )

    @property
    def replayed(self) -> int:
        """Return what the furthest of them has replayed."""
        return max((standing.replayed for standing in self._by_server.values()), default=0)
