"""A running market with a cache, workers and Dask's processes beside it, all of which tests may kill."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from google.protobuf.message_factory import GetMessageClass
from tests.integration.jobs.conftest import ENTRESOL, environment
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
DASK = str(Path(sys.executable).parent / "dask")
LEASE_S = 2.0
SERVICE = "market.v1.MarketService"
DAY = "2026-01-31"
SHOPS = tuple(f"shop-{number}" for number in range(20))


async def _elsewhere(_request: Any, _job: Any) -> None:
    raise AssertionError("a server runs no jobs")


_begun = Registry(
    jobs={f"{SERVICE}.{name}": _elsewhere for name in ("SumTotals", "AddTotals", "SpoilTotals")}
)


def until(holds: Callable[[], object], timeout_s: float = 30.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end_s, "it did not come to that in time"
        time.sleep(0.05)


@dataclasses.dataclass
class Market:
    """A served market. Processes that are started here end with the test."""

    settings: Settings
    api: Api
    database: Database

    @contextmanager
    def worker(self, **changes: Any) -> Iterator[subprocess.Popen[str]]:
        """Give a worker that has begun."""
        settings = dataclasses.replace(self.settings, functions=str(HERE / "functions.py"), **changes)
        process = subprocess.Popen(
            [ENTRESOL, "work"], env=environment(settings), stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working on default\n"
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=30)

    def rows(self, sql: str, *, url: str = "") -> list[asyncpg.Record]:
        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(url or self.settings.database_write)
            try:
                return await connection.fetch(sql)
            finally:
                await connection.close()

        return asyncio.run(fetch())

    def sell(self, count: int, *, pause_s: float = 0.0) -> None:
        """Let there be so many sales, on the day and on the days around it."""
        self.rows(
            f"""INSERT INTO sales (name, shop, amount, sell_time, pause_s)
            SELECT 'sales/' || gen_random_uuid(), 'shop-' || n % {len(SHOPS)}, n % 97,
                timestamptz '2026-01-30 00:00Z' + (n * 7919 % {count}) * interval '3 days' / {count}, {pause_s}
            FROM generate_series(1, {count}) AS n"""
        )
        self.rows("ANALYZE sales")

    def sold(self) -> dict[str, tuple[int, int, Any]]:
        """Return the totals of the day as the sales are now, by shop."""
        found = self.rows(
            f"""SELECT shop, sum(amount)::bigint, count(*), max(sell_time) FROM sales
            WHERE sell_time >= '{DAY} 00:00Z' AND sell_time < '2026-02-01 00:00Z' GROUP BY shop"""
        )
        return {row[0]: tuple(row)[1:] for row in found}

    def totals(self, day: str = DAY) -> dict[str, tuple[int, int, Any]]:
        """Return the totals that the table has, by shop."""
        found = self.rows(f"SELECT name, amount, sales, last_time FROM totals WHERE parent = 'days/{day}'")
        return {row[0].rpartition("/")[2]: tuple(row)[1:] for row in found}

    def shown(self) -> dict[str, int]:
        """Return the totals that readers are shown now, by shop."""
        page = self.api.call("ListTotals", {CONSISTENCY_KEY: "strong"}, parent=f"days/{DAY}", page_size=1000)
        return {total.name.rpartition("/")[2]: total.sales for total in page.totals}

    def begin(self, method: str = "SumTotals", **request: Any) -> str:
        return str(self.api.call(method, **{"key": DAY, **request}).name)

    def operation(self, name: str) -> Any:
        return self.api.call("GetOperation", name=name)

    def metadata(self, name: str) -> Any:
        return self.unpacked("entresol.ops.v1.JobMetadata", self.operation(name).metadata)

    def done(self, name: str, timeout_s: float = 60) -> Any:
        """Return the run of an operation, once it is done and has succeeded."""
        until(lambda: self.operation(name).done, timeout_s)
        found = self.operation(name)
        assert not found.error.code, (found.error.message, self.generations())
        return self.unpacked("entresol.ops.v1.BatchRun", found.response)

    def generations(self) -> list[dict[str, Any]]:
        found = self.rows("SELECT * FROM entresol.batch_generations ORDER BY batch, generation")
        return [dict(row) for row in found]

    def unpacked(self, message: str, any_: Any) -> Any:
        assert any_.type_url == f"type.googleapis.com/{message}"
        return GetMessageClass(self.api.model.pool.FindMessageTypeByName(message)).FromString(any_.value)


@pytest.fixture(scope="session")
def market_ready() -> Any:
    model = load(compile_protos(HERE / "protos"))

    async def ready(url: str) -> None:
        await make_tables(url, model)

    return ready


@pytest.fixture
def queue_url() -> str:
    """Return where the queue is; empty: in the database."""
    return ""


@pytest.fixture
def market(databases: Databases, cache_url: str, market_ready: Any, queue_url: str) -> Iterator[Market]:
    database = run(databases.create(market_ready, replicated=True))
    settings = Settings.load(
        {},
        protos=str(HERE / "protos"),
        listen="127.0.0.1:0",
        database_write=database.write_url,
        database_read=database.read_urls,
        database_jobs=queue_url,
        cache_url=cache_url,
        replica_poll_s=0.02,
        jobs_lease_s=LEASE_S,
    )
    try:
        with RunningPlatform(settings, functions=_begun) as running, Caller(running.address) as caller:
            yield Market(settings, Api(caller, running.platform.model), database)
    finally:
        run(databases.drop(database))


@dataclasses.dataclass
class Cluster:
    """Dask's scheduler and workers, each a process."""

    address: str
    folder: Path
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = dataclasses.field(default_factory=list)

    def start(self) -> None:
        """Start a scheduler, and two workers of one thread each."""
        host, _, port = self.address.removeprefix("tcp://").rpartition(":")
        self.scheduler = self._run("scheduler", "--host", host, "--port", port)
        self.workers = [self.add() for _ in range(2)]

    def add(self) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        folder = ("--local-directory", str(self.folder))
        return self._run("worker", self.address, "--nthreads", "1", "--no-nanny", *folder)

    def stop(self) -> None:
        """End everything."""
        for process in (self.scheduler, *self.workers):
            if process is not None:
                process.kill()
                process.wait()

    def _run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "dask.log").open("ab") as log:
            return subprocess.Popen([DASK, *arguments, "--no-dashboard"], stdout=log, stderr=log)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = Cluster(f"tcp://127.0.0.1:{port}", tmp_path)
    started.start()
    try:
        yield started
    finally:
        started.stop()


async def move_sales(url: str, seed: int, stop: asyncio.Event) -> int:
    """Let sales go to other shops and moments of the day, one in each transaction, and return how many did."""
    dice = random.Random(seed)
    connection = await asyncpg.connect(url)
    moved = 0
    try:
        while not stop.is_set():
            async with connection.transaction():
                amount = await connection.fetchval(
                    f"""DELETE FROM sales WHERE name = (
                        SELECT name FROM sales WHERE sell_time >= timestamptz '{DAY} 00:00Z' + $1 * interval '1 second'
                        AND sell_time < '2026-02-01 00:00Z' ORDER BY sell_time LIMIT 1) RETURNING amount""",
                    dice.randrange(86_000),
                )
                if amount is not None:
                    await connection.execute(
                        f"""INSERT INTO sales (name, shop, amount, sell_time)
                        SELECT 'sales/' || gen_random_uuid(), $1, $2,
                            '{DAY} 00:00Z'::timestamptz + $3 * interval '1 s'""",
                        dice.choice(SHOPS),
                        amount,
                        dice.randrange(86_400),
                    )
                    moved += 1
    finally:
        await connection.close()
    return moved
