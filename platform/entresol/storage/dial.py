"""A connection to a server of PostgreSQL before its protocol begins: TCP with or without TLS, or a Unix socket."""

from __future__ import annotations

import asyncio
import socket
import struct

from entresol.errors import ConfigurationError, StoreUnavailableError
from entresol.storage.connections import Address
from entresol.storage.credentials import Credentials

SSL_REQUEST = 80877103


async def dial(
    address: Address, credentials: Credentials
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the server, over TLS where the credentials and the server agree on it.

    Raises:
        ConfigurationError: they demand TLS and the server has none, or a certificate cannot be used.
        OSError: what the network says. The caller bounds the time.
    """
    if address.host.startswith("/"):
        return await asyncio.open_unix_connection(f"{address.host}/.s.PGSQL.{address.port}")
    connection = await _connect(address)
    try:
        context = credentials.tls()
        secured = context is not None and await _offers_tls(connection, address)
        if context is not None and not secured and credentials.ssl_mode not in ("allow", "prefer"):
            raise ConfigurationError(f"{address} offers no TLS and sslmode={credentials.ssl_mode} demands it")
        name = address.host if secured else None
        return await asyncio.open_connection(
            sock=connection, ssl=context if secured else None, server_hostname=name
        )
    except BaseException:
        connection.close()
        raise


async def _connect(address: Address) -> socket.socket:
    """Return a connected socket to whichever of the host's addresses answers first, in their order."""
    loop = asyncio.get_running_loop()
    failure = OSError(f"{address.host} has no address")
    for family, kind, protocol, _, target in await loop.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM
    ):
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            await loop.sock_connect(connection, target)
            return connection
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
    raise failure


async def _offers_tls(connection: socket.socket, address: Address) -> bool:
    """Ask for TLS on the bare socket.

    Exactly one byte is read: what somebody else put behind it must not be taken for the server's words later.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, struct.pack("!ii", 8, SSL_REQUEST))
    answer = await loop.sock_recv(connection, 1)
    if answer not in (b"S", b"N"):
        raise StoreUnavailableError(f"{address} does not speak PostgreSQL's protocol")
    return answer == b"S"
