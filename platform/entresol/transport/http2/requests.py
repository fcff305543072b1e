"""The requests of one call that come as a stream, for its handler to take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from entresol.transport.wire import PREFIX_BYTES, unpacked

if TYPE_CHECKING:
    from entresol.transport.http2.connection import Connection

_REQUESTS_BYTES_MAX = 256 * 1024  # that the handler has not taken yet


class Requests:
    """The requests of one stream, in order, packed as they came; beyond a bound the connection stops reading.

    Not while the handler waits for room to answer (`is_let`): then what is too much ends the call.
    """

    def __init__(self, connection: Connection, encoding: str) -> None:
        self.size_bytes = 0  # of what waits
        self.is_let = False
        self._connection = connection
        self._encoding = encoding
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._more: asyncio.Future[None] | None = None
        self._ended = False
        self._holding = False

    def put(self, flag: int, message: bytes) -> None:
        """Take one more."""
        self._waiting.append((flag, message))
        self.size_bytes += len(message) + PREFIX_BYTES
        if self.size_bytes > _REQUESTS_BYTES_MAX and not self._holding and not self.is_let:
            self._holding = True
            self._connection.hold()
        self._wake()

    def let(self) -> None:
        """Let the connection read on, however much waits here."""
        self.is_let = True
        self._release()

    def end(self) -> None:
        """Give what is left, then end."""
        self._ended = True
        self._wake()

    def discard(self) -> None:
        """Give nothing more: nobody wants an answer."""
        self._waiting.clear()
        self.size_bytes = 0
        self._release()
        self.end()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._more = self._connection.loop.create_future()
            await self._more
        flag, message = self._waiting.popleft()
        self.size_bytes -= len(message) + PREFIX_BYTES
        if self.size_bytes <= _REQUESTS_BYTES_MAX // 2:
            self._release()
        return unpacked(flag, message, self._encoding, self._connection.message_bytes_max)

    def _release(self) -> None:
        if self._holding:
            self._holding = False
            self._connection.release()

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)
