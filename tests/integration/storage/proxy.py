"""A network between a client and a real server: it may speak TLS, stand still, and be cut."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

# Signed by itself, for `localhost`, valid until 2126. The key protects nothing.
CERTIFICATE = Path(__file__).parent / "certificates" / "localhost.pem"
KEY = CERTIFICATE.with_suffix(".key")
_SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


class Proxy:
    """Listens on a free port of the loopback address while its block lasts, and forwards to the server of `url`.

    With several it is a balancer: connections go to the servers of `urls` in turn, from the first on.
    """

    def __init__(self, url: str, *others: str, tls: bool = False, injected: bytes = b"") -> None:
        parts = urlsplit(url)
        self.urls = [url, *others]
        self._turn = 0
        self._parts = parts
        self._tls = tls
        self._injected = injected  # what a stranger puts behind the answer to the request for TLS
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._answers = asyncio.Event()
        self._answers.set()
        self.port = 0

    def url(self, query: str = "") -> str:
        """Return the server's URL, by way of this proxy."""
        user = self._parts.netloc.rpartition("@")[0]
        return self._parts._replace(netloc=f"{user}@localhost:{self.port}", query=query).geturl()

    def stand_still(self) -> None:
        """Forward nothing from now on; connections stay open."""
        self._open.clear()

    def hold_answers(self) -> None:
        """Forward nothing that the server says from now on; what is asked still reaches it."""
        self._answers.clear()

    def lose_answers(self) -> None:
        """Cut all connections with the answers that were held; later ones are as ever."""
        self.cut()
        self._answers.set()

    def cut(self) -> None:
        """Cut all connections."""
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut what is left and end."""
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(task := asyncio.current_task())
        self._writers.append(writer)
        try:
            start = await reader.readexactly(8)
            if start == _SSL_REQUEST:
                writer.write((b"S" if self._tls else b"N") + self._injected)
                if self._tls:
                    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                    context.load_cert_chain(CERTIFICATE, KEY)
                    await writer.start_tls(context)
                start = b""
            await self._connect(start, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _connect(
        self, start: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        target = urlsplit(self.urls[self._turn % len(self.urls)])
        self._turn += 1
        from_server, to_server = await asyncio.open_connection(target.hostname, target.port)
        self._writers.append(to_server)
        to_server.write(start)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forward(reader, to_server, self._open))
            group.create_task(self._forward(from_server, writer, self._answers))

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, door: asyncio.Event
    ) -> None:
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                await door.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()
