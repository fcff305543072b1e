"""The rendered configuration of HAProxy, read by a real one, and how that finds out which servers are ready."""

from __future__ import annotations

import asyncio
import csv
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.chart.tools import find_haproxy, run
from tests.unit.helm.chart import VALUES, named, render, rendered, values_of

from entresol.config import Settings
from entresol.embedded.postgres import free_port
from entresol.transport.health import open_health

WITH_HAPROXY = [
    values
    for values in VALUES
    if values_of(values)["haproxy"]["enabled"] and not values_of(values)["haproxy"]["existingConfigMap"]
]
BACKENDS = ("be_platform", "be_platform_stream")
WAIT_S_MAX = 20.0
FILES = ("databases.cfg", "everything.cfg")
SERVICES = {"haproxy.enabled": True, "haproxy.postgres": {"writeService": "127.0.0.1:5432"}, "admin.port": 0}


def test_some_values_have_it() -> None:
    assert len(WITH_HAPROXY) >= 2


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("values", WITH_HAPROXY)
def test_haproxy_takes_the_configuration(values: str, file: str, tmp_path: Path) -> None:
    data = named(rendered(values), "ConfigMap", "-haproxy")["data"]
    (tmp_path / file).write_text(data[file])
    run(find_haproxy(), "-c", "-q", "-f", str(tmp_path / file))


@dataclass(frozen=True)
class Balancer:
    """A HAProxy that runs."""

    port: int
    admin_port: int

    def until(self, states: dict[str, str]) -> None:
        """Wait until HAProxy says this of the servers behind both of its ways to the platform."""
        wanted = {(backend, name, state) for backend in BACKENDS for name, state in states.items()}
        wait(lambda: wanted <= self._states())

    def _states(self) -> set[tuple[str, str, str]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/stats;csv", timeout=5) as reply:
            rows = csv.DictReader(reply.read().decode().removeprefix("# ").splitlines())
        return {(row["pxname"], row["svname"], row["status"].split()[0]) for row in rows}


@contextmanager
def balancing(ports: dict[str, int], folder: Path) -> Iterator[Balancer]:
    """Run HAProxy as rendered, but for where it listens and where the servers are."""
    balancer = Balancer(free_port(), free_port())
    data = named(render(settings=SERVICES), "ConfigMap", "-haproxy")["data"]
    servers = "\n    ".join(f"server {name} 127.0.0.1:{port}" for name, port in ports.items())
    moved = {
        r"127\.0\.0\.1:9000": f"127.0.0.1:{balancer.port}",
        r"bind :8404": f"bind 127.0.0.1:{balancer.admin_port}",
        r"127\.0\.0\.1:9001": f"127.0.0.1:{free_port()}",
        r"127\.0\.0\.1:9002": f"127.0.0.1:{free_port()}",
        r"/var/run/haproxy": str(folder),
        r"server-template .*": servers,
        r"abns@entresol-once": f"abns@entresol-once-{balancer.port}",
    }
    text = data["everything.cfg"]
    for pattern, place in moved.items():
        text = re.sub(pattern, place, text)
    (folder / "haproxy.cfg").write_text(text)
    process = subprocess.Popen(
        (find_haproxy(), "-db", "-f", str(folder / "haproxy.cfg")), stderr=subprocess.DEVNULL
    )
    try:
        wait(lambda: process.poll() is None and _answers(balancer.admin_port))
        yield balancer
    finally:
        process.kill()
        process.wait()


def wait(condition: Callable[[], bool]) -> None:
    """Wait until HAProxy, which tells nobody by itself, has come so far."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


@pytest.fixture
def ports() -> dict[str, int]:
    return {"first": free_port(), "second": free_port()}


@pytest.fixture
def balancer(ports: dict[str, int], tmp_path: Path) -> Iterator[Balancer]:
    with balancing(ports, tmp_path) as running:
        yield running


async def test_calls_go_on_while_a_server_stops_and_comes_back(
    ports: dict[str, int], balancer: Balancer
) -> None:
    async with (
        open_health(Settings(), f"127.0.0.1:{ports['second']}"),
        grpc.aio.insecure_channel(f"127.0.0.1:{balancer.port}") as channel,
    ):
        health = health_pb2_grpc.HealthStub(channel)

        async def call() -> None:
            reply = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING

        async with open_health(Settings(), f"127.0.0.1:{ports['first']}"):
            await asyncio.to_thread(balancer.until, {"first": "UP", "second": "UP"})
            for _ in range(40):
                await call()
            seen = asyncio.create_task(asyncio.to_thread(balancer.until, {"first": "DOWN", "second": "UP"}))
        while not seen.done():
            await call()
        await seen
        async with open_health(Settings(), f"127.0.0.1:{ports['first']}"):
            await asyncio.to_thread(balancer.until, {"first": "UP", "second": "UP"})
            await call()
