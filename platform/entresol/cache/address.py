"""Where the cache is: one server, the primary that Sentinels keep, or a Redis Cluster; and how a server is dialled.

redis-py reads URLs of one server. Of several, `redis+sentinel://user:password@host:26379,host:26379/NAME/DB` names the
Sentinels and the primary that they know by that name, and `redis+cluster://user:password@host:6379,host:6379` some
servers of a cluster; user and password are those of the servers with the data, and of Sentinels that ask for any. With
`rediss+` all are spoken to by TLS.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from entresol.cache.wire import Command, Wire
from entresol.errors import ConfigurationError

PORT, SENTINEL_PORT = 6379, 26379
_SEVERAL = re.compile(
    r"(?P<tls>rediss?)\+(?P<kind>sentinel|cluster)://(?:(?P<user>[^:@/]*):(?P<password>[^@/]*)@)?"
    r"(?P<hosts>[^/?@]+)(?:/(?P<name>[^/?]+)(?:/(?P<database>\d+))?)?/?(?:\?.*)?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """One server, and who calls it. `socket` is the path of a Unix socket; `tls` None: without."""

    host: str = "localhost"
    port: int = PORT
    socket: str = ""
    user: str = ""
    password: str = ""
    database: int = 0
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        """Return what people call it."""
        return self.socket or f"{self.host}:{self.port}"

    def at(self, host: str, port: int, database: int = 0) -> Address:
        """Return another server that is called alike."""
        return replace(self, host=host, port=port, database=database)

    def greeting(self) -> list[Command]:
        """Return the first commands on a connection."""
        commands: list[Command] = []
        if self.password:
            commands.append(("AUTH", *((self.user,) if self.user else ()), self.password))
        if self.database:
            commands.append(("SELECT", self.database))
        commands.append(("CLIENT", "SETNAME", "entresol"))
        return commands

    async def dial(self, make: Callable[[], Wire]) -> Wire:
        """Return a new connection; OSError where nobody listens."""
        loop = asyncio.get_running_loop()
        if self.socket:
            _, wire = await loop.create_unix_connection(make, self.socket)
        else:
            _, wire = await loop.create_connection(make, self.host, self.port, ssl=self.tls)
        return wire


@dataclass(frozen=True, slots=True)
class Addresses:
    """What a URL says: `kind` is server, sentinel or cluster; of several, the first to answer tells of the rest."""

    kind: str
    hosts: tuple[Address, ...]
    name: str = ""  # of the primary that Sentinels keep
    database: int = 0  # of that primary


def parse(url: str) -> Addresses:
    """Return what the setting `cache_url` says.

    Raises:
        ConfigurationError: it says nothing that can be understood.
    """
    if "+" not in url.partition("://")[0]:
        return Addresses("server", (_one(url),))
    match = _SEVERAL.fullmatch(url)
    if match is None or (match["kind"] == "sentinel") != bool(match["name"]):
        raise _wrong(
            "write redis+sentinel://host:26379,host:26379/NAME, or redis+cluster://host:6379,host:6379"
        )
    user, password = unquote(match["user"] or ""), unquote(match["password"] or "")
    like = Address(
        user=user, password=password, tls=ssl.create_default_context() if match["tls"] == "rediss" else None
    )
    port = SENTINEL_PORT if match["kind"] == "sentinel" else PORT
    hosts = tuple(like.at(*_split(host, port)) for host in match["hosts"].split(","))
    return Addresses(match["kind"], hosts, match["name"] or "", int(match["database"] or 0))


def _one(url: str) -> Address:
    try:
        facts: dict[str, Any] = dict(parse_url(url))
    except ValueError as error:
        raise _wrong(f"{error}; write redis://host:port/db, rediss://host:port/db or unix:///path") from error
    kind = facts.get("connection_class")
    return Address(
        host=facts.get("host", "localhost"),
        port=facts.get("port", PORT),
        socket=facts["path"] if kind is UnixDomainSocketConnection else "",
        user=facts.get("username") or "",
        password=facts.get("password") or "",
        database=int(facts.get("db") or 0),
        tls=_tls(facts) if kind is SSLConnection else None,
    )


def _tls(facts: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=facts.get("ssl_ca_certs"))
    if facts.get("ssl_certfile"):
        context.load_cert_chain(facts["ssl_certfile"], facts.get("ssl_keyfile"))
    return context


def _split(host: str, port: int) -> tuple[str, int]:
    name, separator, number = host.rpartition(":")
    if not separator or host.endswith("]"):
        return host.strip("[]"), port
    if not number.isdigit():
        raise _wrong(f"{number!r} is no port")
    return name.strip("[]"), int(number)


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError(f"setting cache_url: {text}", metadata={"setting": "cache_url"})
