"""`entresol up --topology`: two servers, the replicas and the primary, each behind a port of the balancer."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from tests.haproxy import haproxy_or_skip

from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port
from entresol.testing.plugin import run
from entresol.transport.caller import Caller

ROOT = Path(__file__).resolve().parents[2]
ENTRESOL = str(Path(sys.executable).parent / "entresol")
GET = "stories.v1.UserService/GetUser"


def four_ports() -> int:
    """Return a port that is free, as are the three behind it."""
    while True:
        first = free_port()
        try:
            with ExitStack() as stack:
                for port in range(first, first + 4):
                    stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
        except (OSError, OverflowError):
            continue


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    program, folder = haproxy_or_skip(), tmp_path_factory.mktemp("topology")
    settings = {
        "ENTRESOL_HAPROXY_BIN": str(program),
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_MIGRATIONS": str(ROOT / "migrations"),
        "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
        "ENTRESOL_WEB_LISTEN": "127.0.0.1:0",
        "ENTRESOL_ADMIN_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": "postgresql://127.0.0.1:1/not_this_one",
    }
    command = [
        ENTRESOL,
        "up",
        "--topology",
        "--json",
        "--listen",
        f"127.0.0.1:{four_ports()}",
        "--folder",
        folder,
    ]
    with Popen(command, cwd=folder, env={**os.environ, **settings}, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline() or "{}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def servers(up: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the balancer knows of each server."""
    with urllib.request.urlopen(f"http://{up['balancer']}/stats;csv", timeout=5) as answer:
        rows = csv.DictReader(io.StringIO(answer.read().decode()))
        return {(row["# pxname"], row["svname"]): row for row in rows}


@pytest.mark.timeout(110)
def test_both_servers_answer_on_one_port_and_reads_come_from_replicas(up: dict[str, Any]) -> None:
    async def are_up() -> bool:
        found = await asyncio.to_thread(servers, up)
        return all(found["be_platform", name]["status"] == "UP" for name in ("p1", "p2"))

    assert run(until(are_up, 20))
    with Caller(up["platform"]) as caller:
        user = caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "x"}}).reply
        for _ in range(20):
            assert caller.call(GET, {"name": user.name}).reply.display_name == "x"  # type: ignore[attr-defined]
    found = servers(up)
    assert all(int(found["be_platform", name]["stot"]) > 5 for name in ("p1", "p2"))
    assert found["be_primary", "pg1"]["status"] == "UP"
    assert found["be_replicas", "pg1"]["status"] == "DOWN"
    assert all(found["be_replicas", name]["status"] == "UP" for name in ("pg2", "pg3"))
    assert int(found["be_replicas", "pg2"]["stot"]) + int(found["be_replicas", "pg3"]["stot"]) > 0
    assert int(found["be_primary", "pg1"]["stot"]) > 0
