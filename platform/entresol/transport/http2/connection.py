"""One HTTP/2 connection: frames come in, calls run, frames go out, and no peer costs more than its bound.

The frames are zttp's: it does no I/O, and parses and writes HTTP/2 in native code. What it leaves to its user is here:
time, back-pressure, the number of control frames, and leaving a connection before the engine's own limits end it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import zttp

from entresol.clock import Clock
from entresol.config import Settings
from entresol.errors import DeadlineExceededError, EntresolError, MessageTooLargeError, UnavailableError
from entresol.service.status import CallFailedError
from entresol.service.table import Route
from entresol.transport.calls import HARD_SIZE_FACTOR, failed, failure, status_headers, unknown
from entresol.transport.http2.counters import Counters
from entresol.transport.http2.endings import Endings
from entresol.transport.http2.head import Head
from entresol.transport.http2.plain import Plain
from entresol.transport.http2.stream import HEAD, UNSENT_BYTES_MAX, Stream
from entresol.transport.listener import Owner, end_writing
from entresol.transport.wire import ENCODINGS, PREFIX_BYTES, check_encoding

# The engine ends a connection at its 4,096th stream and its 257th reset one: leave before, while calls can finish.
_STREAMS_MAX, _STREAMS_FULL = 2_500, 3_900  # between the two there is room for what comes within `_LATE_S`
_RESETS_MAX = 150
_LAST_STREAM = 2**31 - 1
_CONTROL_FRAMES_MAX = 1_000  # in a second: PING and SETTINGS must be answered, and may not come without end
_PROGRESS_BYTES = 1024  # that a peer whose answers wait must take in a second
_MESSAGES_MAX = 4  # of the largest size, of which one connection may have parts here
_PING = b"\x00\x00\x08\x06\x00\x00\x00\x00\x00"  # header of the frame; eight bytes follow, and come back
_ALIVE, _HEARD = b"is alive", b"has gone"
_LATE_S = 0.1  # in which calls come that were begun before the answer to the last ping, and written behind it
_NO_ERROR, _REFUSED_STREAM, _ENHANCE_YOUR_CALM = 0, 7, 11
_ACCEPTED = (b"grpc-accept-encoding", ",".join(ENCODINGS).encode())


class Connection(asyncio.Protocol):
    """One connection of a server. `owner` hears of its beginning and end."""

    def __init__(
        self,
        find: Callable[[str], Route | None],
        settings: Settings,
        clock: Clock,
        counters: Counters,
        owner: Owner,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.engine = zttp.Connection(zttp.SERVER, zttp.HTTP2)
        self.message_bytes_max = settings.message_size_bytes_max * HARD_SIZE_FACTOR
        self.counters = counters
        self.is_paused = False
        self.unsent_bytes = 0  # of replies that the next flush writes
        self._outgoing: list[bytes] = []  # what the engine had to send before
        self._find = find
        self._settings = settings
        self.clock = clock
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._streams: dict[int, Stream] = {}
        self._plain: Plain | None = None  # the call that the last headers began
        self._held_bytes = 0  # of requests whose calls are not over
        self._holders = 0  # streams of requests that have enough for now
        self._reading = False
        self._flush_planned = False
        self._resets = self._controls = self._last_stream = 0
        self._leaving_s: float | None = None  # since when the peer is told to go to another connection
        self._left = False  # what comes beyond `_last_stream` is not looked at
        now_s = self.loop.time()
        self._began_s = self._heard_s = self._progress_s = self._second_s = now_s
        self._pinged_s: float | None = None
        self._closed_s: float | None = None  # since when nothing more is done here
        self._sent_bytes = self._seen_bytes = 0  # in all, and of them at the last tick
        self.endings = Endings()

    # What the event loop tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the peer."""
        self._owner.opened(self)
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)
        self.info = transport.get_extra_info  # of the socket: its two ends, and TLS
        self.engine.initiate_connection()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Stop what runs for the peer."""
        self._transport = None
        for stream in list(self._streams.values()):
            stream.cancel()
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        """Work on what the peer sent; what is answered at once goes out as one write."""
        if self._closed_s is not None:
            return
        self._heard_s = self.loop.time()
        self._pinged_s = None
        self._reading = True
        engine = self.engine
        try:
            engine.receive_data(data)
            while self._closed_s is None and (event := engine.next_event()) is not zttp.NEED_DATA:
                kind = type(event)
                if kind is zttp.Data:
                    self._data(event)
                elif kind is zttp.EndOfMessage:
                    self._end(event)
                elif kind is zttp.Request:
                    self._widen()
                    self._request(event)
                else:
                    self._control(event)
            self._widen()
        except zttp.RemoteProtocolError:
            self._close("protocol error")
        finally:
            self._reading = False
        self.flush()

    def eof_received(self) -> bool:
        """Close: a peer that sends no more can open no window either."""
        return False

    def pause_writing(self) -> None:
        """Read no more from a peer that does not take its answers."""
        self.is_paused = True
        self.hold()

    def resume_writing(self) -> None:
        """Go on."""
        self.is_paused = False
        self._progress_s = self.loop.time()
        self.release()
        self._make_room()

    # What streams and the server ask for.

    def flush(self) -> None:
        """Write what the engine has to send."""
        self._flush_planned = False
        self.unsent_bytes = 0
        if self._transport is None:
            return
        self.collect()
        if self._outgoing:
            outgoing = self._outgoing[0] if len(self._outgoing) == 1 else b"".join(self._outgoing)
            self._outgoing.clear()
            self._sent_bytes += len(outgoing)
            self._transport.write(outgoing)
        is_over = self._left and not self._streams and not self.engine.has_pending_send()
        if is_over and self._closed_s is None:
            self._closed_s = self.loop.time()
            end_writing(self._transport)

    def collect(self) -> None:
        """Take what the engine has to send, for the next flush."""
        if data := self.engine.data_to_send():
            self._outgoing.append(data)

    def flush_soon(self) -> None:
        """Write at the end of this turn of the loop, with whatever else is answered in it."""
        if not self._reading and not self._flush_planned:
            self._flush_planned = True
            self.loop.call_soon(self.flush)

    def begin(self, stream_id: int, route: Route, head: Head) -> Stream:
        """Begin a call."""
        stream = self._streams[stream_id] = Stream(self, stream_id, route, head, self._heard_s)
        stream.begin()
        return stream

    def forget(self, stream: Stream) -> None:
        """Let go of a stream that is over."""
        if self._streams.pop(stream.stream_id, None) is not None:
            self._held_bytes -= stream.counted_bytes

    def hold(self) -> None:
        """Read no more until `release`; both are counted."""
        self._holders += 1
        if self._holders == 1 and self._transport is not None:
            self._transport.pause_reading()

    def release(self) -> None:
        """Take one `hold` back."""
        self._holders -= 1
        if self._holders == 0 and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def leave(self, reason: str) -> None:
        """Tell the peer to open no more calls here; those that run, and those on their way, are answered."""
        if self._leaving_s is None and self._transport is not None:
            self._leaving_s = self.loop.time()
            self.counters.close(reason)
            self.engine.close(_NO_ERROR, _LAST_STREAM)
            # The answer to the ping comes behind every call that the peer had opened when it heard.
            self.flush()
            self._transport.write(_PING + _HEARD)

    def abort(self, reason: str) -> None:
        """End the calls that still run, then the connection."""
        error = UnavailableError(f"the server is going away: {reason}")
        for stream in list(self._streams.values()):
            stream.fail(failure(error, stream.call))
        self._close(reason, at_once=self.is_paused or self._closed_s is not None)

    def tick(self, now_s: float) -> None:
        """Look after time: called about once a second."""
        settings = self._settings
        late = (one for one in self._streams.values() if one.is_waiting and one.latest_s(settings) < now_s)
        for stream in list(late):
            error = DeadlineExceededError("the deadline passed before the whole request was here")
            stream.fail(failure(error, stream.call))
        is_stuck = self.is_paused or self.engine.has_pending_send()
        if not is_stuck or self._sent_bytes - self._seen_bytes >= _PROGRESS_BYTES:
            self._progress_s = now_s
        self._seen_bytes = self._sent_bytes
        self._look_at_the_end(now_s)
        if self._closed_s is not None:
            return
        if self._holders:
            self._heard_s, self._pinged_s = now_s, None  # nobody listens: a silent peer says nothing by it
        quiet_s = now_s - self._heard_s
        if now_s - self._progress_s > settings.stall_max_s:
            self._close("slow reader", at_once=True)
        elif self._pinged_s is not None and now_s - self._pinged_s > settings.keepalive_timeout_s:
            self._close("no answer to a ping", at_once=True)
        elif settings.keepalive_s and quiet_s > settings.keepalive_s and self._pinged_s is None:
            self._pinged_s = now_s
            self.counters.keepalives_sent += 1
            if self._transport is not None:
                self._transport.write(_PING + _ALIVE)
        elif settings.connection_age_max_s and now_s - self._began_s > settings.connection_age_max_s:
            self.leave("age")

    def _look_at_the_end(self, now_s: float) -> None:
        """See that a connection that should end does, whatever its peer does or leaves undone."""
        patience_s = self._settings.keepalive_timeout_s
        if self._leaving_s is not None and now_s - self._leaving_s > patience_s:
            self._leave_at_last()
            if now_s - self._leaving_s > patience_s + self._settings.deadline_max_s:
                self.abort("it was told to leave")
        if self._closed_s is not None and now_s - self._closed_s > patience_s and self._transport is not None:
            self._transport.abort()

    # Frames.

    def _request(self, event: Any) -> None:
        stream_id = event.stream_id
        if self._left and stream_id > self._last_stream:
            self.engine.stream(stream_id).reset(_REFUSED_STREAM)
            return
        self._last_stream = stream_id
        self.counters.start(self._heard_s)
        if self.counters.started >= _STREAMS_MAX:
            self.leave("streams")
            if self.counters.started >= _STREAMS_FULL:
                self._leave_at_last()
        path = event.path.decode("latin-1")
        try:
            head = Head.of(event.headers)
            if event.method != b"POST" or not head.is_grpc:
                self._answer_http(stream_id, event)
                return
            route = self._route(path, head)
        except EntresolError as error:
            self._refuse(stream_id, failed(error, path), is_whole=event.end_stream)
            return
        if not event.end_stream:
            self._plain = Plain.of(self, stream_id, route, head)
        if self._plain is None:
            stream = self.begin(stream_id, route, head)
            if event.end_stream:
                stream.end()

    def _route(self, path: str, head: Head) -> Route:
        if (route := self._find(path)) is None:
            raise unknown(path)
        check_encoding(head.encoding)
        return route

    def _widen(self) -> None:
        """Let the call that the last headers began be a stream: its request does not come in one piece."""
        if self._plain is not None:
            plain, self._plain = self._plain, None
            plain.stream()

    def _refuse(self, stream_id: int, error: CallFailedError, *, is_whole: bool) -> None:
        self.counters.failed += 1
        handle = self.engine.stream(stream_id)
        handle.send_response(200, [*HEAD, *status_headers(error), _ACCEPTED], True)
        if not is_whole:
            handle.reset(_NO_ERROR)

    def _answer_http(self, stream_id: int, event: Any) -> None:
        """Answer what is no call as HTTP says."""
        self.counters.others += 1
        handle = self.engine.stream(stream_id)
        handle.send_response(405 if event.method != b"POST" else 415, [], True)
        if not event.end_stream:
            handle.reset(_NO_ERROR)

    def _data(self, event: Any) -> None:
        plain = self._plain
        if plain is not None and plain.stream_id == event.stream_id:
            if not plain.data:
                plain.data = event.data
                return
            self._widen()
        stream = self._streams.get(event.stream_id)
        if stream is not None:  # else it was answered already, or refused
            self.take(stream, event.data)

    def take(self, stream: Stream, data: bytes) -> None:
        """Hand more of its request to a stream, unless that is too much."""
        stream.take(data)
        self._count(stream)
        most_bytes = self.message_bytes_max + PREFIX_BYTES
        if stream.held_bytes > most_bytes or self._held_bytes > _MESSAGES_MAX * most_bytes:
            stream.fail(failure(MessageTooLargeError(None, self.message_bytes_max), stream.call))

    def _end(self, event: Any) -> None:
        plain = self._plain
        if plain is not None and plain.stream_id == event.stream_id:
            self._plain = None
            plain.end()
            return
        stream = self._streams.get(event.stream_id)
        if stream is not None:
            stream.end()

    def _count(self, stream: Stream) -> None:
        """Take note of how much this stream holds of requests that are not whole."""
        if stream.stream_id in self._streams:
            held_bytes = stream.held_bytes
            self._held_bytes += held_bytes - stream.counted_bytes
            stream.counted_bytes = held_bytes

    def _control(self, event: Any) -> None:
        kind = type(event)
        if kind is zttp.WindowUpdate:
            self._make_room()
        elif kind is zttp.RstStream:
            self._reset(event.stream_id)
        elif kind is zttp.Ping and event.ack:
            if event.data == _HEARD:
                self.loop.call_later(0 if self._resets >= _RESETS_MAX else _LATE_S, self._leave_at_last)
        else:
            self._count_control()

    def _reset(self, stream_id: int) -> None:
        self._widen()
        stream = self._streams.get(stream_id)
        if stream is None:
            self._count_control()  # late frames of a call that was answered early, say
            return
        self._resets += 1
        if self._resets >= _RESETS_MAX:
            self.leave("resets")
        stream.cancel()

    def _leave_at_last(self) -> None:
        """Look at no more calls when the peer has heard that there should be none."""
        if self._leaving_s is not None and not self._left:
            self._left = True
            self.engine.close(_NO_ERROR, self._last_stream)
            self.flush()

    def _count_control(self) -> None:
        if self._heard_s - self._second_s > 1:
            self._second_s, self._controls = self._heard_s, 0
        self._controls += 1
        if self._controls > _CONTROL_FRAMES_MAX:
            self.engine.close(_ENHANCE_YOUR_CALM)
            self._close("control frames")

    def _make_room(self) -> None:
        for stream in list(self._streams.values()):
            stream.make_room()
        self.endings.go_on()

    def _close(self, reason: str, *, at_once: bool = False) -> None:
        if self._transport is None or (self._closed_s is not None and not at_once):
            return
        self.counters.close(reason)
        self._closed_s = self.loop.time()
        for stream in list(self._streams.values()):
            stream.cancel()
        if at_once:
            self._transport.abort()
            return
        self.flush()
        self._transport.close()
