"""gRPC's interoperability tests by the client of grpc-go, every case that needs no cloud, on both transports."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from tests.interop import grpc_server
from tests.interop.foreign import any_protos
from tests.interop.programs import BUILD_S, built, module

from entresol.config import Settings
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database

CLIENT, VERSION = "google.golang.org/grpc/interop/client", "v1.85.0"
PROTOS = "google.golang.org/grpc@v1.34.0"  # the last version whose source holds them
RUN_S = 60.0
CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "custom_metadata",
    "rpc_soak",
    "channel_soak",
)

pytestmark = pytest.mark.timeout(BUILD_S + RUN_S)


@dataclass(frozen=True)
class Certified:
    """A running platform, and who signed its certificate."""

    address: str
    authority: str = ""


@pytest.fixture(scope="module")
def client() -> Path:
    return built(CLIENT, VERSION)


@pytest.fixture(scope="module", params=["grpcio", "http2", "grpcio with TLS", "http2 with TLS"])
def server(
    request: pytest.FixtureRequest, system_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Certified]:
    """Give the test service on each transport in turn."""
    folder = tmp_path_factory.mktemp("interop")
    protos = folder / "testing.binpb"
    protos.write_bytes(grpc_server.descriptors(module(PROTOS) / "interop" / "grpc_testing"))
    transport, _, tls = request.param.partition(" with ")
    settings = Settings.load(
        {},
        protos=str(protos),
        listen="127.0.0.1:0",
        database_write=system_database.write_url,
        transport=transport,
        **(_certificate(folder) if tls else {}),
    )
    with any_protos(), RunningPlatform(settings, functions=grpc_server.functions) as running:
        yield Certified(running.address, str(folder / "authority.pem") if tls else "")


def _certificate(folder: Path) -> dict[str, str]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    certificate = authority.issue_cert("localhost")
    files = {"tls_certificate": str(folder / "server.pem"), "tls_key": str(folder / "server.key")}
    certificate.cert_chain_pems[0].write_to_path(files["tls_certificate"])
    certificate.private_key_pem.write_to_path(files["tls_key"])
    return files


@pytest.mark.parametrize("case", CASES)
def test_grpc_go_is_served_as_it_expects(client: Path, server: Certified, case: str) -> None:
    host, _, port = server.address.rpartition(":")
    tls = ("-use_tls", "-use_test_ca", "-ca_file", server.authority, "-server_host_override", "localhost")
    done = subprocess.run(
        (client, "-server_host", host, "-server_port", port, "-test_case", case, *(tls * bool(server.authority))),
        capture_output=True, text=True, timeout=RUN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
