"""TLS on every port: who has the right certificate is served, by HTTP/2 where that is spoken, and nobody else."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections import Counter
from pathlib import Path

import grpc
import pytest
import trustme
from tests.integration.transport.conftest import TRANSPORTS, path, wire_settings
from tests.integration.transport.wire import Parcel, registry

from entresol.errors import ConfigurationError
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database

BODY = Parcel(payload=b"x").SerializeToString()


class Certificates:
    """An authority, and what it signed."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.server = self.authority.issue_cert("localhost")
        self.client = self.authority.issue_cert("client@example.com")
        self.certificate, self.key = str(folder / "server.pem"), str(folder / "server.key")
        self.client_ca = str(folder / "authority.pem")
        self.server.cert_chain_pems[0].write_to_path(self.certificate)
        self.server.private_key_pem.write_to_path(self.key)
        self.authority.cert_pem.write_to_path(self.client_ca)

    def credentials(self, *, client: bool) -> grpc.ChannelCredentials:
        root = self.authority.cert_pem.bytes()
        if not client:
            return grpc.ssl_channel_credentials(root)
        chain = self.client.cert_chain_pems[0].bytes()
        return grpc.ssl_channel_credentials(root, self.client.private_key_pem.bytes(), chain)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


def call(address: str, credentials: grpc.ChannelCredentials) -> bytes:
    name = f"localhost:{address.rpartition(':')[2]}"
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(name, credentials, options) as channel:
        return bytes(channel.unary_unary(path("Carry"))(BODY, timeout=5))


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("mutual", [False, True])
def test_who_trusts_and_is_trusted_is_served(
    wire_database: Database, certificates: Certificates, transport: str, mutual: bool
) -> None:
    settings = wire_settings(
        wire_database,
        transport,
        web_listen="127.0.0.1:0",
        tls_certificate=certificates.certificate,
        tls_key=certificates.key,
        tls_client_ca=certificates.client_ca if mutual else "",
    )
    with RunningPlatform(settings, functions=registry(Counter())) as running:
        assert Parcel.FromString(call(running.address, certificates.credentials(client=True))).payload == b"x"
        if mutual:
            with pytest.raises(grpc.RpcError):
                call(running.address, certificates.credentials(client=False))
        else:
            assert call(running.address, certificates.credentials(client=False))
        with grpc.insecure_channel(running.address) as channel, pytest.raises(grpc.RpcError):
            channel.unary_unary(path("Carry"))(BODY, timeout=2)
        context = ssl.create_default_context()
        certificates.authority.configure_trust(context)
        certificates.client.configure_cert(context)
        web = http.client.HTTPSConnection(
            "localhost", int(running.web_address.rpartition(":")[2]), timeout=5, context=context
        )
        web.request("GET", "/openapi.json")
        assert web.getresponse().status == 200
        web.close()


def test_the_fast_port_agrees_on_http2(wire_database: Database, certificates: Certificates) -> None:
    settings = wire_settings(
        wire_database, "http2", tls_certificate=certificates.certificate, tls_key=certificates.key
    )
    context = ssl.create_default_context()
    certificates.authority.configure_trust(context)
    context.set_alpn_protocols(["http/1.1", "h2"])
    with RunningPlatform(settings, functions=registry(Counter())) as running:
        host, _, port = running.address.rpartition(":")
        with (
            socket.create_connection((host, int(port)), 5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as stream,
        ):
            assert stream.selected_alpn_protocol() == "h2"


def test_who_never_shakes_hands_is_not_kept(wire_database: Database, certificates: Certificates) -> None:
    settings = wire_settings(
        wire_database,
        "http2",
        tls_certificate=certificates.certificate,
        tls_key=certificates.key,
        drain_s=10.0,
    )
    with RunningPlatform(settings, functions=registry(Counter())) as running:
        host, _, port = running.address.rpartition(":")
        for _ in range(5):
            with socket.create_connection((host, int(port)), 5) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
                plain.recv(100)
        started = time.monotonic()
    assert time.monotonic() - started < 5, "the drain waited for connections that never were"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_settings_that_cannot_work_are_told(
    wire_database: Database, certificates: Certificates, transport: str
) -> None:
    for changes, text in (
        ({"tls_certificate": certificates.certificate}, "ENTRESOL_TLS_KEY"),
        ({"tls_certificate": "/nowhere.pem", "tls_key": certificates.key}, "cannot be used"),
    ):
        settings = wire_settings(wire_database, transport, **changes)
        with (
            pytest.raises(ConfigurationError, match=text),
            RunningPlatform(settings, functions=registry(Counter())),
        ):
            pass
