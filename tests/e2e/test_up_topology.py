"""`entresol up --topology`: two servers, the replicas and the primary, each behind a port of the balancer."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from tests.debian import PackageMissingError
from tests.haproxy import haproxy_or_skip
from tests.topology.patroni import patroni, postgres_bin

from entresol.embedded.postgres import free_port
from entresol.service.call import ANSWERED_BY_KEY, CONSISTENCY_KEY
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


@contextmanager
def up(folder: Path, *options: str, **environment: str) -> Iterator[dict[str, Any]]:
    """Run the command while the block lasts, and give what it tells."""
    settings = {
        "ENTRESOL_HAPROXY_BIN": str(haproxy_or_skip()),
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_MIGRATIONS": str(ROOT / "migrations"),
        "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
        "ENTRESOL_WEB_LISTEN": "127.0.0.1:0",
        "ENTRESOL_ADMIN_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": "postgresql://127.0.0.1:1/not_this_one",
        **environment,
    }
    listen = f"127.0.0.1:{four_ports()}"
    command = (ENTRESOL, "up", "--topology", "--json", "--listen", listen, "--folder", folder, *options)
    with Popen(command, cwd=folder, env={**os.environ, **settings}, stdout=PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline() or "{}")
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a folder that the account of the servers may enter."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        shutil.rmtree((path / "servers").resolve(), ignore_errors=True)


def servers(told: dict[str, Any]) -> dict[tuple[str, str], dict[str, str]]:
    """Return what the balancer knows of each server."""
    with urllib.request.urlopen(f"http://{told['balancer']}/stats;csv", timeout=5) as answer:
        rows = csv.DictReader(io.StringIO(answer.read().decode()))
        return {(row["# pxname"], row["svname"]): row for row in rows}


def created(told: dict[str, Any]) -> str:
    """Return the name of a user that was created by way of the balancer."""
    with Caller(told["platform"]) as caller:
        reply = caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "x"}}).reply
        return str(reply.name)  # type: ignore[attr-defined]


def read(told: dict[str, Any], name: str, **metadata: str) -> tuple[str, str]:
    """Return what a Get by way of the balancer shows, and who answered it."""
    with Caller(told["platform"]) as caller:
        answer = caller.call(GET, {"name": name}, metadata)
        return answer.reply.display_name, str(answer.trailing[ANSWERED_BY_KEY])  # type: ignore[attr-defined]


@pytest.mark.timeout(110)
def test_both_servers_answer_on_one_port_and_reads_come_from_replicas(folder: Path) -> None:
    with up(folder, "--no-patroni") as told:
        assert told["cache"].startswith("redis+sentinel://")
        name = created(told)
        assert all(read(told, name)[0] == "x" for _ in range(20))
        found = servers(told)
    assert all(int(found["be_platform", name]["stot"]) > 5 for name in ("p1", "p2"))
    assert found["be_primary", "pg1"]["status"] == "UP"
    assert found["be_replicas", "pg1"]["status"] == "DOWN"
    assert all(found["be_replicas", name]["status"] == "UP" for name in ("pg2", "pg3"))
    assert int(found["be_replicas", "pg2"]["stot"]) + int(found["be_replicas", "pg3"]["stot"]) > 0
    assert int(found["be_primary", "pg1"]["stot"]) > 0


@pytest.mark.timeout(200)
def test_patroni_keeps_three_nodes_whose_data_are_there_the_next_time(folder: Path) -> None:
    try:
        programs = patroni()
    except PackageMissingError as missing:
        pytest.skip(f"there is no Patroni on this machine: {missing}")
    own = {"PATH": f"{programs.patroni.parent}:{os.environ['PATH']}", "ENTRESOL_POSTGRES_BIN": postgres_bin()}
    with up(folder, "--cache", "cluster", **own) as told:
        assert told["cache"].startswith("redis+cluster://")
        name = created(told)
        assert read(told, name)[0] == "x"
        found = servers(told)
        ups = Counter(
            pool for (pool, one), row in found.items() if one != "BACKEND" and row["status"] == "UP"
        )
        assert (ups["be_primary"], ups["be_replicas"]) == (1, 2)
    with up(folder, **own) as told:
        assert read(told, name, **{CONSISTENCY_KEY: "strong"})[0] == "x"
        assert len(told["replicas"]) == 3, "each node may lead"
