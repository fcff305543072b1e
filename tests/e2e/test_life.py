"""The life of real processes: they wait for their stores, say what they lack, leave without losing a call, and end."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.e2e.process import ROOT, running

from entresol.cli.folders import migration_folders
from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.storage.migrate import migrate
from entresol.testing.servers import Databases, Migrate, run

SERVING, NOT_SERVING = 1, 2
LIST = "/stories.v1.StoryService/ListStories"


def environment_of(write_url: str, **more: str) -> dict[str, str]:
    return {
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": write_url,
        **more,
    }


@pytest.fixture(scope="module")
def environment(databases: Databases, migrate_database: Migrate) -> Iterator[dict[str, str]]:
    database = run(databases.create(migrate_database, replicated=False))
    yield environment_of(database.write_url)
    run(databases.drop(database))


def health(address: str, service: str = "") -> int:
    with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return int(health_pb2_grpc.HealthStub(channel).Check(request, timeout=5).status)


@contextmanager
def calling(*addresses: str, threads: int = 8) -> Iterator[Counter[str]]:
    """Call without end, over one channel to all addresses that repeats nothing by itself, and count the outcomes."""
    outcomes: Counter[str] = Counter()
    over = threading.Event()
    options = [
        ("grpc.enable_retries", 0),
        ("grpc.lb_policy_name", "round_robin"),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(f"ipv4:{','.join(addresses)}", options=options) as channel:
        list_ = channel.unary_unary(LIST)

        def call() -> None:
            while not over.is_set():
                try:
                    list_(b"", timeout=10)
                    outcomes["OK"] += 1
                except grpc.RpcError as error:
                    outcomes[f"{error.code().name}: {error.details()}"] += 1

        callers = [threading.Thread(target=call) for _ in range(threads)]
        for caller in callers:
            caller.start()
        try:
            yield outcomes
        finally:
            over.set()
            for caller in callers:
                caller.join()


def go_on(outcomes: Counter[str], more: int) -> None:
    """Wait until so many more calls went well."""
    wanted, until_s = outcomes["OK"] + more, time.monotonic() + 30
    while outcomes["OK"] < wanted:
        assert time.monotonic() < until_s, outcomes
        time.sleep(0.01)


@pytest.mark.parametrize("delay_s", ["0", "1"])
def test_sigterm_loses_no_call_of_a_client_that_hears_of_it(
    environment: dict[str, str], delay_s: str
) -> None:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(running("serve", **environment, ENTRESOL_DRAIN_DELAY_S=delay_s))
            for _ in range(2)
        )
        with calling(first.address, second.address) as outcomes:
            go_on(outcomes, 200)
            assert first.end() == 0
            go_on(outcomes, 200)
        assert set(outcomes) == {"OK"}


@pytest.mark.parametrize(
    ("words", "transport"), [([], "http2"), ([], "grpcio"), (["--workers", "2"], "http2")]
)
def test_a_server_that_leaves_says_so_and_goes_on_for_as_long_as_balancers_need(
    environment: dict[str, str], words: list[str], transport: str
) -> None:
    settings = {"ENTRESOL_DRAIN_DELAY_S": "3", "ENTRESOL_TRANSPORT": transport}
    with running("serve", *words, **environment, **settings) as server:
        server.until("/readyz", 200)
        assert (health(server.address), health(server.address, "liveness")) == (SERVING, SERVING)
        with calling(server.address) as outcomes:
            server.process.send_signal(signal.SIGTERM)
            assert server.until("/readyz", 404) == [{"phase": "draining"}]
            assert server.get("/livez") == (200, "ok\n")
            assert health(server.address) == NOT_SERVING
            assert health(server.address, "stories.v1.StoryService") == NOT_SERVING
            assert health(server.address, "liveness") == SERVING, "or it is killed in the middle of its calls"
            go_on(outcomes, 20)
            assert set(outcomes) == {"OK"}
        assert server.process.wait(20) == 0


def test_connections_that_are_idle_do_not_hold_up_the_end(environment: dict[str, str]) -> None:
    settings = {"ENTRESOL_DRAIN_S": "25", "ENTRESOL_WEB_LISTEN": "127.0.0.1:0"}
    with running("serve", **environment, **settings) as server:
        web = server.says(r"^serving the web on (\S+)")[1]
        connection = http.client.HTTPConnection(web, timeout=10)
        connection.request("GET", "/openapi.json")
        assert connection.getresponse().read()
        with grpc.insecure_channel(server.address) as channel:
            assert health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
            began_s = time.monotonic()
            assert server.end() == 0
            assert time.monotonic() - began_s < 10
            assert connection.sock is not None
            assert connection.sock.recv(1) == b"", "the server has closed it"
        connection.close()


def test_who_watches_health_hears_of_the_end_and_does_not_hold_it_up(environment: dict[str, str]) -> None:
    with running("serve", **environment, ENTRESOL_DRAIN_S="25") as server:
        with grpc.insecure_channel(server.address) as channel:
            watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watch).status == SERVING
            began_s = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert next(watch).status == NOT_SERVING
            with pytest.raises(grpc.RpcError) as caught:
                next(watch)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "the server is going away" in caught.value.details()
        assert server.process.wait(20) == 0
        assert time.monotonic() - began_s < 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("words", [["serve"], ["serve", "--workers", "2"]])
def test_a_second_signal_ends_a_server_at_once(
    environment: dict[str, str], words: list[str], number: signal.Signals
) -> None:
    with running(*words, **environment, ENTRESOL_DRAIN_DELAY_S="25") as server:
        server.until("/readyz", 200)
        server.process.send_signal(signal.SIGTERM)
        server.until("/readyz", 404)
        began_s = time.monotonic()
        assert server.end(number) != 0
        assert time.monotonic() - began_s < 15
        until_s = time.monotonic() + 20
        while is_listening(server.address):  # until the kernel has taken what was killed away
            assert time.monotonic() < until_s


def is_listening(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as client:
        return client.connect_ex((host, int(port))) == 0


def test_a_process_that_is_stuck_is_not_alive(environment: dict[str, str]) -> None:
    with running("serve", "--workers", "2", **environment) as server:
        server.until("/readyz", 200)
        status, text = server.get("/topology")
        workers = [
            item["process"] for item in json.loads(text)["processes"] if item["process"]["role"] == "server"
        ]
        assert (status, len(workers)) == (200, 2)
        assert all(f'worker="{number}"' in server.get("/metrics")[1] for number in range(2))
        os.kill(workers[0]["pid"], signal.SIGSTOP)
        try:
            assert server.get("/livez")[0] == 503
            assert server.get("/readyz")[0] == 200, "the other one answers"
        finally:
            os.kill(workers[0]["pid"], signal.SIGCONT)
        until_s = time.monotonic() + 30
        while server.get("/livez")[0] != 200:
            assert time.monotonic() < until_s
        assert server.end() == 0


def test_stores_that_come_late_are_waited_for_and_named() -> None:
    with ExitStack() as stack:
        loop = stack.enter_context(asyncio.Runner())
        servers = loop.run(EmbeddedServers.start(replicas=0))
        stack.callback(lambda: loop.run(servers.stop()))
        loop.run(servers.primary.kill())
        environment = environment_of(servers.write_url)
        with running("serve", **environment) as server:
            assert server.process.wait(30) == 1, "nobody asked it to wait"
            assert server.says("^error: no database answers")
        server = stack.enter_context(running("serve", **environment, ENTRESOL_START_WAIT_S="60"))
        until_s = time.monotonic() + 30
        while len(lines := server.until("/readyz", 503)) < 2:
            assert time.monotonic() < until_s
        phase, lack = lines
        assert phase == {"phase": "starting"}
        assert lack["store"] == "database"
        assert "no database answers" in lack["reason"]
        assert server.get("/livez") == (200, "ok\n")
        assert server.says("waiting, for [0-9]+ s at most: no database answers")
        loop.run(servers.primary.start())
        until_s = time.monotonic() + 30
        while "is missing" not in lack.get("reason", ""):
            assert time.monotonic() < until_s, lack
            lack = server.until("/readyz", 503)[-1]
        folders = migration_folders(
            Settings.load({}, protos=str(ROOT / "protos"), migrations=str(ROOT / "migrations"))
        )
        loop.run(migrate(servers.write_url, folders))
        assert server.until("/readyz", 200) == [{"phase": "ready"}]
        assert health(server.address) == SERVING


def test_only_who_can_answer_nothing_is_not_ready() -> None:
    with ExitStack() as stack:
        loop = stack.enter_context(asyncio.Runner())
        servers = loop.run(EmbeddedServers.start(replicas=1))
        stack.callback(lambda: loop.run(servers.stop()))
        folders = migration_folders(
            Settings.load({}, protos=str(ROOT / "protos"), migrations=str(ROOT / "migrations"))
        )
        loop.run(migrate(servers.write_url, folders))
        loop.run(servers.settle())
        environment = environment_of(
            servers.write_url,
            ENTRESOL_DATABASE_READ=" ".join(servers.read_urls),
            ENTRESOL_CACHE_URL=servers.cache_url,
        )
        server = stack.enter_context(running("serve", **environment))
        server.until("/readyz", 200)

        def lacks(*stores: str) -> list[str]:
            """Wait until these are told to be away, and return what blocks."""
            until_s = time.monotonic() + 30
            while time.monotonic() < until_s:
                _, (_, *lines) = server.lines("/readyz")
                if {line["store"] for line in lines} >= set(stores):
                    return [line["store"] for line in lines if line["blocks"]]
                with grpc.insecure_channel(server.address) as channel:
                    create = channel.unary_unary("/stories.v1.UserService/CreateUser")
                    get = channel.unary_unary("/stories.v1.UserService/GetUser")
                    for call, request in ((create, b""), (get, b"\x0a\x07users/a")):
                        with suppress(grpc.RpcError):  # only to have it ask its stores
                            call(request, timeout=5)
                time.sleep(0.05)
            raise AssertionError(lines)

        loop.run(servers.redis.kill())
        assert lacks("cache") == []
        assert server.get("/readyz")[0] == 200, "the database answers"
        loop.run(servers.redis.start())
        loop.run(servers.primary.kill())
        assert lacks("primary") == []
        assert server.get("/readyz")[0] == 200, "replicas and the cache answer"
        loop.run(servers.replicas[0].kill())
        assert lacks("primary", "replica") == []
        assert server.get("/readyz")[0] == 200, "hits are found"
        loop.run(servers.redis.kill())
        lacks("primary", "replica", "cache")
        blocking = [line["store"] for line in server.until("/readyz", 503) if line.get("blocks")]
        assert blocking == ["primary", "replica", "cache"]
        until_s = time.monotonic() + 10
        while health(server.address) != NOT_SERVING:
            assert time.monotonic() < until_s
        assert health(server.address, "liveness") == SERVING
        assert server.get("/livez") == (200, "ok\n")
        loop.run(servers.redis.start())
        server.until("/readyz", 200)
