"""The connections of one server, by number, and what happened on all of them, those that have ended included."""

from __future__ import annotations

import itertools
from typing import cast

from entresol.transport import listener
from entresol.transport.http2.connection import Connection
from entresol.transport.http2.counters import Counters
from entresol.transport.listener import Owner

NUMBERS = itertools.count(1)  # of servers and sockets, in one process: no two have the same


class Connections:
    """The owner of one server's connections: it numbers them, and adds up what those did that have ended."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._numbers: dict[Connection, int] = {}
        self._ended = Counters()

    def opened(self, connection: listener.Connection) -> None:
        """Take note of a connection that is there."""
        self._numbers[cast(Connection, connection)] = next(NUMBERS)
        self._owner.opened(connection)

    def lost(self, connection: listener.Connection) -> None:
        """Let go of a connection that has ended."""
        ended = cast(Connection, connection)
        del self._numbers[ended]
        ended.counters.end()
        self._ended.add(ended.counters)
        self._owner.lost(connection)

    def by_number(self) -> dict[int, Connection]:
        """Return those that are there, by their numbers, which rise."""
        return {number: connection for connection, number in self._numbers.items()}

    def counted(self) -> Counters:
        """Return what happened on all that there ever were."""
        counters = Counters()
        for one in (self._ended, *(connection.counters for connection in self._numbers)):
            counters.add(one)
        return counters
