"""`entresol verify` beside servers that work: silent when all is well, and it names what is not."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.integration.cli.conftest import ROOT
from tests.integration.service.api import Api, new_id

from entresol.cache import Entries
from entresol.cache.entry import HEADER_BYTES
from entresol.cli.main import entresol
from entresol.cli.verification import record
from entresol.cli.verification.readers import Primary
from entresol.config import Settings
from entresol.embedded.polling import until
from entresol.service.status import CallFailedError
from entresol.testing.running import RunningPlatform
from entresol.testing.servers import Database, Databases, Migrate
from entresol.transport.caller import Caller

PATIENT = ("--for", "5", "--reads-per-second", "200", "--lag-max", "10")  # a busy machine makes any lag long
ENTRESOL = str(Path(sys.executable).parent / "entresol")
OURS = "slot_name LIKE 'entresol_verify%' AND active"
SLOTS = f"SELECT count(*) FROM pg_replication_slots WHERE {OURS}"


async def is_followed(database: Database) -> bool:
    return (await database.psql(SLOTS)).strip() == "1"


@pytest.fixture(scope="module")
def database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    database = asyncio.run(databases.create(migrate_database, replicated=True))
    yield database
    asyncio.run(databases.drop(database))


@pytest.fixture(scope="module")
def fleet(database: Database) -> Iterator[list[RunningPlatform]]:
    """Give two servers over one database and cache, with a relay."""
    settings = Settings.load(
        {},
        protos=str(ROOT / "protos"),
        functions=str(ROOT / "protos" / "stories" / "functions.py"),
        listen="127.0.0.1:0",
        database_write=database.write_url,
        database_read=database.read_urls,
        cache_url=database.servers.cache_url,
        cache_prefix="verify",
        relay_slot="verify",
        replica_poll_s=0.02,
        relay_tick_s=0.02,
    )
    with ExitStack() as stack:
        first = stack.enter_context(RunningPlatform(settings))
        yield [first, stack.enter_context(RunningPlatform(settings, relay=False))]


@pytest.fixture(scope="module")
def api(fleet: list[RunningPlatform]) -> Iterator[Api]:
    with Caller(fleet[0].address) as caller:
        yield Api(caller, fleet[0].platform.model)


@pytest.fixture(scope="module")
def stories(api: Api) -> list[str]:
    author = api.call("CreateUser", user={"display_name": "Ann"}, user_id=new_id("ann")).name
    return [api.call("CreateStory", story={"title": "Old", "author": author}).name for _ in range(5)]


@pytest.fixture
def verify(fleet: list[RunningPlatform], database: Database) -> Callable[..., tuple[int, Any]]:
    """Give what runs the command and returns its exit code and what it found."""

    def run(*arguments: str) -> tuple[int, Any]:
        targets = ",".join(running.address for running in fleet)
        environment = {
            "ENTRESOL_DATABASE_WRITE": database.write_url,
            "ENTRESOL_PROTOS": str(ROOT / "protos"),
        }
        command = ["verify", "--target", targets, "--sample", "1", "--json", *arguments]
        result = CliRunner().invoke(entresol, command, env=environment)
        assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
        return result.exit_code, json.loads(result.stdout)

    return run


@pytest.fixture
def beside(database: Database) -> Iterator[Callable[..., None]]:
    """Give what does work in a thread once the log is followed, and again until the test ends if it is to."""
    ended = threading.Event()

    def act(work: Callable[[], None], *, again: bool) -> None:
        assert asyncio.run(until(lambda: is_followed(database), 30.0))
        work()
        while again and not ended.is_set():
            work()

    with ThreadPoolExecutor(1) as threads:
        begun = []
        yield lambda work, *, again=False: begun.append(threads.submit(act, work, again=again))
        ended.set()
    for each in begun:
        each.result()


def test_a_fleet_that_works_has_no_unexplained_difference(
    verify: Any, beside: Any, api: Api, stories: list[str], tmp_path: Path, database: Database
) -> None:
    numbers = iter(range(1_000_000))

    def write() -> None:
        name = stories[next(numbers) % len(stories)]
        api.call("UpdateStory", story={"name": name, "title": f"New {next(numbers)}"}, update_mask="title")
        gone = api.call("CreateUser", user={"display_name": "Bob"}, user_id=new_id("bob")).name
        api.call("DeleteUser", name=gone)

    beside(write, again=True)
    page = tmp_path / "report.html"
    code, facts = verify(*PATIENT, "--report", str(page))
    assert (code, facts["hits"]["unexplained"], facts["failed"]) == (0, 0, {}), facts
    assert facts["hits"]["same"] > 0, facts
    assert [item["age_s"] for item in facts["consistency"]] == [0.1, 1.0]
    for item in (*facts["consistency"], facts["visible_everywhere_within_2_s"]):
        assert item["wrong"] < item["reads"] / 2, facts
    assert "<svg" in page.read_text()

    async def is_gone() -> bool:
        return (await database.psql(SLOTS.removesuffix(" AND active"))).strip() == "0"

    assert asyncio.run(until(is_gone, 30.0))


def test_what_is_found_is_kept_for_the_console_while_it_is_looked_for_and_at_the_end(
    verify: Any, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count() -> int:
        return int(asyncio.run(database.psql("SELECT count(*) FROM entresol.verifications")))

    before = count()
    monkeypatch.setattr(record, "KEEP_S", 0.2)
    verify("--for", "1", "--no-record")
    assert count() == before
    _, facts = verify("--for", "1")
    assert count() == before + 1
    last = "FROM entresol.verifications ORDER BY begin_time DESC LIMIT 1"
    assert json.loads(asyncio.run(database.psql(f"SELECT facts {last}"))) == facts
    changed_s = asyncio.run(database.psql(f"SELECT extract(epoch FROM update_time - begin_time) {last}"))
    assert float(changed_s) > 0.5


def test_an_entry_that_is_old_or_has_old_content_under_the_right_header_is_reported_by_name(
    verify: Any, beside: Any, api: Api, stories: list[str], fleet: list[RunningPlatform]
) -> None:
    mixed, stale, fresh = stories[:3]
    olds: dict[str, bytes] = {}

    def poison() -> None:
        if not olds:
            for name in (mixed, stale, fresh):
                api.read_until_cached("GetStory", name=name)
                olds[name] = fleet[0].run(entry_of(fleet[0], name))
                api.call("UpdateStory", story={"name": name, "title": "Fresh"}, update_mask="title")
                api.read_until_cached("GetStory", name=name)
        # Again and again, because a reader that missed before may still be about to fill.
        header = fleet[0].run(entry_of(fleet[0], mixed))[:HEADER_BYTES]
        fleet[0].run(set_entry(fleet[0], mixed, header + olds[mixed][HEADER_BYTES:]))
        fleet[0].run(set_entry(fleet[0], stale, olds[stale]))

    beside(poison, again=True)
    code, facts = verify("--for", "6", "--reads-per-second", "200", "--lag-max", "2")
    found = {item["name"]: item for item in facts["differences"] if not item["explained"]}
    assert code == 1, json.dumps(facts)
    assert found[mixed]["cached_version"] == found[mixed]["primary_version"]
    assert found[mixed]["age_s"] is None
    assert found[stale]["cached_version"] < found[stale]["primary_version"]
    assert found[stale]["age_s"] > 2
    assert all("title" in found[name]["fields"] for name in (mixed, stale))
    assert facts["worst_staleness"]["seconds"] > 2
    assert facts["hits"]["same"] > 0


def _key(running: RunningPlatform, name: str) -> tuple[Entries, bytes]:
    entries = running.platform.records.entries
    assert entries is not None
    table = running.platform.model.by_message["stories.v1.Story"].table
    return entries, entries.layout.place(table, name).entry


async def entry_of(running: RunningPlatform, name: str) -> bytes:
    entries, key = _key(running, name)
    (entry,) = await entries.connection.execute(("GET", key))
    assert isinstance(entry, bytes)
    return entry


async def set_entry(running: RunningPlatform, name: str, entry: bytes) -> None:
    entries, key = _key(running, name)
    await entries.connection.execute(("SET", key, entry, "KEEPTTL"))
    await asyncio.sleep(0.02)


def test_a_connection_that_breaks_is_a_gap_and_no_difference(
    verify: Any, beside: Any, api: Api, stories: list[str], database: Database
) -> None:
    broken = iter([f"SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE {OURS}"])

    def write() -> None:
        api.call("UpdateStory", story={"name": stories[4], "score": 1}, update_mask="score")
        for statement in broken:
            asyncio.run(database.psql(statement))

    beside(write, again=True)
    code, facts = verify(*PATIENT)
    assert (code, facts["writes"]["gaps_in_the_log"], facts["hits"]["unexplained"]) == (0, 1, 0)
    assert facts["consistency"][1]["reads"] > 0


def test_the_load_is_never_exceeded_and_what_is_skipped_is_counted(
    verify: Any, beside: Any, api: Api, stories: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []
    real = Caller.call
    real_primary = Primary.read

    def counted(caller: Caller, path: str, request: Any, metadata: Any = None) -> Any:
        reads.extend([path] if path.rpartition("/")[2].startswith("Get") else [])
        return real(caller, path, request, metadata)

    async def counted_primary(primary: Primary, record: Any) -> Any:
        reads.append("primary")
        return await real_primary(primary, record)

    def write() -> None:
        api.call("UpdateStory", story={"name": stories[4], "score": len(reads)}, update_mask="score")

    monkeypatch.setattr(Caller, "call", counted)
    monkeypatch.setattr(Primary, "read", counted_primary)
    beside(write, again=True)
    _, facts = verify("--for", "3", "--reads-per-second", "5")
    assert 0 < len(reads) <= 5 * (3 + 1)
    assert facts["skipped"]["over the budget"] > 0


def test_hits_are_compared_however_much_is_written(
    verify: Any, beside: Any, api: Api, stories: list[str]
) -> None:
    def write() -> None:
        for _ in range(10):
            api.call("UpdateStory", story={"name": stories[4], "score": 1}, update_mask="score")

    beside(write, again=True)
    code, facts = verify("--for", "3", "--reads-per-second", "20")
    assert code == 0
    assert facts["skipped"]["over the budget"] > 50
    assert facts["hits"]["compared"] >= 10


def test_one_who_is_told_to_stop_reports_what_was_found_so_far(
    fleet: list[RunningPlatform], database: Database
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "ENTRESOL_DATABASE_WRITE": database.write_url,
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
    }
    command = [ENTRESOL, "verify", "--target", fleet[0].address, "--for", "3600", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert asyncio.run(until(lambda: is_followed(database), 60.0))
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0
    assert json.loads(said)["writes"]["gaps_in_the_log"] == 0


def test_a_target_that_is_not_there_is_told(database: Database) -> None:
    environment = {"ENTRESOL_DATABASE_WRITE": database.write_url, "ENTRESOL_PROTOS": str(ROOT / "protos")}
    result = CliRunner().invoke(entresol, ["verify", "--target", "127.0.0.1:1"], env=environment)
    assert result.exit_code == 1
    assert "a target cannot be read" in result.output
    assert not isinstance(result.exception, CallFailedError)
