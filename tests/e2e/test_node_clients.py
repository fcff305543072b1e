"""Clients written for Node, as their users would write them, against both transports and the web's port."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import INSTALL_S
from tests.integration.transport.conftest import TRANSPORTS, wire_settings
from tests.integration.transport.wire import MODEL, registry

from entresol.cli.folders import system_folder
from entresol.config import Settings
from entresol.storage.migrate import migrate
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Databases, Migrate

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 90.0

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node on this machine")


def run(folder: Path, script: str, *arguments: str) -> Any:
    done = subprocess.run(
        ("node", script, *arguments), cwd=folder, capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def wire_address(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    async def ready(url: str) -> None:
        await migrate(url, [system_folder()])

    database = asyncio.run(databases.create(ready, replicated=False))
    settings = wire_settings(database, request.param)
    with RunningPlatform(settings, functions=registry(Counter())) as running:
        yield running.address
    asyncio.run(databases.drop(database))


@pytest.mark.timeout(INSTALL_S + RUN_S)
@pytest.mark.parametrize("wire_address", TRANSPORTS, indirect=True)
def test_a_service_in_node_calls_in_every_way(node: Path, wire_address: str) -> None:
    descriptors = node / "wire.binpb"
    descriptors.write_bytes(MODEL.descriptor_set)
    found = run(node, "grpc.mjs", wire_address, str(descriptors))
    assert found == {
        "unary": True,
        "metadata": ["text", [0, 255, 1]],
        "error": [9, "as you wished: 100 %\n§"],
        "deadline": 4,
        "stream": {"replies": [300_000] * 20, "code": 0},
        "streamError": 10,
        "collected": 100_000,
        "relayed": 50,
        "many": 2000,
    }


@pytest.mark.timeout(INSTALL_S + RUN_S)
def test_a_page_calls_by_connect_and_grpc_web(
    node: Path, databases: Databases, migrate_database: Migrate
) -> None:
    database = asyncio.run(databases.create(migrate_database, replicated=True))
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
        database_write=database.write_url,
    )
    with RunningPlatform(settings) as running:
        descriptors = node / "stories.binpb"
        descriptors.write_bytes(running.platform.model.descriptor_set)
        with_story = asyncio.run(
            database.psql(
                "INSERT INTO users (name) VALUES ('users/ann');"
                "INSERT INTO stories (name, title, author) VALUES ('stories/one', 'From Node', 'users/ann')"
            )
        )
        assert with_story == ""
        found = run(node, "connect.mjs", f"http://{running.web_address}", str(descriptors), "stories/one")
    for kind in ("json", "binary", "get", "grpcWeb"):
        assert found[kind]["title"] == "From Node", kind
        assert found[kind]["refused"] == "NotFound"
        assert found[kind]["details"] == ["google.rpc.ErrorInfo"]
        assert found[kind]["answeredBy"] == "primary"
    asyncio.run(databases.drop(database))
