"""A running workshop, and workers as processes of their own, which tests may kill."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from tests.integration.service.api import Api

from entresol.codegen.protos import compile_protos
from entresol.config import Settings
from entresol.schema.load import load
from entresol.service.call import CONSISTENCY_KEY
from entresol.service.registry import Registry
from entresol.testing.platforms import make_tables
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, run
from entresol.transport.caller import Caller

HERE = Path(__file__).parent
ENTRESOL = str(Path(sys.executable).parent / "entresol")
LEASE_S = 2.0
OPERATOR = {"x-badge": "operator"}
SERVICE = "workshop.v1.WorkshopService"


async def _elsewhere(_request: Any, _job: Any) -> None:
    raise AssertionError("a server runs no jobs")


def _is_operator(_request: Any, call: Any) -> bool:
    return call.metadata.get("x-badge") == "operator"


_begun = Registry(
    operator_policy=_is_operator, jobs={f"{SERVICE}.RunTask": _elsewhere, f"{SERVICE}.HurryTask": _elsewhere}
)


@dataclasses.dataclass
class Workshop:
    """A served workshop. Workers that are started here end with the test."""

    settings: Settings
    api: Api
    database: Database
    web_address: str

    @contextmanager
    def worker(self, **changes: Any) -> Iterator[subprocess.Popen[str]]:
        """Give a worker of the queue `tasks` that has begun."""
        changes = {"functions": str(HERE / "functions.py"), **changes}
        settings = dataclasses.replace(self.settings, **changes)
        process = subprocess.Popen(
            [ENTRESOL, "work", "--queue", "tasks"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working on tasks\n"
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            process.communicate(timeout=20)

    def begin(self, **request: Any) -> str:
        """Begin a task and return the name of its operation."""
        return str(self.api.call("RunTask", **request).name)

    def operate(self, method: str, /, **request: Any) -> Any:
        """Call a method of the platform's own API, as an operator."""
        return self.api.call(method, OPERATOR, **request)

    def run(self, *arguments: str) -> str:
        """Run a command and return what it prints."""
        process = self.running(*arguments)
        printed, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
        return printed

    def running(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [ENTRESOL, *arguments],
            env=environment(self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def operation(self, name: str) -> Any:
        return self.api.call("GetOperation", name=name)

    def wait(self, name: str, timeout_s: int = 10) -> Any:
        """Return an operation that is done."""
        found = self.api.call("WaitOperation", name=name, timeout=f"{timeout_s}s")
        assert found.done, found
        return found

    def marks(self) -> list[str]:
        """Return the names of all marks."""
        strong = {CONSISTENCY_KEY: "strong"}
        return sorted(mark.name for mark in self.api.call("ListMarks", strong, page_size=1000).marks)

    def unpacked(self, message: str, any_: Any) -> Any:
        assert any_.type_url == f"type.googleapis.com/{message}"
        return GetMessageClass(self.api.model.pool.FindMessageTypeByName(message)).FromString(any_.value)


def environment(settings: Settings) -> dict[str, str]:
    """Return what a process is to be told of the settings."""
    values = {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if getattr(settings, field.name) != field.default
    }
    texts = {
        f"ENTRESOL_{name.upper()}": " ".join(value) if isinstance(value, tuple) else str(value)
        for name, value in values.items()
    }
    return {"PATH": os.environ["PATH"], **texts}


@pytest.fixture(scope="session")
def workshop_ready() -> Any:
    model = load(compile_protos(HERE / "protos"))

    async def ready(url: str) -> None:
        await make_tables(url, model)

    return ready


@pytest.fixture
def workshop(databases: Databases, workshop_ready: Any) -> Iterator[Workshop]:
    database = run(databases.create(workshop_ready, replicated=True))
    settings = Settings.load(
        {},
        protos=str(HERE / "protos"),
        listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
        database_write=database.write_url,
        database_read=database.read_urls,
        replica_poll_s=0.02,
        jobs_lease_s=LEASE_S,
    )
    try:
        with RunningPlatform(settings, functions=_begun) as running, Caller(running.address) as caller:
            yield Workshop(settings, Api(caller, running.platform.model), database, running.web_address)
    finally:
        run(databases.drop(database))
