"""gRPC by our own HTTP/2: the method table, health, reflection and channelz on one port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from entresol.background import kept_running
from entresol.clock import Clock
from entresol.config import Settings
from entresol.life import Facts, Life
from entresol.schema.model import Model
from entresol.service.table import Route
from entresol.transport.http2.channelz import Channelz
from entresol.transport.http2.connection import Connection
from entresol.transport.http2.connections import Connections
from entresol.transport.http2.counters import Counters
from entresol.transport.http2.hosted import routes
from entresol.transport.listener import Listener
from entresol.transport.standard import Standard


class Http2Server:
    """A gRPC server over one method table. `start` listens; `stop` drains."""

    def __init__(
        self,
        table: Mapping[str, Route],
        model: Model,
        settings: Settings,
        clock: Clock,
        life: Life | None = None,
    ) -> None:
        """Serve the table; what is told of health is the readiness of `life`, if there is one."""
        self._life = life
        self._following = AsyncExitStack()
        self._leaving = asyncio.Event()
        self._settings = settings
        self._clock = clock
        self._standard = Standard(model)
        self._listener = Listener(self._connection, "http2")
        self._connections = Connections(self._listener)
        self._routes = {**table, **self._own()}

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._listener.port

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self._listener.start(self._settings.listen, "listen", self._settings, "h2")
        await self._standard.serving()
        if self._life is not None:
            following = kept_running(self._standard.follow(self._life), "entresol health")
            await self._following.enter_async_context(following)

    def facts(self) -> Facts:
        """Return what this server is, and how much goes on."""
        counters = self._connections.counted()
        return {
            "protocol": "grpc",
            "transport": "http2",
            "port": self.port,
            "connections": len(self._connections.by_number()),
            "calls": {"begun": counters.started, "succeeded": counters.succeeded, "failed": counters.failed},
        }

    async def stop(self) -> None:
        """Report NOT_SERVING, refuse new calls, and end when the running ones have, or after `drain_s`."""
        await self._following.aclose()
        await self._standard.draining()
        await asyncio.sleep(0)  # who watches hears of that first
        self._leaving.set()
        await self._listener.stop(self._settings.drain_s)

    def _own(self) -> dict[str, Route]:
        reflecting = reflection.aio.ReflectionServicer(self._standard.reflected, pool=self._standard.pool)
        channelz = Channelz(self._listener, self._connections, self._clock)
        hosted = [
            (health_pb2.DESCRIPTOR.services_by_name["Health"], self._standard.health),
            (reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"], reflecting),
            (channelz_pb2.DESCRIPTOR.services_by_name["Channelz"], channelz),
        ]
        return {route.method.path: route for pair in hosted for route in routes(*pair, self._leaving)}

    def _connection(self) -> Connection:
        return Connection(self._routes.get, self._settings, self._clock, Counters(), self._connections)
