"""One connection to one database server: where it is, how it is opened, and what is remembered of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from entresol.config import Settings
from entresol.errors import ConfigurationError
from entresol.storage.standing import Standing

Record: TypeAlias = asyncpg.Record
Connection: TypeAlias = "asyncpg.Connection[Record]"
PooledConnection: TypeAlias = "asyncpg.pool.PoolConnectionProxy[Record]"

PORT = 5432
_STATEMENTS_CACHED = 256  # per connection; a plan costs the server some 50 KiB


@dataclass(frozen=True, slots=True)
class Address:
    """A server: a host and port, or the folder of a Unix socket and the port in the socket's name."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return `host:port`; of a socket's folder only the last part, because answers show it to callers."""
        host = self.host.rstrip("/").rpartition("/")[2]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def addresses(url: str) -> tuple[Address, ...]:
    """Return the servers of a `postgresql://` URL, which may list several with commas.

    Raises:
        ConfigurationError: it is no such URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("postgresql", "postgres"):
        raise ConfigurationError(
            "a database URL must look like postgresql://user:password@host:5432/database"
        )
    query = parse_qs(parts.query)
    listed = [_split_port(unquote(item)) for item in parts.netloc.rpartition("@")[2].split(",")]
    hosts = query["host"][0].split(",") if "host" in query else [host for host, _ in listed]
    ports = query["port"][0].split(",") if "port" in query else [port for _, port in listed]
    if len(ports) == 1:
        ports *= len(hosts)
    try:
        return tuple(
            Address(host or "localhost", int(port or PORT)) for host, port in zip(hosts, ports, strict=True)
        )
    except ValueError as error:
        raise ConfigurationError("a database URL must give one port, or one for each of its hosts") from error


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = text.partition(":")
    return host, port


class ServerConnection(asyncpg.Connection):
    """A connection, and what its pool remembers of it. Moments are monotonic seconds."""

    __slots__ = ("made_s", "raw", "replayed", "standing", "used_s")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.made_s = self.used_s = time.monotonic()
        self.replayed = 0  # what a replica had replayed when this was made
        self.standing: Standing | None = None  # of the replica that this leads to
        self.raw = (
            False  # whether text that this package did not write has run, and may have changed the session
        )


async def connect(url: str, address: Address, settings: Settings, *, primary: bool) -> ServerConnection:
    """Return a new connection to the server at `address`, with user, password and database of `url`.

    Raises:
        asyncpg.TargetServerAttributeNotMatched: `primary` was asked for and this is a replica.
        OSError, asyncpg.PostgresError: it cannot be reached, or refuses.
    """
    try:
        return await asyncpg.connect(
            url,
            host=address.host,
            port=address.port,
            timeout=settings.database_connect_timeout_s,
            connection_class=ServerConnection,
            statement_cache_size=_STATEMENTS_CACHED,
            max_cached_statement_lifetime=0,
            target_session_attrs=SessionAttribute.primary if primary else SessionAttribute.any,
            server_settings=_session(settings),
        )
    except TimeoutError as error:  # not to be taken for the caller's own deadline
        raise ConnectionError(
            f"{address} did not answer within {settings.database_connect_timeout_s} s"
        ) from error


async def kept_when_cancelled(connecting: Coroutine[Any, Any, ServerConnection]) -> ServerConnection:
    """Await a connection; if the caller is cancelled, close it when it is made, or else it would be lost open."""
    making = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        making.add_done_callback(_terminate)
        raise


def _terminate(made: asyncio.Future[ServerConnection]) -> None:
    if not made.cancelled() and made.exception() is None:
        made.result().terminate()


def _session(settings: Settings) -> dict[str, str]:
    """Return the session's settings: bounds that hold on the server even when this process is gone."""
    longest_ms = str(int(1000 * max(settings.database_statement_timeout_s, settings.deadline_max_s)))
    return {
        "application_name": "entresol",
        "statement_timeout": longest_ms,
        "idle_in_transaction_session_timeout": longest_ms,
        "jit": "off",  # it costs more than statements of this size can win
    }
