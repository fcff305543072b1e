"""The web's port: HTTP/1.1, on the same engine as the gRPC port."""

from __future__ import annotations

from collections.abc import Mapping

from entresol.clock import Clock
from entresol.config import Settings
from entresol.life import Facts
from entresol.schema.model import Model
from entresol.service.table import Route
from entresol.transport.listener import Listener
from entresol.transport.web.http1 import Connection
from entresol.transport.web.web import Web


class WebServer:
    """An HTTP server over one method table. `start` listens; `stop` drains."""

    def __init__(self, table: Mapping[str, Route], model: Model, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._web = Web(table, model, settings, clock)
        self._listener = Listener(self._connection, "web")

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._listener.port

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self._listener.start(self._settings.web_listen, "web_listen", self._settings, "http/1.1")

    def facts(self) -> Facts:
        """Return what this server is."""
        connections = self._listener.count
        return {"protocol": "web", "transport": "http1", "port": self.port, "connections": connections}

    async def stop(self) -> None:
        """Take no more requests, and end when the running ones have, or after `drain_s`."""
        await self._listener.stop(self._settings.drain_s)

    def _connection(self) -> Connection:
        return Connection(self._web, self._settings, self._listener)
