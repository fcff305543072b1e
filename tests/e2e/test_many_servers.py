"""One client of several servers, some of which are killed, stopped or drained under load: what callers lose by it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from entresol_stories.v1 import (
    AsyncUserServiceClient,
    CreateUserRequest,
    User,
    UserServiceClient,
)
from tests.e2e.conftest import INSTALL_S
from tests.e2e.many_servers import CALLERS, WAIT_S, Load, Server, serving
from tests.integration.storage.proxy import Proxy

from entresol.codegen.protos import compile_protos
from entresol.codegen.service_config import service_config
from entresol.schema.load import load
from entresol.testing.platforms import ServedPlatform
from entresol.testing.servers import Database, Databases, Migrate
from entresol_client import (
    NEVER,
    AsyncConnection,
    Connection,
    DeadlineExceededError,
    UnavailableError,
    trace,
)

ROOT = Path(__file__).resolve().parents[2]
READER = "users/reader"
READS = 200
AFTER_S = 0.1


@pytest.fixture(scope="module")
def database(databases: Databases, migrate_database: Migrate) -> Iterator[Database]:
    made = asyncio.run(databases.create(migrate_database, replicated=False))
    asyncio.run(made.psql(f"INSERT INTO users (name, display_name) VALUES ('{READER}', 'Reader')"))
    yield made
    asyncio.run(databases.drop(made))


@pytest.fixture
def pair(database: Database) -> Iterator[list[Server]]:
    environment = {
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": database.write_url,
    }
    with serving(environment, 2) as made:
        yield made


def addresses(pair: list[Server]) -> list[str]:
    return [server.address for server in pair]


def load_of(connection: Connection, mark: str) -> Load:
    """Return callers who read, and who write with and without a key; what they write bears the mark."""
    users, numbers = UserServiceClient(connection), itertools.count()

    def unkeyed() -> object:
        user = User(display_name=f"{mark} unkeyed {next(numbers)}")
        return users.batch_create_users([CreateUserRequest(user=user)])

    return Load(
        {
            "read": lambda: users.get_user(READER),
            "keyed": lambda: users.create_user(User(display_name=f"{mark} keyed {next(numbers)}")),
            "unkeyed": unkeyed,
        }
    )


def written(database: Database, mark: str) -> tuple[int, int]:
    """Return how many records bear the mark, and how many different ones."""
    sql = f"SELECT count(*), count(DISTINCT display_name) FROM users WHERE display_name LIKE '{mark} %'"
    rows, different = asyncio.run(database.psql(sql)).strip().split("|")
    return int(rows), int(different)


def test_calls_are_shared_by_all_servers(pair: list[Server]) -> None:
    with Connection(addresses(pair)) as connection:
        users = UserServiceClient(connection)
        until_all_are_asked(users, pair)
        before = [server.calls() for server in pair]
        for _ in range(READS):
            users.get_user(READER)
        after = [server.calls() for server in pair]
    shares = [now - then for now, then in zip(after, before, strict=True)]
    assert min(shares) >= READS // 2, shares


def until_all_are_asked(users: UserServiceClient, pair: list[Server]) -> None:
    """Call until there is a connection to each: the first calls all go to whoever was first."""
    began = [server.calls() for server in pair]
    while any(server.calls() <= was + 5 for server, was in zip(pair, began, strict=True)):
        users.get_user(READER)


def test_a_killed_server_costs_no_read_and_no_write_with_a_key(
    pair: list[Server], database: Database
) -> None:
    with Connection(addresses(pair)) as connection:
        load = load_of(connection, "killed")
        with load.running():
            load.more(30)
            pair[0].send(signal.SIGKILL)
            load.more(60)
    assert load.repeated > 0, "it was killed while it was asked"
    assert (load.failed["read"], load.failed["keyed"]) == ([], [])
    assert all(isinstance(error, UnavailableError) for error in load.failed["unkeyed"])
    assert len(load.failed["unkeyed"]) <= CALLERS, "each caller had at most one under way"
    assert written(database, "killed keyed") == (load.done["keyed"],) * 2


def test_a_server_that_drains_loses_nothing(pair: list[Server], database: Database) -> None:
    with Connection(addresses(pair)) as connection:
        load = load_of(connection, "drained")
        with load.running():
            load.more(30)
            pair[0].send(signal.SIGTERM)
            load.more(60)
    assert load.failed == {}
    assert pair[0].process.wait(20) == 0
    assert written(database, "drained") == (load.done["keyed"] + load.done["unkeyed"],) * 2


def test_without_hedging_reads_wait_for_a_server_that_stands_still(pair: list[Server]) -> None:
    with Connection(addresses(pair), retry=NEVER) as connection:
        users = UserServiceClient(connection)
        until_all_are_asked(users, pair)
        pair[0].send(signal.SIGSTOP)
        with ThreadPoolExecutor(CALLERS) as threads:
            ended = list(threads.map(lambda _: outcome(users), range(CALLERS)))
    assert DeadlineExceededError in ended


def outcome(users: UserServiceClient) -> type[Exception] | None:
    try:
        users.get_user(READER, timeout=1.0)
    except DeadlineExceededError as error:
        return type(error)
    return None


def test_hedged_reads_do_not_wait_for_a_server_that_stands_still(pair: list[Server]) -> None:
    with Connection(addresses(pair), retry=NEVER, hedge_after_s=AFTER_S) as connection:
        users = UserServiceClient(connection)

        def read(_: int) -> int:
            with trace() as calls:
                users.get_user(READER)
            return calls[0].hedges

        until_all_are_asked(users, pair)
        pair[0].send(signal.SIGSTOP)
        while not read(0):  # until it is its turn: it rests if it was slow to begin with
            pass
        with ThreadPoolExecutor(CALLERS) as threads:
            hedges = sum(threads.map(read, range(READS)))
    assert hedges < READS / 4, "the server that stands still is passed over"


async def test_hedged_reads_of_a_loop_do_not_wait_either(pair: list[Server]) -> None:
    async with AsyncConnection(addresses(pair), retry=NEVER, hedge_after_s=AFTER_S) as connection:
        users = AsyncUserServiceClient(connection)
        await asyncio.gather(*(users.get_user(READER) for _ in range(10)))
        pair[0].send(signal.SIGSTOP)
        with trace() as calls:
            while not any(call.hedges for call in calls):
                await users.get_user(READER)
            calls.clear()
            for _ in range(READS // CALLERS):
                await asyncio.gather(*(users.get_user(READER) for _ in range(CALLERS)))
    assert len(calls) == READS // CALLERS * CALLERS
    assert sum(call.hedges for call in calls) < READS / 4


async def test_a_write_whose_answer_is_lost_is_done_once(platform: ServedPlatform) -> None:
    async def count() -> int:
        return int(await platform.database.psql("SELECT count(*) FROM users WHERE display_name = 'Once'"))

    async with (
        Proxy(f"tcp://{platform.address}") as proxy,
        AsyncConnection(f"127.0.0.1:{proxy.port}") as connection,
    ):
        users = AsyncUserServiceClient(connection)
        await users.create_user(User(display_name="Before"))
        proxy.hold_answers()
        with trace() as calls:
            call = asyncio.create_task(users.create_user(User(display_name="Once")))
            while not await count():
                assert not call.done()
            proxy.lose_answers()
            created = await call
        (found,) = calls
        assert found.attempts > 1
        assert await count() == 1
        assert (await users.get_user(created.name, consistency="strong")).display_name == "Once"


@pytest.mark.skipif(shutil.which("npm") is None, reason="there is no Node on this machine")
@pytest.mark.timeout(INSTALL_S + WAIT_S)
@pytest.mark.parametrize("hedge_after_s", [0.0, 1.0])
def test_node_repeats_reads_by_the_generated_config(
    pair: list[Server], node: Path, tmp_path: Path, hedge_after_s: float
) -> None:
    model = load(compile_protos(ROOT / "protos"))
    descriptors, config = tmp_path / "stories.binpb", tmp_path / "config.json"
    descriptors.write_bytes(model.descriptor_set)
    config.write_text(json.dumps(service_config(model, hedge_after_s=hedge_after_s)))
    process = subprocess.Popen(
        ("node", "balance.mjs", ",".join(addresses(pair)), str(descriptors), str(config), READER),
        cwd=node,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "calling\n"
    pair[0].send(signal.SIGKILL)
    told, _ = process.communicate(timeout=WAIT_S)
    assert json.loads(told) == {"0": 600}
