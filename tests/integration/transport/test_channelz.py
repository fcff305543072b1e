"""channelz tells what is true of a server and its sockets: alike on every transport, where grpcio tells it at all."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from tests.integration.transport.conftest import TRANSPORTS, path, wire_settings
from tests.integration.transport.peer import END_HEADERS, END_STREAM, HEADERS, Peer, block, frame, request
from tests.integration.transport.test_conformance import collected, eventually, relayed, streamed, unary
from tests.integration.transport.wire import Parcel, registry

from entresol.errors import Code
from entresol.records import NEAR
from entresol.service.call import ANSWERED_BY_KEY
from entresol.testing.platforms import Platforms
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database
from entresol.transport.caller import Caller

TIMEOUT_S = 20.0


class Channelz:
    """The service of one server, asked over one connection; it counts its own calls, which the server counts, too."""

    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self.port = int(address.rpartition(":")[2])
        self.calls = 0
        self._stub = channelz_pb2_grpc.ChannelzStub(channel)

    def ask(self, method: str, **fields: Any) -> Any:
        self.calls += 1
        request = getattr(channelz_pb2, f"{method}Request")(**fields)
        return getattr(self._stub, method)(request, timeout=TIMEOUT_S)

    def server(self) -> Any:
        """Return the server; grpcio tells of all that the process has."""
        for server in self.ask("GetServers").server:
            if any(one.local.tcpip_address.port == self.port for one in self.sockets(server)):
                return self.ask("GetServer", server_id=server.ref.server_id).server
        raise AssertionError(f"no server has a connection on port {self.port}")

    def sockets(self, server: Any) -> list[Any]:
        references = self.ask("GetServerSockets", server_id=server.ref.server_id).socket_ref
        return [self.socket(one.socket_id) for one in references]

    def socket(self, number: int) -> Any:
        return self.ask("GetSocket", socket_id=number).socket

    def refused(self, method: str, **fields: Any) -> grpc.StatusCode:
        with pytest.raises(grpc.RpcError) as caught:
            self.ask(method, **fields)
        code: grpc.StatusCode = caught.value.code()
        return code


@dataclass
class Ground:
    """A platform that nobody else calls."""

    transport: str
    running: RunningPlatform

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.running.address, options=[("grpc.use_local_subchannel_pool", 1)])


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ground(wire_database: Database, transport: str) -> Iterator[Ground]:
    settings = wire_settings(wire_database, transport)
    with RunningPlatform(settings, functions=registry(Counter())) as running:
        yield Ground(transport, running)


@pytest.fixture
def channel(ground: Ground) -> Iterator[grpc.Channel]:
    with ground.channel() as channel:
        yield channel


@pytest.fixture
def channelz(ground: Ground, channel: grpc.Channel) -> Channelz:
    return Channelz(ground.running.address, channel)


def fail(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError):
        unary(channel)(Parcel(code=Code.ABORTED), timeout=TIMEOUT_S)


def test_a_server_tells_how_many_calls_it_began_and_how_they_went(ground: Ground, channelz: Channelz) -> None:
    with ground.channel() as other:
        for _ in range(3):
            unary(other)(Parcel(), timeout=TIMEOUT_S)
        fail(other)
        held = unary(other).future(Parcel(pause_s=60), timeout=TIMEOUT_S)
        eventually(lambda: channelz.server().data.calls_started == 5 + channelz.calls)
        data = channelz.server().data
        # Of its own calls, the one that asks is not over.
        assert data.calls_succeeded == 3 + channelz.calls - 1
        assert data.calls_failed == 1
        held.cancel()
        eventually(lambda: channelz.server().data.calls_failed == 2)
    assert abs(channelz.server().data.last_call_started_timestamp.ToSeconds() - time.time()) < 5


def test_calls_of_connections_that_have_ended_stay_counted(ground: Ground, channelz: Channelz) -> None:
    with ground.channel() as other:
        unary(other)(Parcel(), timeout=TIMEOUT_S)
        fail(other)
        held = unary(other).future(Parcel(pause_s=60), timeout=TIMEOUT_S)
        eventually(lambda: channelz.server().data.calls_started == 3 + channelz.calls)
        assert len(channelz.sockets(channelz.server())) == 2
    assert held.cancelled() or held.exception(TIMEOUT_S)
    eventually(lambda: len(channelz.sockets(channelz.server())) == 1)
    data = channelz.server().data
    assert data.calls_started == 3 + channelz.calls
    assert data.calls_succeeded == 1 + channelz.calls - 1
    assert data.calls_failed == 2


def test_a_connection_tells_its_ends_and_what_went_over_it(ground: Ground, channelz: Channelz) -> None:
    before = {one.ref.socket_id for one in channelz.sockets(channelz.server())}
    with ground.channel() as other:
        unary(other)(Parcel(), timeout=TIMEOUT_S)
        unary(other)(Parcel(size_bytes=200_000), timeout=TIMEOUT_S)
        assert len(list(streamed(other)(Parcel(count=3), timeout=TIMEOUT_S))) == 3
        collected(other)(iter([Parcel()] * 4), timeout=TIMEOUT_S)
        assert len(list(relayed(other)(iter([Parcel()] * 2), timeout=TIMEOUT_S))) == 2
        fail(other)
        held = unary(other).future(Parcel(pause_s=60), timeout=TIMEOUT_S)
        (one,) = [one for one in channelz.sockets(channelz.server()) if one.ref.socket_id not in before]
        eventually(lambda: channelz.socket(one.ref.socket_id).data.streams_started == 7)
        held.cancel()
        eventually(lambda: channelz.socket(one.ref.socket_id).data.streams_failed == 1)
        data = channelz.socket(one.ref.socket_id).data
    assert one.local.tcpip_address.port == channelz.port
    assert str(ip_address(one.remote.tcpip_address.ip_address)) == "127.0.0.1"
    assert f"127.0.0.1:{one.remote.tcpip_address.port}" in one.ref.name
    assert data.streams_succeeded == 6
    assert data.messages_received == 1 + 1 + 1 + 4 + 2 + 1 + 1
    assert data.messages_sent == 1 + 1 + 3 + 1 + 2
    if ground.transport == "http2":  # grpcio shows it at times, and 0 at others
        assert data.remote_flow_control_window.value > 0
    for at in ("last_remote_stream_created", "last_message_sent", "last_message_received"):
        assert abs(getattr(data, f"{at}_timestamp").ToSeconds() - time.time()) < 5
    assert not data.HasField("last_local_stream_created_timestamp")


def test_sockets_come_in_pages(ground: Ground, channelz: Channelz) -> None:
    channels = [ground.channel() for _ in range(4)]
    for channel in channels:
        unary(channel)(Parcel(), timeout=TIMEOUT_S)
    server = channelz.server().ref.server_id
    pages, start = [], 0
    while True:
        page = channelz.ask("GetServerSockets", server_id=server, start_socket_id=start, max_results=2)
        pages.append([one.socket_id for one in page.socket_ref])
        if page.end:
            break
        start = pages[-1][-1] + 1
    for channel in channels:
        channel.close()
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({number for page in pages for number in page}) == 5
    assert not channelz.ask("GetServers", start_server_id=10**9).server


def test_what_is_not_there_is_not_found(channelz: Channelz) -> None:
    missing = grpc.StatusCode.NOT_FOUND
    assert channelz.refused("GetServer", server_id=10**9) == missing
    assert channelz.refused("GetServerSockets", server_id=10**9) == missing
    assert channelz.refused("GetSocket", socket_id=10**9) == missing
    assert channelz.refused("GetChannel", channel_id=10**9) == missing
    assert channelz.refused("GetSubchannel", subchannel_id=10**9) == missing
    assert channelz.ask("GetTopChannels", start_channel_id=10**9).end


def test_a_server_tells_where_it_listens(ground: Ground, channelz: Channelz) -> None:
    (listening,) = channelz.server().listen_socket
    local = channelz.socket(listening.socket_id).local.tcpip_address
    assert str(ip_address(local.ip_address)) == "127.0.0.1"
    # grpcio tells the port that it was asked for, which is 0 here.
    assert local.port == (channelz.port if ground.transport == "http2" else 0)


def test_a_request_that_is_no_call_is_a_stream_and_no_call(wire_database: Database) -> None:
    settings = wire_settings(wire_database, "http2")
    with (
        RunningPlatform(settings, functions=registry(Counter())) as running,
        grpc.insecure_channel(running.address) as channel,
        Peer(running.address) as peer,
    ):
        channelz = Channelz(running.address, channel)
        head = block(request(path("Carry"), method=b"GET"))
        peer.greet().write(frame(HEADERS, END_HEADERS | END_STREAM, 1, head))
        eventually(lambda: of(channelz, peer).data.streams_succeeded == 1)
        assert channelz.server().data.calls_started == channelz.calls


def of(channelz: Channelz, peer: Peer) -> Any:
    """Return what the server knows of this peer's connection."""
    port = peer.socket.getsockname()[1]
    return next(one for one in channelz.sockets(channelz.server()) if one.remote.tcpip_address.port == port)


