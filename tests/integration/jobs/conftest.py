"""A running workshop, and workers as processes of their own, which tests may kill."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
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
from entresol.service.registry import Context, Registry
from entresol.storage.jobs import Jobs
from entresol.storage.pools import Pools
from entresol.testing.platforms import make_tables
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, run
from entresol.transport.caller import Caller

HERE = Path(__file__).parent
ENTRESOL = str(Path(sys.executable).parent / "entresol")
LEASE_S = 2.0
FUNCTIONS = f"{HERE / 'functions.py'},{HERE / 'blocking.py'}"
OPERATOR = {"x-badge": "operator"}
SERVICE = "workshop.v1.WorkshopService"
CROWD = f"{SERVICE}.CrowdTask"


async def _elsewhere(_request: Any, _job: Any) -> None:
    raise AssertionError("a server runs no jobs")


async def _order(request: Any, context: Context) -> Any:
    task = context.new("workshop.v1.RunTaskRequest", label=request.key, steps=1, pause=request.pause)
    task.is_wrong = request.is_wrong
    async with context.transaction() as transaction:
        name = await context.enqueue(
            transaction,
            f"{SERVICE}.RunTask",
            task,
            unique=request.key,
            unique_for=request.unique_for.ToTimedelta(),
        )
        await asyncio.sleep(0.02)  # so that who asks at the same time finds it under way
    return context.new("workshop.v1.OrderTaskResponse", operation=name)


async def _chain(request: Any, context: Context) -> Any:
    names: list[str] = []
    async with context.transaction() as transaction:
        for task in request.tasks:
            after = () if request.gathers else names[-1:] or request.names
            names.append(await context.enqueue(transaction, f"{SERVICE}.RunTask", task, after=after))
        if request.gathers:
            gathers = context.new("workshop.v1.GatherTaskRequest", label="gathers")
            after = [*request.names, *names]
            names.append(await context.enqueue(transaction, f"{SERVICE}.GatherTask", gathers, after=after))
        await asyncio.sleep(request.stay.ToTimedelta().total_seconds())
    return context.new("workshop.v1.ChainTasksResponse", operations=names)


def _is_operator(_request: Any, call: Any) -> bool:
    return call.metadata.get("x-badge") == "operator"


TASKS = ("RunTask", "HurryTask", "BlockTask", "CrunchTask", "CrowdTask", "PaceTask", "GatherTask")
_begun = Registry(
    operator_policy=_is_operator,
    jobs={f"{SERVICE}.{task}": _elsewhere for task in TASKS},
    functions={f"{SERVICE}.OrderTask": _order, f"{SERVICE}.ChainTasks": _chain},
)


@dataclasses.dataclass
class Workshop:
    """A served workshop. Workers that are started here end with the test."""

    settings: Settings
    api: Api
    database: Database
    notes: Path
    web_address: str
    address: str

    @contextmanager
    def worker(self, **changes: Any) -> Iterator[subprocess.Popen[str]]:
        """Give a worker of the queue `tasks` that has begun."""
        changes = {"functions": FUNCTIONS, **changes}
        settings = dataclasses.replace(self.settings, **changes)
        process = subprocess.Popen(
            [ENTRESOL, "work", "--queue", "tasks"],
            env={**environment(settings), "WORKSHOP_NOTES": str(self.notes)},
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


def workshop_settings(database: Database) -> Settings:
    """Return the settings of a workshop over a database."""
    return Settings.load(
        {},
        protos=str(HERE / "protos"),
        listen="127.0.0.1:0",
        web_listen="127.0.0.1:0",
        database_write=database.write_url,
        database_read=database.read_urls,
        replica_poll_s=0.02,
        jobs_lease_s=LEASE_S,
    )


@contextmanager
def served(settings: Settings, database: Database, folder: Path) -> Iterator[Workshop]:
    """Give a workshop that is served."""
    with RunningPlatform(settings, functions=_begun) as running, Caller(running.address) as caller:
        yield Workshop(
            settings,
            Api(caller, running.platform.model),
            database,
            folder / "notes",
            running.web_address,
            running.address,
        )


@pytest.fixture
def workshop(databases: Databases, workshop_ready: Any, tmp_path: Path) -> Iterator[Workshop]:
    database = run(databases.create(workshop_ready, replicated=True))
    try:
        with served(workshop_settings(database), database, tmp_path) as workshop:
            yield workshop
    finally:
        run(databases.drop(database))


@pytest.fixture
async def database(databases: Databases, workshop_ready: Any) -> AsyncIterator[Database]:
    database = await databases.create(workshop_ready, replicated=False)
    yield database
    await databases.drop(database)


@pytest.fixture
async def pools(database: Database) -> AsyncIterator[Pools]:
    pools = await Pools.open(Settings.load({}, database_write=database.write_url, database_read=()))
    yield pools
    await pools.close()


@pytest.fixture
def jobs(pools: Pools) -> Jobs:
    return Jobs(pools)


async def put(database: Database, number: int, *, kind: str = CROWD, tenants: int = 1) -> None:
    """Put jobs of nothing in."""
    await database.psql(
        f"INSERT INTO entresol.lanes (queue, kind, tenant, priority)"
        f" SELECT 'tasks', '{kind}', 'tenant' || number, 0 FROM generate_series(1, {tenants}) AS number;"
        f"INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request)"
        f" SELECT gen_random_uuid(), lanes.id, 'ready', pg_current_xact_id()::text::bigint, now(), 10000, 60, ''"
        f" FROM entresol.lanes, generate_series(1, {number}) WHERE kind = '{kind}'"
    )
