"""A plain call as long as its request comes in one piece: what copies answer by then never becomes more than this."""

from __future__ import annotations

from typing import TYPE_CHECKING

import zttp

from entresol.records import NEAR
from entresol.service.call import Call
from entresol.service.quick import Quick
from entresol.service.table import Route
from entresol.transport.http2.head import Head
from entresol.transport.http2.stream import HEAD, PIECE_BYTES, Stream, answered_by
from entresol.transport.wire import IDENTITY, PREFIX_BYTES

if TYPE_CHECKING:
    from entresol.transport.http2.connection import Connection


class Plain:
    """A call that wishes for nothing (`service/quick.py`), of which nothing is known but its headers and some data."""

    __slots__ = ("_connection", "_head", "_quick", "_route", "_token", "data", "stream_id")

    def __init__(
        self, connection: Connection, stream_id: int, route: Route, head: Head, quick: Quick, token: str
    ) -> None:
        self._connection = connection
        self.stream_id = stream_id
        self._route = route
        self._head = head
        self._quick = quick
        self._token = token
        self.data = b""

    @classmethod
    def of(cls, connection: Connection, stream_id: int, route: Route, head: Head) -> Plain | None:
        """Return the call if it is a plain one."""
        if route.quick is None or head.token is None or head.encoding != IDENTITY:
            return None
        return cls(connection, stream_id, route, head, route.quick, head.token)

    def end(self) -> None:
        """Answer: the request is whole. What copies do not have goes on as a stream."""
        data, look = self.data, None
        if (
            len(data) > PREFIX_BYTES
            and data[0] == 0
            and int.from_bytes(data[1:5]) == len(data) - PREFIX_BYTES
        ):
            look = self._quick.look(data[PREFIX_BYTES:], self._token, self._call)
        if isinstance(look, bytes) and len(look) < PIECE_BYTES:
            self._reply(look)
        else:
            self.stream().end(look, looked=True)

    def stream(self) -> Stream:
        """Return what the call becomes when there is more to it."""
        connection = self._connection
        stream = connection.begin(self.stream_id, self._route, self._head)
        if self.data:
            connection.take(stream, self.data)
        return stream

    def _call(self) -> Call:
        return self._head.call(self._route.method, self._connection.clock)

    def _reply(self, reply: bytes) -> None:
        connection = self._connection
        handle = connection.engine.stream(self.stream_id)
        try:
            handle.send_response(200, HEAD)
            handle.send_data(b"\x00" + len(reply).to_bytes(4) + reply)
            handle.end_message(answered_by(NEAR))
        except zttp.LocalProtocolError:  # its peer has reset it meanwhile
            connection.counters.cancelled += 1
        else:
            connection.counters.answer(connection.loop.time())
            connection.unsent_bytes += len(reply)
