"""What a worker tells of its health, to who restarts processes that do not answer."""

from __future__ import annotations

import dataclasses
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.integration.jobs.conftest import ENTRESOL, FUNCTIONS, HERE, Workshop, environment
from tests.integration.jobs.test_jobs import state, until

WORKSHOP = "protos/workshop/v1/workshop.proto"


def without_jobs(text: str) -> str:
    """Return a proto without its methods that answer with operations, and what only they need."""
    methods = re.findall(r"  rpc .*?\n  }\n", text, re.DOTALL)
    for method in methods:
        if not method.lstrip().startswith(("rpc GetMark(", "rpc ListMarks(")):
            text = text.replace(method, "")
    return re.sub(r'import "(entresol/ops|google/longrunning)/.*\n', "", text)


@contextmanager
def worker(workshop: Workshop, **changes: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Give a worker that has begun, and where it tells of its health."""
    settings = dataclasses.replace(workshop.settings, **{"functions": FUNCTIONS, **changes})
    process = subprocess.Popen(
        [ENTRESOL, "work", "--queue", "tasks", "--health", "127.0.0.1:0"],
        env={**environment(settings), "WORKSHOP_NOTES": str(workshop.notes)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said.startswith("telling of health on "), process.communicate(timeout=20)
        assert process.stdout.readline() == "working on tasks\n"
        yield process, said.split()[-1]
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=20)


def health(address: str, timeout_s: float = 5.0) -> int:
    with grpc.insecure_channel(address) as channel:
        request = health_pb2.HealthCheckRequest(service="liveness")
        stub = health_pb2_grpc.HealthStub(channel)
        return int(stub.Check(request, timeout=timeout_s, wait_for_ready=True).status)


def test_a_worker_is_alive_for_as_long_as_it_answers_and_while_it_drains(workshop: Workshop) -> None:
    with worker(workshop, drain_s=10.0) as (process, address):
        assert health(address) == health_pb2.HealthCheckResponse.SERVING
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(grpc.RpcError):
            health(address, timeout_s=0.5)
        process.send_signal(signal.SIGCONT)
        name = workshop.begin(label="drain", steps=1, pause="3s")
        until(lambda: state(workshop, name) == "RUNNING")
        process.terminate()
        assert health(address) == health_pb2.HealthCheckResponse.SERVING
        assert workshop.wait(name).done
        assert process.wait(timeout=20) == 0


def test_a_worker_without_jobs_waits_for_some(workshop: Workshop, tmp_path: Path) -> None:
    protos = tmp_path / "protos"
    protos.mkdir()
    (protos / "workshop.proto").write_text(without_jobs((HERE / WORKSHOP).read_text()))
    with worker(workshop, protos=str(protos), functions="") as (process, address):
        assert health(address) == health_pb2.HealthCheckResponse.SERVING
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "no job is registered" in errors
