"""`entresol serve --workers`: processes of one server on one port, killed, renewed and drained under load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from entresol.testing.servers import Databases, Migrate

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
READY_S = 60.0


@dataclass
class Server:
    """The process that watches the workers."""

    process: subprocess.Popen[str]
    address: str
    lines: list[str]

    @property
    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def check(self) -> bool:
        """Tell whether a new connection is served."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            return bool(stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status)

    def until(self, text: str) -> None:
        until = time.monotonic() + READY_S
        while not any(text in line for line in list(self.lines)):
            assert time.monotonic() < until, self.lines
            assert self.process.poll() is None, self.lines
            time.sleep(0.02)


@contextmanager
def serving(environment: dict[str, str], transport: str) -> Iterator[Server]:
    command = (sys.executable, "-m", "entresol.cli.main", "serve", "--workers", str(WORKERS))
    process = subprocess.Popen(
        (*command, "--transport", transport),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)
    reader.start()
    server = Server(process, "", lines)
    try:
        server.until(f"serving with {WORKERS} workers on ")
        told = next(line for line in lines if f"serving with {WORKERS} workers" in line)
        server.address = told.rpartition(" ")[2].strip()
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            reader.join(5)
            process.stdout.close()


@pytest.fixture(scope="module")
def environment(databases: Databases, migrate_database: Migrate) -> Iterator[dict[str, str]]:
    database = asyncio.run(databases.create(migrate_database, replicated=False))
    yield {
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": database.write_url,
        "ENTRESOL_DRAIN_S": "2",
    }
    asyncio.run(databases.drop(database))


@pytest.mark.parametrize("transport", ["grpcio", "http2"])
def test_a_killed_worker_is_replaced_and_all_are_renewed(environment: dict[str, str], transport: str) -> None:
    with serving(environment, transport) as server:
        first = server.workers
        assert len(first) == WORKERS
        os.kill(min(first), signal.SIGKILL)
        server.until("another takes its place")
        until = time.monotonic() + READY_S
        while len(server.workers) < WORKERS or not server.workers - first:
            assert time.monotonic() < until
            time.sleep(0.02)
        server.until("serving")
        outcomes: Counter[str] = Counter()
        over = threading.Event()

        def call() -> None:
            while not over.is_set():
                try:
                    outcomes["served" if server.check() else "wrong"] += 1
                except grpc.RpcError as error:
                    outcomes[error.code().name] += 1

        before = server.workers
        caller = threading.Thread(target=call)
        caller.start()
        server.process.send_signal(signal.SIGHUP)
        server.until(f"renewed {WORKERS} workers")
        over.set()
        caller.join(10)
        assert not server.workers & before
        assert outcomes["served"] > 10
        # A connection that is in the old worker's queue when it stops listening is reset: its client tries again.
        assert outcomes.total() - outcomes["served"] <= WORKERS
    assert server.process.returncode == 0


@pytest.mark.parametrize("after_s", [0.05, 0.6, 1.5])
def test_who_is_told_to_end_while_it_renews_leaves_nobody(
    environment: dict[str, str], after_s: float
) -> None:
    seen: set[int] = set()
    with serving(environment, "http2") as server:
        seen |= server.workers
        server.process.send_signal(signal.SIGHUP)
        until = time.monotonic() + after_s
        while time.monotonic() < until:
            seen |= server.workers
            time.sleep(0.02)
        server.process.send_signal(signal.SIGTERM)
        while server.process.poll() is None and time.monotonic() < until + 15:
            with contextlib.suppress(OSError):
                seen |= server.workers
            time.sleep(0.01)
    assert server.process.returncode == 0
    assert not [pid for pid in seen if Path(f"/proc/{pid}").exists()]


def test_workers_that_cannot_start_end_the_server(environment: dict[str, str]) -> None:
    broken = {**environment, "ENTRESOL_DATABASE_WRITE": "postgresql://localhost:1/none"}
    command = (sys.executable, "-m", "entresol.cli.main", "serve", "--workers", "2")
    done = subprocess.run(
        command, env={**os.environ, **broken}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "its output says why" in done.stderr + done.stdout
