"""What a server tells a collector: real OTLP from a real process, one trace from the caller to the SQL."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.collector import Collector, collecting

from entresol.embedded import EmbeddedServers
from entresol.testing.plugin import run
from entresol.testing.servers import Databases, Migrate
from entresol.transport.caller import Caller

ROOT = Path(__file__).resolve().parents[2]
ENTRESOL = str(Path(sys.executable).parent / "entresol")
TRACE = "0af7651916cd43dd8448eb211c80319c"
METRICS = {
    "rpc.server.call.duration",
    "entresol.cache.reads",
    "entresol.cache.writes",
    "entresol.storage.pool.connections",
    "entresol.storage.pool.wait",
    "entresol.storage.query.duration",
    "entresol.storage.replica.lag",
}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture
def sampler() -> dict[str, str]:
    """Everything is recorded, unless a test says otherwise."""
    return {}


@pytest.fixture
def addresses(
    sampler: dict[str, str],
    collector: Collector,
    servers: EmbeddedServers,
    databases: Databases,
    migrate_database: Migrate,
) -> Iterator[tuple[str, str]]:
    """Give where gRPC is served, and the web."""
    database = run(databases.create(migrate_database))
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("ENTRESOL_", "OTEL_"))},
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_FUNCTIONS": str(ROOT / "protos" / "stories" / "functions.py"),
        "ENTRESOL_DATABASE_WRITE": database.write_url,
        "ENTRESOL_DATABASE_READ": " ".join(database.read_urls),
        "ENTRESOL_CACHE_URL": servers.cache_url,
        "ENTRESOL_CACHE_PREFIX": database.name,
        "ENTRESOL_RELAY_SLOT": database.name,
        "ENTRESOL_RELAY_PUBLICATION": database.name,
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_WEB_LISTEN": "127.0.0.1:0",
        **collector.environment,
        **sampler,
    }
    relay = subprocess.Popen([ENTRESOL, "relay"], env=environment, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([ENTRESOL, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found = [re.search(r"127\.0\.0\.1:\d+", server.stdout.readline()) for _ in range(2)]
    assert found[0] is not None
    assert found[1] is not None
    yield found[0][0], found[1][0]
    for process in (server, relay):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    run(databases.drop(database))


@pytest.fixture
def address(addresses: tuple[str, str]) -> str:
    return addresses[0]


@pytest.mark.timeout(90)
def test_one_trace_goes_from_the_caller_to_the_sql(collector: Collector, address: str) -> None:
    with Caller(address) as caller:
        metadata = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "Ada"}}, metadata)
        caller.call("stories.v1.UserService/GetUser", {"name": answer.reply.name}, metadata)
    names = {
        "stories.v1.UserService/CreateUser",
        "stories.v1.UserService/GetUser",
        "entresol.storage.statement",
    }
    assert collector.wait_until(lambda: names <= {span.name for span in collector.spans})
    ours = [span for span in collector.spans if span.name in names]
    assert {span.trace_id.hex() for span in ours} == {TRACE}
    assert answer.trailing["entresol-trace"] == TRACE
    by_id = {span.span_id: span for span in ours}
    statement = next(span for span in ours if span.name == "entresol.storage.statement")
    assert by_id[statement.parent_span_id].name.startswith("stories.v1.UserService/")
    assert collector.wait_until(lambda: collector.metrics >= METRICS), METRICS - collector.metrics


def _ask(web: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Call the web's port in our trace, and return the reply."""
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "content-type": "application/json"}
    with closing(HTTPConnection(web, timeout=20)) as connection:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        assert response.status == 200, text
        return json.loads(text)


@pytest.mark.timeout(90)
def test_a_trace_that_the_web_begins_goes_on_to_redis_and_to_the_sql(
    collector: Collector, addresses: tuple[str, str]
) -> None:
    _, web = addresses
    get, create = "stories.v1.UserService/GetUser", "stories.v1.UserService/CreateUser"
    name = _ask(web, "POST", "/v1/users", {"display_name": "Ada"})["name"]
    _ask(web, "GET", f"/v1/{name}")
    _ask(web, "POST", f"/{get}", {"name": name})

    def found(parent: str, child: str) -> list[str]:
        """Return the operations of spans in our trace, by their name and their parent's."""
        ours = [span for span in collector.spans if span.trace_id.hex() == TRACE]
        parents = {span.span_id for span in ours if span.name == parent}
        children = [span for span in ours if span.name == child and span.parent_span_id in parents]
        return [
            one.value.string_value
            for span in children
            for one in span.attributes
            if one.key == "db.operation.name"
        ]

    def is_whole() -> bool:
        return (
            "insert" in found(create, "entresol.storage.statement")
            and "put" in found(create, "entresol.cache.command")
            and "get" in found(get, "entresol.cache.command")  # copies answer the second one
            and len([span for span in collector.spans if (span.name, span.trace_id.hex()) == (get, TRACE)])
            == 2
        )

    assert collector.wait_until(is_whole), [(span.name, span.attributes) for span in collector.spans]


@pytest.mark.timeout(90)
def test_durations_have_buckets_that_tell_a_hit_from_a_slow_call(collector: Collector, address: str) -> None:
    with Caller(address) as caller:
        caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "Ada"}})
    durations = {"rpc.server.call.duration", "entresol.storage.query.duration", "entresol.storage.pool.wait"}
    assert collector.wait_until(lambda: collector.bounds.keys() >= durations)
    for name in durations:
        assert {0.0001, 0.25, 50.0} <= set(collector.bounds[name]), name


SHARE, READS = 0.2, 400


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    "sampler", [{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(SHARE)}]
)
def test_a_share_of_plain_reads_is_traced_and_whatever_belongs_to_a_trace(
    collector: Collector, address: str
) -> None:
    get = "stories.v1.UserService/GetUser"
    with Caller(address) as caller:
        name = caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "Ada"}}).reply.name
        sources = Counter(
            caller.call(get, {"name": name}).trailing["entresol-answered-by"] for _ in range(READS)
        )
        caller.call(get, {"name": name}, {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})

    def of_caller(span: Any) -> bool:
        return bool(span.name == get and span.trace_id.hex() == TRACE)

    assert sources["near"] + sources["cache"] > READS / 2, sources
    assert collector.wait_until(lambda: any(of_caller(span) for span in collector.spans))
    spans = [span for span in collector.spans if span.name == get and not of_caller(span)]
    deviation = (READS * SHARE * (1 - SHARE)) ** 0.5
    assert abs(len(spans) - READS * SHARE) < 6 * deviation
