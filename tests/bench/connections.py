"""The load's connections to one server: enough for all its calls, whatever the server ends meanwhile."""

from __future__ import annotations

import asyncio
from collections import deque

from tests.bench.wire import STREAMS_MAX, Connection

CONNECTIONS = 4  # of a wire that takes many calls on each
SPARE = 8  # in store for those that are told to leave, beside those that will have had their streams
CONNECT_S = 30.0


class Connections:
    """The connections to one server, and slots of them that calls take and give back."""

    def __init__(self, address: str, kind: type[Connection]) -> None:
        self._address = address
        self._kind = kind
        self._connections: list[Connection] = []
        self._spare: list[Connection] = []
        self.slots: deque[int] = deque()

    async def ready(self, slots: int, calls: int = 0, connections: int = CONNECTIONS) -> None:
        """Connect, as soon as the server answers, so that as many calls find room, `slots` at a time."""
        wanted = slots if self._kind.room == 1 else min(connections, slots)
        async with asyncio.timeout(CONNECT_S):
            while len(self._connections) < wanted:
                try:
                    self._connections.append(await self._connect())
                except OSError:
                    await asyncio.sleep(0.05)
        for index, connection in enumerate(self._connections):
            if connection.leaving:
                self._connections[index] = await self._connect()
        self._spare = [one for one in self._spare if not one.leaving]
        while len(self._spare) < SPARE + calls // STREAMS_MAX:
            self._spare.append(await self._connect())
        self.slots = deque(number % wanted for number in range(slots))

    def connection(self, slot: int) -> Connection:
        """Return the connection of a slot, a new one in place of one that is told to leave."""
        if self._connections[slot].leaving and self._spare:
            self._connections[slot] = self._spare.pop()
        return self._connections[slot]

    def close(self) -> None:
        """End all connections."""
        for connection in (*self._connections, *self._spare):
            connection.close()

    async def _connect(self) -> Connection:
        host, _, port = self._address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: self._kind(self._address.encode()), host, int(port)
        )
        return connection
