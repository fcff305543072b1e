"""One connection that many callers share: what they send in one event-loop turn is one write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis

from entresol.cache.failure import CacheError

Command = tuple[bytes | str | int, ...]
Reply = Any  # bytes, int, None, or a list of these

PENDING_MAX = 4096
GRACE_S = 0.005
# Errors that say the server, not the command, is wrong: a new connection finds the right server or loads the
# scripts.
_SERVER_ERRORS = ("NOSCRIPT", "READONLY", "LOADING", "MASTERDOWN", "NOAUTH", "NOPERM")
_pack: Callable[[Command], bytes] = hiredis.pack_command  # type: ignore[assignment]  # the stub knows tuples of one


@dataclass(slots=True)
class _Pending:
    """Commands that were sent together, and the replies so far."""

    count: int
    sent_s: float
    future: asyncio.Future[list[Reply]]
    replies: list[Reply] = field(default_factory=list)


class Wire(asyncio.Protocol):
    """A connection speaking RESP. It closes when the oldest command has waited `timeout_s`.

    A caller that is cancelled leaves the others undisturbed: its replies are read and thrown away.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader()
        self._pending: deque[_Pending] = deque()
        self._outgoing: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None
        self._overdue: _Pending | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether commands may be sent."""
        return self._transport is not None

    def send(self, commands: Sequence[Command], *, at_once: bool = False) -> asyncio.Future[list[Reply]]:
        """Return the future replies of `commands`, which no other command comes between.

        They are written with whatever else is sent in this turn of the loop, or `at_once` with what was before.

        The future raises CacheError when the connection is lost or any of the commands failed.
        """
        if self._transport is None:
            raise CacheError("the connection is closed", "closed")
        if len(self._pending) >= PENDING_MAX:
            raise CacheError(f"{PENDING_MAX} batches of commands wait for replies", "full")
        packed = [
            _pack(command) for command in commands
        ]  # all or none: replies are told apart by their number
        if not self._outgoing and not at_once:
            self._loop.call_soon(self._flush)
        self._outgoing += packed
        pending = _Pending(len(commands), self._loop.time(), self._loop.create_future())
        self._pending.append(pending)
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._expire)
        if at_once:
            self._flush()
        return pending.future

    def close(self, text: str = "the connection was closed", reason: str = "closed") -> None:
        """Close, and fail whatever waits for a reply."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._outgoing.clear()
        while self._pending:
            pending = self._pending.popleft()
            if not pending.future.done():
                pending.future.set_exception(CacheError(text, reason))

    async def ended(self) -> None:
        """Wait until the transport is gone."""
        await asyncio.shield(self._ended)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit it

    def connection_lost(self, error: Exception | None) -> None:
        """Fail whatever waits for a reply."""
        self.close(f"the connection was lost: {error or 'closed by the server'}", "lost")
        if not self._ended.done():
            self._ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Give replies to those who wait for them, in order."""
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.close(f"the server does not speak RESP: {error!r}", "noise")

    def _take(self, reply: Reply) -> None:
        pending = self._pending[0]
        pending.replies.append(reply)
        if len(pending.replies) < pending.count:
            return
        self._pending.popleft()
        failure = next((item for item in pending.replies if isinstance(item, hiredis.ReplyError)), None)
        if failure is None:
            if not pending.future.done():
                pending.future.set_result(pending.replies)
            return
        text = str(failure)
        reason = text.partition(" ")[0]
        if not pending.future.done():
            pending.future.set_exception(CacheError(text, reason))
        if reason in _SERVER_ERRORS:
            self.close(text, reason)

    def _flush(self) -> None:
        if self._transport is not None and self._outgoing:
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _expire(self) -> None:
        """Close when the oldest command has waited too long, else look again when it would have."""
        self._timer = None
        if not self._pending:
            return
        oldest = self._pending[0]
        left_s = oldest.sent_s + self._timeout_s - self._loop.time()
        if left_s <= 0 and oldest is self._overdue:
            self.close(f"no reply within {self._timeout_s} s", "timeout")
            return
        if left_s <= 0:
            # The loop itself may have been held up, with the reply already here: let it be read first.
            self._overdue = oldest
        self._timer = self._loop.call_later(max(left_s, GRACE_S), self._expire)
