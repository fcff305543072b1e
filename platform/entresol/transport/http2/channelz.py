"""grpc.channelz.v1 on this transport: one server, the addresses it listens on, and its connections as sockets.

What each field means is in https://github.com/grpc/proposal/blob/master/A14-channelz.md. A server has no channels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NoReturn, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import Int64Value
from grpc_channelz.v1 import channelz_pb2

from entresol.clock import Clock
from entresol.errors import NotFoundError
from entresol.transport.http2.connection import Connection
from entresol.transport.http2.connections import NUMBERS, Connections
from entresol.transport.listener import Listener

_PAGE = 100  # when the request names no size
_T = TypeVar("_T")


class Channelz:
    """The service, for `hosted.routes`."""

    def __init__(self, listening: Listener, connections: Connections, clock: Clock) -> None:
        """Tell of one server."""
        self._listening = listening
        self._connections = connections
        self._clock = clock
        self._number = next(NUMBERS)
        self._addresses: dict[int, Any] = {}  # that are listened on, by their numbers

    async def GetServers(self, request: Any, _context: Any) -> Any:  # noqa: N802 - as the proto names it
        """Return the one server."""
        page, is_last = _page({self._number: None}, request.start_server_id, request.max_results)
        return channelz_pb2.GetServersResponse(server=[self._server() for _ in page], end=is_last)

    async def GetServer(self, request: Any, _context: Any) -> Any:  # noqa: N802 - as above
        """Return the server."""
        self._check(request.server_id)
        return channelz_pb2.GetServerResponse(server=self._server())

    async def GetServerSockets(self, request: Any, _context: Any) -> Any:  # noqa: N802 - as above
        """Return a page of the server's connections."""
        self._check(request.server_id)
        page, is_last = _page(self._connections.by_number(), request.start_socket_id, request.max_results)
        references = [channelz_pb2.SocketRef(socket_id=number, name=_peer(one)) for number, one in page]
        return channelz_pb2.GetServerSocketsResponse(socket_ref=references, end=is_last)

    async def GetSocket(self, request: Any, _context: Any) -> Any:  # noqa: N802 - as above
        """Return one connection, or one address that is listened on."""
        number = request.socket_id
        if (address := self._addresses.get(number)) is not None:
            reference = channelz_pb2.SocketRef(socket_id=number)
            return _of_socket(channelz_pb2.Socket(ref=reference, local=_address(address)))
        connection = self._connections.by_number().get(number)
        if connection is None:
            raise NotFoundError(f"socket {number}")
        return _of_socket(self._socket(number, connection))

    async def GetTopChannels(self, _request: Any, _context: Any) -> Any:  # noqa: N802 - as above
        """Return none: a server calls nobody."""
        return channelz_pb2.GetTopChannelsResponse(end=True)

    async def GetChannel(self, request: Any, _context: Any) -> NoReturn:  # noqa: N802 - as above
        """Find none."""
        raise NotFoundError(f"channel {request.channel_id}")

    async def GetSubchannel(self, request: Any, _context: Any) -> NoReturn:  # noqa: N802 - as above
        """Find none."""
        raise NotFoundError(f"subchannel {request.subchannel_id}")

    def _check(self, number: int) -> None:
        if number != self._number:
            raise NotFoundError(f"server {number}")

    def _server(self) -> Any:
        if not self._addresses:
            self._addresses = {next(NUMBERS): address for address in self._listening.addresses}
        counters = self._connections.counted()
        data = channelz_pb2.ServerData(
            calls_started=counters.started - counters.others,
            calls_succeeded=counters.succeeded,
            calls_failed=counters.failed + counters.cancelled,
            last_call_started_timestamp=self._timestamp(counters.started_s),
        )
        return channelz_pb2.Server(
            ref=channelz_pb2.ServerRef(server_id=self._number),
            data=data,
            listen_socket=[channelz_pb2.SocketRef(socket_id=number) for number in self._addresses],
        )

    def _socket(self, number: int, connection: Connection) -> Any:
        counters = connection.counters
        data = channelz_pb2.SocketData(
            streams_started=counters.started,
            streams_succeeded=counters.succeeded + counters.failed + counters.others,
            streams_failed=counters.cancelled,
            messages_sent=counters.messages_sent,
            messages_received=counters.messages_received,
            keep_alives_sent=counters.keepalives_sent,
            last_remote_stream_created_timestamp=self._timestamp(counters.started_s),
            last_message_sent_timestamp=self._timestamp(counters.sent_s),
            last_message_received_timestamp=self._timestamp(counters.received_s),
            remote_flow_control_window=Int64Value(value=connection.engine.send_window),
        )
        return channelz_pb2.Socket(
            ref=channelz_pb2.SocketRef(socket_id=number, name=_peer(connection)),
            data=data,
            local=_address(connection.info("sockname")),
            remote=_address(connection.info("peername")),
            security=_security(connection),
        )

    def _timestamp(self, at_s: float | None) -> Timestamp | None:
        """Return what a time of the loop's clock is for people."""
        if at_s is None:
            return None
        age_s = asyncio.get_running_loop().time() - at_s
        timestamp = Timestamp()
        timestamp.FromMicroseconds(round((self._clock.now_s() - age_s) * 1e6))
        return timestamp


def _page(items: Mapping[int, _T], start: int, size: int) -> tuple[Sequence[tuple[int, _T]], bool]:
    """Return the items from the number `start` on, as many as a page has, and whether no more follow."""
    found = [pair for pair in items.items() if pair[0] >= start]
    most = size or _PAGE
    return found[:most], len(found) <= most


def _of_socket(found: Any) -> Any:
    return channelz_pb2.GetSocketResponse(socket=found)


def _peer(connection: Connection) -> str:
    host, port, *_ = connection.info("peername") or ("", 0)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(name: tuple[Any, ...] | None) -> Any:
    """Return an end of a socket, `(host, port, ...)`; None when it had gone before it was asked for."""
    if name is None:
        return None
    host, port, *_ = name
    address = channelz_pb2.Address.TcpIpAddress(ip_address=ip_address(host).packed, port=port)
    return channelz_pb2.Address(tcpip_address=address)


def _security(connection: Connection) -> Any:
    """Return how the connection is kept secret; None where it is not."""
    cipher = connection.info("cipher")
    if cipher is None:
        return None
    name: str = cipher[0]
    # OpenSSL calls the ciphers of TLS 1.3 as the standard does, and the older ones in a way of its own.
    tls = channelz_pb2.Security.Tls(**{"standard_name" if name.startswith("TLS_") else "other_name": name})
    tls.remote_certificate = connection.info("ssl_object").getpeercert(binary_form=True) or b""
    return channelz_pb2.Security(tls=tls)
