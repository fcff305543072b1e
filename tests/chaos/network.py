"""The network between processes and stores: each pair has a link of its own that can be cut, slowed or silenced.

All links live in the event loop of whoever runs the faults, and end with it.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

QUEUED_BYTES_MAX = 1 << 20
Dial = Callable[[Callable[[], asyncio.Protocol]], Coroutine[Any, Any, tuple[Any, Any]]]


class State(enum.Enum):
    """What a link does with what is sent through it."""

    OPEN = "open"
    REFUSED = "refused"  # connections break, and new ones are closed as they are made
    SILENT = "silent"  # half open: connections stay and are accepted, and nothing comes through


@dataclass
class Target:
    """Where a store is at the moment. It may move: a fail-over is a new `dial`."""

    dial: Dial


def at_port(port: int) -> Dial:
    """Return the way to a server on the loopback address."""
    return lambda make: asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)


def at_socket(path: str) -> Dial:
    """Return the way to a server at a Unix socket."""
    return lambda make: asyncio.get_running_loop().create_unix_connection(make, path)


class _End(asyncio.Protocol):
    """One end of a connection; what it receives goes to the other, `delay_s` later and in order."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.transport: Any = None
        self.other: _End | None = None
        self._late: deque[tuple[float, bytes]] = deque()
        self._early: list[bytes] = []
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(QUEUED_BYTES_MAX)
        self.link.ends.add(self)

    def join(self, other: _End) -> None:
        """Forward to `other` from now on, first what came before there was one."""
        self.other = other
        early, self._early = self._early, []
        for data in early:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        elif self.link.delay_s or self._late:
            self._late.append((asyncio.get_running_loop().time() + self.link.delay_s, data))
            if self._timer is None:
                self._forward_late()
        else:
            self.other.send(data)

    def send(self, data: bytes) -> None:
        """Send to whoever is at this end, if it is still there."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def _forward_late(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._late and self.other is not None:
            due_s, data = self._late[0]
            if due_s > loop.time() + 0.001:
                self._timer = loop.call_at(due_s, self._forward_late)
                return
            self._late.popleft()
            self.other.send(data)

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause()

    def pause(self) -> None:
        """Read no more for now."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        other = self.other
        if other is not None and self.link.state is not State.SILENT and not other.transport.is_closing():
            other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.link.ends.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        # In silence the news of the end does not arrive either.
        if self.other is not None and self.link.state is not State.SILENT:
            self.other.transport.close()

    def eof_received(self) -> bool:
        return False


@dataclass
class Link:
    """The way of one process to one store. Its port never changes."""

    target: Target
    state: State = State.OPEN
    delay_s: float = 0.0
    ends: set[_End] = field(default_factory=set)
    port: int = 0
    _server: asyncio.Server | None = None
    _dialling: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self) -> None:
        """Accept connections on a free port of the loopback address."""
        self._server = await asyncio.get_running_loop().create_server(self._accepted, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Break every connection; new ones may be made at once."""
        for end in list(self.ends):
            end.transport.abort()

    def refuse(self) -> None:
        """Break every connection and every new one, until `heal`."""
        self.state = State.REFUSED
        self.cut()

    def silence(self) -> None:
        """Let nothing through, and tell nobody."""
        self.state = State.SILENT
        for end in self.ends:
            end.pause()

    def heal(self) -> None:
        """Work again. Connections that were silent break: who slept on one must find another."""
        if self.state is State.SILENT:
            self.cut()
        self.state, self.delay_s = State.OPEN, 0.0

    async def close(self) -> None:
        """Break everything and listen no more."""
        if self._server is not None:
            self._server.close()
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        self.cut()

    def _accepted(self) -> asyncio.Protocol:
        return _Near(self)

    def dial(self, near: _End) -> None:
        """Connect what was accepted to the store, or break it."""
        if self.state is State.REFUSED:
            near.transport.abort()
        elif self.state is State.SILENT:
            near.pause()
        else:
            task = asyncio.get_running_loop().create_task(self._dial(near))
            self._dialling.add(task)
            task.add_done_callback(self._dialling.discard)

    async def _dial(self, near: _End) -> None:
        try:
            _, far = await self.target.dial(lambda: _End(self))
        except OSError:
            near.transport.abort()
            return
        if near.transport.is_closing():
            far.transport.abort()
            return
        near.join(far)
        far.join(near)
        if self.state is not State.OPEN:  # it changed meanwhile
            near.transport.abort()


class _Near(_End):
    """The end towards the process."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.link.dial(self)


class Network:
    """All links, by process and store."""

    def __init__(self, targets: dict[str, Target]) -> None:
        self.targets = targets
        self.links: dict[tuple[str, str], Link] = {}

    async def link(self, process: str, store: str) -> Link:
        """Return the link of this pair, made when it is first asked for."""
        pair = process, store
        if pair not in self.links:
            self.links[pair] = Link(self.targets[store])
            await self.links[pair].listen()
        return self.links[pair]

    def to(self, store: str) -> list[Link]:
        """Return every link to one store."""
        return [link for (_, name), link in self.links.items() if name == store]

    async def close(self) -> None:
        """End every link."""
        await asyncio.gather(*(link.close() for link in self.links.values()))
