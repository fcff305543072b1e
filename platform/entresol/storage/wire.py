"""PostgreSQL's wire protocol, version 3, as far as replication needs it: sign on, simple queries, COPY both ways.

asyncpg has no replication protocol. Every wait has a deadline; whatever cuts the connection is an UnavailableError.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self

from entresol.errors import ConfigurationError, EntresolError, StoreUnavailableError
from entresol.storage.authentication import Authentication
from entresol.storage.connections import Address
from entresol.storage.credentials import Credentials
from entresol.storage.dial import dial

PROTOCOL = 196608  # 3.0
# What PostgreSQL itself bounds a message to; a larger length is no message but noise.
MESSAGE_SIZE_BYTES_MAX = 0x3FFFFFFF
CLOSE_TIMEOUT_S = 2.0
_CHUNK_BYTES = 256 * 1024
_HEADER = struct.Struct("!cI")


class ServerError(EntresolError):
    """The server answered with an error; `state` is its SQLSTATE."""

    reason = "DATABASE_ERROR"

    def __init__(self, state: str, message: str) -> None:
        super().__init__(message)
        self.state = state


class Wire:
    """One connection, signed on. Not for use by two tasks at once, except that any may `send`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: Address) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self._start = 0  # of what is not yet taken from the buffer
        self.address = address

    @classmethod
    async def open(
        cls, address: Address, credentials: Credentials, parameters: Mapping[str, str], timeout_s: float
    ) -> Self:
        """Connect and sign on.

        Raises:
            UnavailableError: the server does not answer in time, or has no connection left.
            ConfigurationError: it refuses this user, password or database, or TLS.
        """
        async with _deadline(f"{address} did not answer within {timeout_s:g} s", timeout_s):
            reader, writer = await dial(address, credentials)
            wire = cls(reader, writer, address)
            try:
                await wire._sign_on(credentials, parameters)
            except ServerError as error:
                wire.abort()
                raise _refused(error) from error
            except BaseException:
                wire.abort()
                raise
        return wire

    async def query(self, sql: str, timeout_s: float) -> list[dict[str, str | None]]:
        """Run one statement and return its rows as text, by column.

        Raises:
            ServerError: the server refuses it.
        """
        self.send(b"Q", sql.encode() + b"\0")
        rows: list[dict[str, str | None]] = []
        columns: list[str] = []
        failure: ServerError | None = None
        async with _deadline(f"{self.address} did not answer a query within {timeout_s:g} s", timeout_s):
            while True:
                kind, body = await self._take()
                if kind == b"T":
                    columns = _columns(body)
                elif kind == b"D":
                    rows.append(dict(zip(columns, _values(body), strict=True)))
                elif kind == b"E":
                    failure = _error(body)
                elif kind == b"Z":
                    break
        if failure is not None:
            raise failure
        return rows

    async def copy_both(self, sql: str, timeout_s: float) -> None:
        """Run a statement that starts COPY in both directions; then `receive` and `send_copy`.

        Raises:
            ServerError: the server refuses it.
        """
        self.send(b"Q", sql.encode() + b"\0")
        async with _deadline(f"{self.address} did not start within {timeout_s:g} s", timeout_s):
            while True:
                kind, body = await self._take()
                if kind == b"W":
                    return
                if kind == b"E":
                    raise _error(body)

    async def receive(self, silence_s: float) -> bytes:
        """Return the next message of the COPY; waits at most `silence_s` for any byte.

        Raises:
            ServerError: the server ended the COPY with an error.
            UnavailableError: silence, or the end of the connection.
        """
        while True:
            message = self._pop()
            if message is None:
                async with _deadline(f"{self.address} was silent for {silence_s:g} s", silence_s):
                    await self._fill()
                continue
            kind, body = message
            if kind == b"d":
                return body
            if kind == b"E":
                raise _error(body)
            if kind in (b"c", b"C"):
                raise StoreUnavailableError(f"{self.address} ended the stream")

    def send_copy(self, body: bytes) -> None:
        """Send a message of the COPY; it leaves as soon as the network takes it."""
        self.send(b"d", body)

    def send(self, kind: bytes, body: bytes) -> None:
        """Send one message; nothing once the connection has ended, of which the next wait tells."""
        if not self._writer.is_closing():
            self._writer.write(_HEADER.pack(kind, len(body) + 4) + body)

    async def drain(self, timeout_s: float) -> None:
        """Wait until the network has taken what was sent."""
        async with _deadline(f"{self.address} took nothing for {timeout_s:g} s", timeout_s):
            await self._writer.drain()

    async def close(self) -> None:
        """Say good-bye, wait a moment until the server has let go, and close."""
        try:
            self.send(b"X", b"")
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                while await self._reader.read(_CHUNK_BYTES):
                    pass
        except (OSError, RuntimeError, StoreUnavailableError):  # a TimeoutError is an OSError; closed before
            pass
        finally:
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._writer.transport.abort()

    async def _sign_on(self, credentials: Credentials, parameters: Mapping[str, str]) -> None:
        given = {
            **dict(credentials.settings),
            "user": credentials.user,
            "database": credentials.database,
            "client_encoding": "UTF8",
            **parameters,
        }
        body = b"".join(f"{name}\0{value}\0".encode() for name, value in given.items()) + b"\0"
        self._writer.write(struct.pack("!ii", len(body) + 8, PROTOCOL) + body)
        authentication = Authentication(credentials.user, credentials.password)
        while True:
            kind, body = await self._take()
            if kind == b"R":
                answer = authentication.answer(body)
                if answer is not None:
                    self.send(b"p", answer)
            elif kind == b"E":
                raise _error(body)
            elif kind == b"Z":
                return

    async def _take(self) -> tuple[bytes, bytes]:
        while (message := self._pop()) is None:
            await self._fill()
        return message

    def _pop(self) -> tuple[bytes, bytes] | None:
        """Return the next whole message of the buffer, if there is one."""
        start = self._start
        if len(self._buffer) - start < _HEADER.size:
            return None
        kind, length = _HEADER.unpack_from(self._buffer, start)
        if not 4 <= length <= MESSAGE_SIZE_BYTES_MAX:
            raise StoreUnavailableError(f"{self.address} does not speak PostgreSQL's protocol")
        end = start + 1 + length
        if len(self._buffer) < end:
            return None
        self._start = end
        return kind, bytes(self._buffer[start + _HEADER.size : end])

    async def _fill(self) -> None:
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        chunk = await self._reader.read(_CHUNK_BYTES)
        if not chunk:
            raise StoreUnavailableError(f"{self.address} closed the connection")
        self._buffer += chunk


