"""A listening address and the connections that came over it, for servers whose protocol is ours."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from entresol.background import kept_running
from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.transport import tls

log = logging.getLogger(__name__)

_BACKLOG = 1024
_TICK_S = 1.0


class Connection(Protocol):
    """What a listener asks of each connection, which is an `asyncio.Protocol`."""

    def tick(self, now_s: float) -> None:
        """Look after time: called about once a second, with the loop's clock."""

    def leave(self, reason: str) -> None:
        """Take no more requests; close when those that run are answered."""

    def abort(self, reason: str) -> None:
        """End what still runs, and close."""


class Owner(Protocol):
    """Who keeps the connections."""

    def opened(self, connection: Connection) -> None:
        """Take note of a connection that is there: with TLS, once both have agreed."""

    def lost(self, connection: Connection) -> None:
        """Let go of a connection that has ended."""


class Listener:
    """One address, and the owner of the connections that `make` makes for it."""

    def __init__(self, make: Callable[[], Connection], name: str) -> None:
        self.port = 0
        self._make = make
        self._name = name
        self._connections: set[Connection] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._listening: asyncio.Server | None = None
        self._running = AsyncExitStack()

    @property
    def addresses(self) -> Sequence[tuple[Any, ...]]:
        """Return what is listened on, each as its socket has it: host, port and what else."""
        return [] if self._listening is None else [one.getsockname() for one in self._listening.sockets]

    @property
    def count(self) -> int:
        """Return how many connections there are."""
        return len(self._connections)

    async def start(self, address: str, setting: str, settings: Settings, protocol: str) -> None:
        """Listen on `host:port` for what ALPN calls `protocol`, by TLS and beside other processes if so set.

        Raises:
            ConfigurationError: of the setting: the address cannot be listened on.
        """
        host, _, port = address.rpartition(":")
        secure = tls.context(settings, protocol)
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._connected,
                host.strip("[]") or None,
                int(port),
                backlog=_BACKLOG,
                reuse_port=settings.reuse_port,
                ssl=secure,
                ssl_handshake_timeout=tls.HANDSHAKE_S if secure else None,
            )
        except (OSError, ValueError) as error:
            raise cannot_listen(address, setting) from error
        self.port = self._listening.sockets[0].getsockname()[1]
        await self._running.enter_async_context(
            kept_running(self._tick(), f"entresol {self._name} connections")
        )

    async def stop(self, drain_s: float) -> None:
        """Take no more connections, and end when what runs is answered, or after `drain_s`."""
        if self._listening is not None:
            self._listening.close()
        for connection in list(self._connections):
            connection.leave("drain")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        for connection in list(self._connections):
            connection.abort(f"the call had not ended after {drain_s:g} s; make it again")
        await self._running.aclose()

    def opened(self, connection: Connection) -> None:
        """Take note of a connection that is there."""
        self._connections.add(connection)
        self._idle.clear()

    def lost(self, connection: Connection) -> None:
        """Let go of a connection that has ended."""
        self._connections.discard(connection)
        if not self._connections:
            self._idle.set()

    def _connected(self) -> asyncio.Protocol:
        connection = self._make()
        assert isinstance(connection, asyncio.Protocol)
        return connection

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_S)
            for connection in list(self._connections):
                try:
                    connection.tick(loop.time())
                except Exception:  # a mistake over one of them is not the others' end
                    log.exception("a connection could not be looked after")
                    self.lost(connection)


def end_writing(transport: asyncio.Transport) -> None:
    """Tell the peer that nothing more comes, for it to close the connection.

    Who closes while something comes in resets the connection, and what was written last may never arrive. TLS sees to
    that itself.
    """
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()


def cannot_listen(address: str, setting: str) -> ConfigurationError:
    """Return the error for an address that cannot be listened on."""
    return ConfigurationError(
        f"cannot listen on {address}: another process may hold it; set ENTRESOL_{setting.upper()}",
        metadata={"setting": setting},
    )
