"""The database's log as a stream of committed transactions: PostgreSQL's streaming replication, logical, pgoutput.

A transaction is told as soon as it is in the log, which is before readers of the primary see it. The server sends
again from the last acknowledged position after every reconnect, so the consumer may meet a transaction twice.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

from entresol.errors import (
    ConfigurationError,
    EntresolError,
    SlotBusyError,
    SlotLostError,
    StoreUnavailableError,
)
from entresol.storage.changes import Keepalive, Transaction
from entresol.storage.connections import addresses
from entresol.storage.credentials import read_credentials
from entresol.storage.identifiers import literal, quote
from entresol.storage.pgoutput import CHANGES_MAX, POSTGRES_EPOCH_S, Decoder, ReplicationProtocolError
from entresol.storage.slots import CREATE_TIMEOUT_S, PLUGIN, prepare
from entresol.storage.wire import ServerError, Wire

CONNECT_TIMEOUT_S = 10.0
STATUS_S = 1.0
SILENCE_S = 30.0
LEASE_S = 5.0
_STATUS = struct.Struct("!cqqqqB")
_XLOG_DATA = struct.Struct("!cqqq")
_KEEPALIVE = struct.Struct("!cqqB")
_SLOT = "SELECT active_pid, wal_status, confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = "
# SQLSTATEs of a slot that cannot be read any more: it is gone, it was invalidated, its log files were removed.
_LOST = frozenset({"42704", "55000", "58P01"})


@dataclass(frozen=True, slots=True)
class System:
    """Which server this is. Positions of another system or timeline do not compare with its own."""

    system_id: str
    timeline: int
    position: int

    def __str__(self) -> str:
        """Return the identity, which stays while positions compare."""
        return f"{self.system_id}/{self.timeline}"


class ReplicationStream:
    """An open stream of one slot. Iterate over it in one task; `acknowledge` whenever it suits.

    While nothing is committed it yields keepalives, at least one for each `status_s`. A slow consumer slows the
    server down and nothing piles up here; the connection stays alive meanwhile.
    """

    def __init__(
        self,
        wire: Wire,
        system: System,
        start_lsn: int,
        decoder: Decoder,
        silence_s: float,
        lease_s: float,
        lets_go: bool,
    ) -> None:
        self.system = system
        self.start_lsn = start_lsn
        self._wire = wire
        self._decoder = decoder
        self._silence_s = silence_s
        self._lease_s = lease_s
        self._lets_go = lets_go
        self._asked_s = -math.inf  # when the server asked for a status last, monotonic
        self._received = start_lsn
        self._acknowledged = start_lsn
        self._failure: BaseException | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        slot: str,
        publication: str,
        *,
        temporary: bool = False,
        columns: frozenset[str] | None = None,
        changes_max: int = CHANGES_MAX,
        status_s: float = STATUS_S,
        silence_s: float = SILENCE_S,
        lease_s: float = LEASE_S,
        lets_go: bool = False,
    ) -> AsyncIterator[Self]:
        """Connect to the server of `url` that accepts writes, and stream from the slot's acknowledged position.

        A `temporary` slot is made here, begins with the next commit, and goes with the connection.
        Every `status_s` the server hears what is acknowledged and is asked where it is; it is taken for lost after
        `silence_s` without a word. `columns` and `changes_max` are for `pgoutput.Decoder`.

        The server takes this process for lost after `lease_s` without a status, and the slot is free: one that is
        frozen, or whose host is gone, would keep its connection open.

        A server that shuts down waits until all that it sent is acknowledged, for as long as that takes. With
        `lets_go` the stream ends instead: for who acknowledges late on purpose.

        Raises:
            SlotBusyError: another process reads the slot; ask again later.
            SlotLostError: the slot is gone or was invalidated; `slots.prepare` makes a new one.
            UnavailableError: no server accepts writes, or the connection broke.
            ConfigurationError: credentials, TLS, or a privilege.
        """
        wire, system = await _connect(url, lease_s)
        try:
            start_lsn = await (_start_temporary if temporary else _start)(wire, slot, publication)
            stream = cls(wire, system, start_lsn, Decoder(columns, changes_max), silence_s, lease_s, lets_go)
            beat = asyncio.create_task(stream._beat(status_s), name="replication status")
            try:
                yield stream
            finally:
                beat.cancel()
                await asyncio.wait([beat])
                with suppress(StoreUnavailableError):  # the connection may be what failed
                    stream._send_status(ask=False)
        finally:
            await wire.close()

    @property
    def database(self) -> str:
        """Return the identity of the server and its timeline."""
        return str(self.system)

    def acknowledge(self, lsn: int) -> None:
        """Let the server forget what was committed before `lsn`; it is told with the next status. Never goes back."""
        self._acknowledged = max(self._acknowledged, lsn)

    async def __aiter__(self) -> AsyncIterator[Transaction | Keepalive]:
        """Yield transactions in commit order, and keepalives, until the connection ends with an UnavailableError."""
        while True:
            event = self._event(await self._receive())
            if event is not None:
                yield event

    async def _receive(self) -> bytes:
        try:
            return await self._wire.receive(self._silence_s)
        except ServerError as error:
            raise _meaning(error) from error
        except StoreUnavailableError as error:
            self._wire.abort()  # no good-bye would arrive
            # When the status could not be sent, that is why the connection was closed.
            raise self._failure or error from error

    def _event(self, message: bytes) -> Transaction | Keepalive | None:
        if message[:1] == b"w":
            _, start, _, _ = _XLOG_DATA.unpack_from(message)
            self._received = max(self._received, start)
            return self._decoder.decode(message[_XLOG_DATA.size :])
        if message[:1] != b"k":
            raise ReplicationProtocolError(f"a message of kind {message[:1]!r} in the stream")
        _, wal_end, _, asked = _KEEPALIVE.unpack_from(message)
        self._received = max(self._received, wal_end)
        if asked:
            self._answer()
        return Keepalive(wal_end)

    def _answer(self) -> None:
        """Answer a server that asks for a status.

        It asks who has been silent for half a lease, and, when it shuts down, at once again after each answer.

        Raises:
            StoreUnavailableError: it shuts down, and is let go.
        """
        asked_s, self._asked_s = self._asked_s, time.monotonic()
        if self._lets_go and self._asked_s - asked_s < self._lease_s / 4:
            raise StoreUnavailableError("the database shuts down and is let go")
        self._send_status(ask=False)

    def _send_status(self, *, ask: bool) -> None:
        """Tell what is received and acknowledged; `ask` for a keepalive in return."""
        now = int((time.time() - POSTGRES_EPOCH_S) * 1_000_000)
        flushed = self._acknowledged
        self._wire.send_copy(_STATUS.pack(b"r", max(self._received, flushed), flushed, flushed, now, ask))

    async def _beat(self, status_s: float) -> None:
        """Send the status again and again; a failure ends the connection, and so the reader sees it."""
        try:
            while True:
                self._send_status(ask=True)
                await self._wire.drain(self._silence_s)
                await asyncio.sleep(status_s)
        except Exception as error:
            self._failure = error
            self._wire.abort()


@asynccontextmanager
async def open_stream(
    url: str,
    slot: str,
    publication: str,
    tables: Collection[str],
    *,
    status_s: float = STATUS_S,
    lease_s: float = LEASE_S,
) -> AsyncIterator[ReplicationStream]:
    """Make what is missing of publication and slot, then open the stream: what a relay calls, each time it starts.

    What a relay has not acknowledged it keeps back for when Redis forgets, so a server that shuts down is let go: it
    still has that when it starts again, and one that takes its place and has not is read with a new generation.

    Raises: what `slots.prepare` and `ReplicationStream.open` raise, except SlotLostError in all but rare races.
    """
    await prepare(url, slot, publication, tables)
    async with ReplicationStream.open(
        url, slot, publication, status_s=status_s, lease_s=lease_s, lets_go=True
    ) as stream:
        yield stream


async def _connect(url: str, lease_s: float) -> tuple[Wire, System]:
    """Return a connection to the first server that accepts writes."""
    credentials = read_credentials(url)
    parameters = {
        "replication": "database",
        "application_name": "entresol relay",
        "wal_sender_timeout": str(round(1000 * lease_s)),
    }
    problems: list[str] = []
    for address in addresses(url):
        try:
            wire = await Wire.open(address, credentials, parameters, CONNECT_TIMEOUT_S)
        except StoreUnavailableError as error:
            problems.append(error.message)
            continue
        try:
            if (await wire.query("SELECT pg_is_in_recovery() AS standby", CONNECT_TIMEOUT_S))[0][
                "standby"
            ] == "f":
                return wire, await _identify(wire)
            problems.append(f"{address} is a replica")
        except StoreUnavailableError as error:
            wire.abort()
            problems.append(error.message)
            continue
        except BaseException:
            wire.abort()
            raise
        await wire.close()
    raise StoreUnavailableError(f"no database accepts writes: {'; '.join(problems)}")


async def _identify(wire: Wire) -> System:
    (row,) = await wire.query("IDENTIFY_SYSTEM", CONNECT_TIMEOUT_S)
    return System(str(row["systemid"]), int(row["timeline"] or 0), _position(row["xlogpos"]))


async def _start(wire: Wire, slot: str, publication: str) -> int:
    """Start streaming and return the position that the slot begins at."""
    rows = await wire.query(_SLOT + literal(slot), CONNECT_TIMEOUT_S)  # a simple query takes no parameters
    if not rows or rows[0]["wal_status"] == "lost":
        raise SlotLostError(f"replication slot {slot} {'was invalidated' if rows else 'does not exist'}")
    if rows[0]["active_pid"] is not None:
        raise SlotBusyError(
            f"replication slot {slot} is read by process {rows[0]['active_pid']} of the server"
        )
    await _stream(wire, slot, publication)
    return _position(rows[0]["confirmed_flush_lsn"])


async def _start_temporary(wire: Wire, slot: str, publication: str) -> int:
    """Make a temporary slot, start streaming, and return the position that it begins at."""
    published = f"SELECT 1 FROM pg_publication WHERE pubname = {literal(publication)}"  # noqa: S608 - quoted
    if not await wire.query(published, CONNECT_TIMEOUT_S):
        raise ConfigurationError(f"there is no publication {publication}: run `entresol migrate`")
    create = f"CREATE_REPLICATION_SLOT {quote(slot)} TEMPORARY LOGICAL {PLUGIN} NOEXPORT_SNAPSHOT"
    try:
        (row,) = await wire.query(create, CREATE_TIMEOUT_S)
    except ServerError as error:
        if error.state == "42501":
            raise _meaning(error) from error
        raise ConfigurationError(f"a temporary replication slot cannot be made: {error.message}") from error
    await _stream(wire, slot, publication)
    return _position(row["consistent_point"])


async def _stream(wire: Wire, slot: str, publication: str) -> None:
    names = literal(quote(publication))
    start = f"START_REPLICATION SLOT {quote(slot)} LOGICAL 0/0 (proto_version '1', publication_names {names})"
    try:
        await wire.copy_both(start, CONNECT_TIMEOUT_S)
    except ServerError as error:
        raise _meaning(error) from error


def _position(text: str | None) -> int:
    high, _, low = (text or "0/0").partition("/")
    return (int(high, 16) << 32) | int(low, 16)


def _meaning(error: ServerError) -> EntresolError:
    """Return what an error of the server means for whoever reads the slot."""
    if error.state == "55006":
        return SlotBusyError(error.message)
    if error.state == "42704" and "publication" in error.message:
        return ConfigurationError(f"{error.message}: it was dropped; drop the slot, too, and start again")
    if error.state in _LOST:
        return SlotLostError(error.message)
    if error.state == "42501":
        return ConfigurationError(f"{error.message}: ALTER ROLE ... REPLICATION")
    return StoreUnavailableError(f"the stream ended: {error.message}")