@asynccontextmanager
async def _deadline(problem: str, timeout_s: float) -> AsyncIterator[None]:
    """Bound a block, and turn what the network raises into the platform's errors."""
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            f"the database's certificate is not trusted: {error.verify_message}"
        ) from error
    except TimeoutError as error:
        raise StoreUnavailableError(problem) from error
    except OSError as error:
        raise StoreUnavailableError(f"the connection to the database broke: {error}") from error


def _error(body: bytes) -> ServerError:
    fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
    texts = [fields[kind] for kind in (b"M", b"D", b"H") if kind in fields]
    return ServerError(fields.get(b"C", ""), "; ".join(texts) or "unknown error")


def _refused(error: ServerError) -> EntresolError:
    """Return what a refused sign-on means: wrong settings, or a server that is starting, ending or full."""
    if error.state[:2] in ("28", "3D", "42"):
        return ConfigurationError(f"the database refuses the connection: {error.message}")
    return StoreUnavailableError(f"the database refuses the connection: {error.message}")


def _columns(body: bytes) -> list[str]:
    names, position = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        end = body.index(b"\0", position)
        names.append(body[position:end].decode())
        position = end + 19  # the zero, and 18 bytes on table, type and format
    return names


def _values(body: bytes) -> list[str | None]:
    values: list[str | None] = []
    position = 2
    for _ in range(int.from_bytes(body[:2], "big")):
        (length,) = struct.unpack_from("!i", body, position)
        position += 4
        values.append(None if length < 0 else body[position : position + length].decode())
        position += max(length, 0)
    return values