def test_a_call_that_copies_answer_at_once_counts_as_any_other(platforms: Platforms) -> None:
    get = "stories.v1.UserService/GetUser"
    with (
        platforms.serve(transport="http2") as platform,
        Caller(platform.address) as caller,
        grpc.insecure_channel(platform.address) as channel,
        Peer(platform.address) as peer,
    ):
        name = platform.call("stories.v1.UserService/CreateUser", user={"display_name": "Ann"}).name
        eventually(lambda: caller.call(get, {"name": name}).trailing[ANSWERED_BY_KEY] == NEAR)
        channelz = Channelz(platform.address, channel)
        message = caller.request(caller.method(get), [f"name={name}"]).SerializeToString()
        # Headers and data at once, as grpcio's clients do not send them.
        peer.greet().call(1, f"/{get}", message)
        eventually(lambda: of(channelz, peer).data.streams_succeeded == 1)
        data = of(channelz, peer).data
    assert (data.streams_started, data.messages_received, data.messages_sent) == (1, 1, 1)
    assert data.HasField("last_message_sent_timestamp")


def test_a_silent_client_shows_how_often_it_was_asked(wire_database: Database) -> None:
    settings = wire_settings(wire_database, "http2", keepalive_s=0.2)
    with (
        RunningPlatform(settings, functions=registry(Counter())) as running,
        grpc.insecure_channel(running.address) as channel,
        Peer(running.address) as peer,
    ):
        channelz = Channelz(running.address, channel)
        peer.greet()
        eventually(lambda: of(channelz, peer).data.keep_alives_sent == 1)


def test_a_connection_tells_how_it_is_kept_secret(wire_database: Database, tmp_path: Path) -> None:
    authority = trustme.CA()
    server, client = authority.issue_cert("localhost"), authority.issue_cert("client@example.com")
    files = {name: str(tmp_path / name) for name in ("certificate", "key", "client_ca")}
    server.cert_chain_pems[0].write_to_path(files["certificate"])
    server.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["client_ca"])
    settings = wire_settings(wire_database, "http2", **{f"tls_{name}": file for name, file in files.items()})
    with RunningPlatform(settings, functions=registry(Counter())) as running:
        credentials = grpc.ssl_channel_credentials(
            authority.cert_pem.bytes(), client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
        )
        name = f"localhost:{running.address.rpartition(':')[2]}"
        with grpc.secure_channel(name, credentials) as channel:
            channelz = Channelz(running.address, channel)
            (one,) = channelz.sockets(channelz.server())
    assert one.security.tls.standard_name.startswith("TLS_")
    assert one.security.tls.remote_certificate.startswith(b"0\x82")
