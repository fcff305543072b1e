"""One call on a connection: its request as it comes, the handler that runs, its replies as the peer takes them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import zttp

from entresol.config import Settings
from entresol.errors import DeadlineExceededError, InvalidArgumentError
from entresol.records import CACHE, NEAR
from entresol.service.call import ANSWERED_BY_KEY, Call, Reply, finished, is_awaitable
from entresol.service.quick import Look
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.calls import closing, encoded, encoded_trailing, failure, serialized, status_headers
from entresol.transport.http2.head import Head
from entresol.transport.http2.requests import Requests
from entresol.transport.wire import (
    IDENTITY,
    Unframer,
    framed,
    only_message,
    parts,
    unpacked,
)

if TYPE_CHECKING:
    from entresol.transport.http2.connection import Connection

log = logging.getLogger(__name__)

HEAD = [(b"content-type", b"application/grpc")]
_OK = (b"grpc-status", b"0")
# The engine keeps what the peer has not asked for yet, at a cost that grows with the square of its size: so much of a
# stream, and the rest waits here.
_WAITING_BYTES_MAX = 64 * 1024
# What the engine has written is taken from it frame by frame: the longer its buffer, the more often it is copied.
PIECE_BYTES = 16 * 1024
UNSENT_BYTES_MAX = (
    1024 * 1024
)  # that one turn of the loop hands over whole; and that wait for a peer that does not read
_FRAME_BYTES = 1024  # more than a message grows by its prefix, and by being packed in vain
_INTERNAL_ERROR = 2


class Stream:
    """One call. It begins when its headers are in, and is over when its status is out or its peer has gone."""

    __slots__ = (
        "_call",
        "_ended",
        "_expiry",
        "_head_sent",
        "_requests",
        "_room",
        "_running",
        "_trailers",
        "_unframer",
        "began_s",
        "body",
        "connection",
        "counted_bytes",
        "encoding",
        "handle",
        "head",
        "is_over",
        "route",
        "stream_id",
    )

    def __init__(
        self, connection: Connection, stream_id: int, route: Route, head: Head, began_s: float
    ) -> None:
        """Begin the call, at `began_s` on the loop's clock."""
        self.connection = connection
        self.stream_id = stream_id
        self.route = route
        self.head = head
        self.encoding = head.encoding
        self.began_s = began_s
        self.handle: zttp.Stream = connection.engine.stream(stream_id)
        self.body: bytes | bytearray = b""
        self.counted_bytes = 0  # of `held_bytes`, by the connection
        self.is_over = False
        self._call: Call | None = None
        self._trailers: list[tuple[bytes, bytes]] | None = None  # None: the call has them
        self._head_sent = False
        self._ended = False  # the request is whole
        self._running: asyncio.Task[None] | None = None
        self._expiry: asyncio.TimerHandle | None = None
        self._room: asyncio.Future[None] | None = None
        self._unframer: Unframer | None = None
        self._requests: Requests | None = None

    @property
    def call(self) -> Call:
        """Return what the method is told of the call, which the quick way has no need of."""
        if self._call is None:
            self._call = self.head.call(self.route.method, self.connection.clock)
        return self._call

    def begin(self) -> None:
        """Let the handler of a stream of requests begin; the others wait for their request."""
        if self.route.method.client_streaming:
            self._unframer = Unframer(self.connection.message_bytes_max)
            self._requests = Requests(self.connection, self.encoding)
            self._run(self._requests)

    @property
    def held_bytes(self) -> int:
        """Return the bytes of requests that are not whole."""
        waiting = self._requests.size_bytes if self._requests is not None else 0
        return len(self.body) + waiting + (self._unframer.size_bytes if self._unframer is not None else 0)

    def latest_s(self, settings: Settings) -> float:
        """Return when its request should be whole, on the loop's clock."""
        allowed_s = settings.deadline_default_s if self.head.timeout_s is None else self.head.timeout_s
        return self.began_s + min(allowed_s, settings.deadline_max_s)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing runs yet because the request is not whole."""
        return self._running is None and not self.is_over

    def take(self, data: bytes) -> None:
        """Take more of the request."""
        if self._requests is not None and self._unframer is not None:
            try:
                for flag, message in self._unframer.take(data):
                    self.connection.counters.receive(self.connection.loop.time())
                    self._requests.put(flag, message)
            except Exception as error:
                self.fail(failure(error, self.call))
            return
        if not self.body:
            self.body = data
            return
        if isinstance(self.body, bytes):
            self.body = bytearray(self.body)
        self.body += data

    def end(self, look: Look | bytes | None = None, *, looked: bool = False) -> None:
        """Go on: the request is whole. `look` is what copies had of it, if they were `looked` through already."""
        self._ended = True
        if self._requests is not None:
            if self._unframer is not None and self._unframer.size_bytes:
                error = InvalidArgumentError.of("request", "ends in the middle of a message")
                self.fail(failure(error, self.call))
            self._requests.end()
            return
        try:
            message = self._message()
        except Exception as error:
            self.fail(failure(error, self.call))
            return
        self.connection.counters.receive(self.connection.loop.time())
        if not looked and self.route.quick is not None and self.head.token is not None:
            look = self.route.quick.look(message, self.head.token, lambda: self.call)
        if look is None:
            self._run(message)
        elif isinstance(look, bytes):
            self._answer(NEAR, look)
        else:
            look.ask(partial(self._told, message))

    def cancel(self) -> None:
        """End the call without an answer: its peer has gone, or does not want it any more."""
        self.connection.counters.cancelled += 1
        self._over()
        self._stop()
        if self._requests is not None:
            self._requests.discard()

    def fail(self, error: CallFailedError) -> None:
        """Answer with this error, and stop what runs."""
        if self.is_over:
            return
        trailers = [*status_headers(error), *encoded_trailing(self.call)]
        try:
            if self.call.leading:
                self._send_head()
            if self._head_sent:
                self.handle.end_message(trailers)
            else:
                self.handle.send_response(200, HEAD + trailers, True)
        except zttp.LocalProtocolError:
            self._break()
        else:
            self.connection.counters.failed += 1
            self.close()
        self._stop()

    def close(self) -> None:
        """Let go of a stream whose answer is complete; a peer that still sends is told to stop."""
        if not self._ended:
            self.connection.endings.add(self.stream_id, self.handle)
        self._over()
        if self._requests is not None:
            self._requests.discard()
        self.connection.flush_soon()

    def make_room(self) -> None:
        """Let the handler go on when the peer has taken enough."""
        if self._room is not None and not self._room.done() and not self._is_full():
            self._room.set_result(None)

    def _over(self) -> None:
        self.is_over = True
        self.connection.forget(self)
        self.body, self._unframer = b"", None
        if self._expiry is not None:
            self._expiry.cancel()

    def _message(self) -> bytes:
        body, self.body, most = self.body, b"", self.connection.message_bytes_max
        flag, message = only_message(body, most)
        return unpacked(flag, message, self.encoding, most)

    def _run(self, request: Any) -> None:
        if self.route.method.server_streaming:
            self._running = self.connection.loop.create_task(self._stream(request))
            return
        try:
            answer = self.route.handler(request, self.call)
            if is_awaitable(answer):
                self._running = self.connection.loop.create_task(self._unary(answer))
                return
            self._reply(serialized(answer))
        except Exception as error:
            self.fail(failure(error, self.call))

    def _told(self, request: bytes, reply: bytes | None) -> None:
        """Reply what the cache had, or go the ordinary way where the quick one ended."""
        if self.is_over:
            return
        if reply is None:
            self._run(request)
            return
        try:
            self._answer(CACHE, reply)
        except Exception as error:
            self.fail(failure(error, self.call))

    def _answer(self, source: str, reply: bytes) -> None:
        self._trailers = answered_by(source)
        self._reply(reply)

    def _reply(self, reply: bytes) -> None:
        if self._fits(len(reply)):
            self._send(reply)
            self._finish()
        else:
            self._running = self.connection.loop.create_task(self._unary(_at_hand(reply)))

    def _stop(self) -> None:
        """Cancel what runs: in the next turn, for what was never begun could not clean up after itself."""
        if self._running is not None and self._running is not asyncio.current_task(self.connection.loop):
            self.connection.loop.call_soon(self._running.cancel)

    async def _unary(self, answer: Awaitable[Reply]) -> None:
        try:
            await self._send_all(serialized(await answer))
            self._finish()
        except Exception as error:
            self.fail(failure(error, self.call))

    async def _stream(self, request: Any) -> None:
        if self.call.timeout_s is not None and not self.is_over:  # a timer of years would keep what is over
            self._expiry = self.connection.loop.call_later(self.call.timeout_s, self._expire)
        try:
            replies: Any = await finished(self.route.handler(request, self.call))
            async with closing(replies):
                async for reply in replies:
                    await self._send_all(serialized(reply))
                    if self._is_full():
                        await self._have_room()
        except Exception as error:
            self.fail(failure(error, self.call))
        else:
            self._finish()

    def _expire(self) -> None:
        error = DeadlineExceededError("the deadline passed before the work was done")
        self.fail(failure(error, self.call))

    def _send(self, reply: bytes) -> None:
        if not self.is_over:
            self._send_head()
            data = framed(reply, self.encoding)
            if len(data) <= PIECE_BYTES:
                self.handle.send_data(data)
            else:
                view = memoryview(data)
                for at in range(0, len(data), PIECE_BYTES):
                    self.handle.send_data(view[at : at + PIECE_BYTES])
                    self.connection.collect()
            self.connection.counters.send(self.connection.loop.time())
            self.connection.unsent_bytes += len(data)
            self.connection.flush_soon()

    def _fits(self, size: int) -> bool:
        """Tell whether a reply can be handed over whole: nothing of it would wait in the engine, or not much."""
        if size <= _WAITING_BYTES_MAX:
            return True
        connection = self.connection
        window_bytes = min(self.handle.send_window or 0, connection.engine.send_window)
        is_free = not connection.is_paused and connection.unsent_bytes + size <= UNSENT_BYTES_MAX
        return is_free and size + _FRAME_BYTES <= window_bytes

    async def _send_all(self, reply: bytes) -> None:
        """Send a reply of any size, as the peer takes it."""
        if self._fits(len(reply)):
            self._send(reply)
            return
        prefix, body = parts(reply, self.encoding)
        data = memoryview(body)
        for at in range(0, len(data), _WAITING_BYTES_MAX):
            if self._is_full():
                await self._have_room()
            if self.is_over:
                return
            if at == 0:
                self._send_head()
                self.connection.counters.send(self.connection.loop.time())
                self.handle.send_data(prefix)
            self.handle.send_data(data[at : at + _WAITING_BYTES_MAX])
            self.connection.flush()  # now, so that the socket can say that it is full

    def _send_head(self) -> None:
        if not self._head_sent:
            self._head_sent = True
            is_packed = self.encoding != IDENTITY
            head = [*HEAD, (b"grpc-encoding", self.encoding.encode())] if is_packed else HEAD
            if self._call is not None and self._call.leading:
                head = [*head, *encoded(self._call.leading)]
            self.handle.send_response(200, head)

    def _finish(self) -> None:
        if self.is_over:
            return
        try:
            self._send_head()
            self.handle.end_message(self._trailers or [_OK, *encoded_trailing(self.call)])
        except zttp.LocalProtocolError:
            self._break()
        else:
            self.connection.counters.succeeded += 1
            self.close()

    def _break(self) -> None:
        """End a call whose metadata HTTP cannot carry, which is a mistake of its method."""
        log.error(
            "%s: its metadata is no HTTP header: %r, %r",
            self.route.method.path,
            self.call.leading,
            self.call.trailing,
        )
        self.connection.counters.cancelled += 1
        self.handle.reset(_INTERNAL_ERROR)
        self._ended = True
        self.close()

    def _is_full(self) -> bool:
        return self.connection.is_paused or (self.handle.pending_bytes or 0) > _WAITING_BYTES_MAX

    async def _have_room(self) -> None:
        self.connection.flush()
        self._room = self.connection.loop.create_future()
        if self._requests is not None:
            self._requests.let()  # what opens the window must be read, whatever comes with it
        try:
            if self._is_full():
                await self._room
        finally:
            self._room = None
            if self._requests is not None:
                self._requests.is_let = False


@lru_cache(maxsize=16)
def answered_by(source: str) -> list[tuple[bytes, bytes]]:
    """Return the trailers of a call that went well, quickly."""
    return [_OK, (ANSWERED_BY_KEY.encode(), source.encode())]


async def _at_hand(reply: bytes) -> Reply:
    return reply
