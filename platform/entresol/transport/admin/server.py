"""An HTTP server of pages, each a function of the request: the engine is that of the web's port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from types import MappingProxyType

from entresol.config import Settings
from entresol.life import Life
from entresol.transport.admin.answers import plain
from entresol.transport.admin.pages import pages_of
from entresol.transport.listener import Listener
from entresol.transport.web.exchange import Answer, Request, Response
from entresol.transport.web.http1 import Connection

Page = Callable[[Request], Answer]
_REQUEST_BYTES_MAX = 64 * 1024


class Admin:
    """Serves `pages` by their paths, and all below one of `folders`. Whoever listens may add more."""

    size_bytes_max = _REQUEST_BYTES_MAX

    def __init__(self, pages: Mapping[str, Page], folders: Mapping[str, Page] = MappingProxyType({})) -> None:
        self.pages = dict(pages)
        self._folders = folders

    def answer(self, request: Request) -> Answer:
        """Return what the page says."""
        page = self.pages.get(request.path)
        if page is None:
            folder = "/" + request.path[1:].partition("/")[0]
            if folder in self._folders:
                return self._folders[folder](request)
            known = "".join(f"{path}\n" for path in (*self.pages, *(f"{one}/" for one in self._folders)))
            return plain(404 if request.path != "/" else 200, known)
        if request.method != "GET":
            return Response(405, [("allow", "GET, HEAD")])
        return page(request)


class AdminServer:
    """One port. `start` listens; `stop` ends it at once, for it serves nobody who would miss an answer."""

    def __init__(self, admin: Admin, settings: Settings) -> None:
        # Probes bring no certificate, and of several processes each has a port of its own.
        self._settings = replace(settings, tls_certificate="", tls_key="", tls_client_ca="", reuse_port=False)
        self._admin = admin
        self._listener = Listener(self._connection, "admin")

    @property
    def port(self) -> int:
        """Return the port that is listened on."""
        return self._listener.port

    async def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigurationError: the address cannot be listened on.
        """
        await self._listener.start(self._settings.admin_listen, "admin_listen", self._settings, "http/1.1")

    async def stop(self) -> None:
        """Answer no more."""
        await self._listener.stop(0)

    def _connection(self) -> Connection:
        return Connection(self._admin, self._settings, self._listener)


@asynccontextmanager
async def open_admin(
    settings: Settings, life: Life, pages: Mapping[str, Page] | None = None
) -> AsyncIterator[AdminServer | None]:
    """Serve the pages of this process, or these, while the block lasts; nothing where no address is set.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    if not settings.admin_listen:
        yield None
        return
    admin = Admin(pages_of(life, settings) if pages is None else pages, life.folders)
    server = AdminServer(admin, settings)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
