"""The admin port of real processes: what probes, collectors and operators are told, and never a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from tests.e2e.collector import Collector, collecting
from tests.e2e.process import ROOT, Running, running

from entresol.embedded import EmbeddedServers
from entresol.service.status import CallFailedError
from entresol.testing.servers import Databases, Migrate, run
from entresol.transport.caller import Caller

TRACE = "0af7651916cd43dd8448eb211c80319c"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PAGES = ["/livez", "/readyz", "/metrics", "/configz", "/topology"]


@pytest.fixture(scope="module")
def environment(
    servers: EmbeddedServers, databases: Databases, migrate_database: Migrate
) -> Iterator[dict[str, str]]:
    database = run(databases.create(migrate_database))
    yield {
        "ENTRESOL_PROTOS": str(ROOT / "protos"),
        "ENTRESOL_LISTEN": "127.0.0.1:0",
        "ENTRESOL_DATABASE_WRITE": database.write_url,
        "ENTRESOL_DATABASE_READ": " ".join(database.read_urls),
        "ENTRESOL_CACHE_URL": servers.cache_url,
        "ENTRESOL_CACHE_PREFIX": database.name,
        "ENTRESOL_RELAY_SLOT": database.name,
        "ENTRESOL_RELAY_PUBLICATION": database.name,
        "ENTRESOL_TOKEN_KEYS": "a-key-that-nobody-may-read",
    }
    run(databases.drop(database))


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[Running]:
    with running("serve", **environment) as found:
        with Caller(found.address) as caller:
            for _ in range(3):
                caller.call("stories.v1.StoryService/ListStories", {})
        yield found


def samples(text: str) -> dict[str, float]:
    """Return the samples of an exposition by name and labels; it is read as a collector reads it."""
    return {
        f"{sample.name}{dict(sorted(sample.labels.items()))}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_server_that_answers_is_alive_and_ready(server: Running) -> None:
    assert server.get("/livez") == (200, "ok\n")
    assert server.lines("/readyz") == (200, [{"phase": "ready"}])


def test_the_pages_are_listed_and_nothing_else_is_served(server: Running) -> None:
    assert server.get("/") == (200, "".join(f"{page}\n" for page in PAGES))
    assert server.get("/secrets")[0] == 404


def test_metrics_are_read_by_prometheus_and_have_every_call(server: Running) -> None:
    status, text = server.get("/metrics", accept=OPENMETRICS)
    assert status == 200
    labels = (
        "{'rpc_grpc_status_code': '0', 'rpc_method': 'ListStories', 'rpc_service': 'stories.v1.StoryService'}"
    )
    assert samples(text)[f"rpc_server_call_duration_seconds_count{labels}"] == 3
    plain = server.get("/metrics")[1]
    assert "# TYPE rpc_server_call_duration_seconds histogram" in plain
    assert "# EOF" not in plain, "that is OpenMetrics, and nobody asked for it"


def test_settings_say_where_they_come_from_and_hide_secrets(server: Running) -> None:
    status, text = server.get("/configz")
    settings = json.loads(text)
    assert status == 200
    assert "a-key-that-nobody-may-read" not in text
    assert settings["listen"]["from"] == "ENTRESOL_LISTEN"
    assert settings["drain_s"] == {
        "value": 5.0,
        "from": "default",
        "meaning": "How long running calls may take to finish when the server stops.",
    }


def test_the_topology_has_the_stores_as_they_are(server: Running) -> None:
    (process,) = json.loads(server.get("/topology")[1])["processes"]
    (database,) = process["database"]
    primary, *replicas = database["servers"]
    assert (primary["role"], primary["live"]) == ("primary", True)
    assert primary["pools"]["write"]["size"] == 8
    assert len(replicas) == 2
    assert all(replica["live"] and replica["lag_s"] is not None for replica in replicas)
    assert process["cache"][0]["live"]
    assert process["transport"][0]["transport"] == "http2"
    assert process["process"]["version"]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def traced(environment: dict[str, str], collector: Collector) -> Iterator[Running]:
    """Give a server that is traced, and writes a line for each call."""
    with running("serve", **environment, **collector.environment, ENTRESOL_LOG_CALLS="all") as found:
        yield found


def test_a_call_in_a_trace_is_an_exemplar_and_a_line_of_the_log(
    traced: Running, collector: Collector
) -> None:
    with Caller(traced.address) as caller:
        metadata = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        caller.call("stories.v1.StoryService/ListStories", {}, metadata)
        with pytest.raises(CallFailedError):
            caller.call("stories.v1.UserService/GetUser", {"name": "users/nobody"}, metadata)
    text = traced.get("/metrics", accept=OPENMETRICS)[1]
    (told, *_) = [
        sample.exemplar.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.exemplar and sample.labels.get("rpc_method") == "ListStories"
    ]
    assert told["trace_id"] == TRACE
    assert collector.wait_until(lambda: "rpc.server.call.duration" in collector.metrics), "OTLP has the same"
    traced.says("GetUser")
    lines = [json.loads(line) for line in traced.logged]
    well, badly = (line for line in lines if line["logger"] == "entresol.calls" and line["trace_id"] == TRACE)
    assert (well["method"], well["code"]) == ("stories.v1.StoryService.ListStories", "OK")
    assert well["duration_ms"] > 0
    assert well["answered_by"].partition(":")[0] in ("replica", "primary", "cache")
    assert (badly["code"], badly["request_bytes"], badly["caller"]) == ("NOT_FOUND", 14, "")
    assert badly["span_id"] != well["span_id"]


def test_hits_have_lines_too_when_all_calls_are_wanted(traced: Running) -> None:
    with Caller(traced.address) as caller:
        made = caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "Ann"}})
        name = made.reply.name  # type: ignore[attr-defined]  # a message that no code was generated for
        for _ in range(3):
            caller.call("stories.v1.UserService/GetUser", {"name": name})
    traced.says("CreateUser")
    lines = [json.loads(line) for line in traced.logged if name.removeprefix("users/") not in line]
    hits = [line for line in lines if line["message"] == "call" and line["method"].endswith(".GetUser")]
    assert [line["code"] for line in hits][-3:] == ["OK"] * 3
    assert all(line["reply_bytes"] > 0 for line in hits[-3:])


def test_relays_and_workers_have_the_port_too(environment: dict[str, str]) -> None:
    with running("relay", **environment) as relay, running("work", **environment) as worker:
        relay.says("^relaying")
        worker.says("^working on")
        for process, part in ((relay, "relay"), (worker, "worker")):
            process.until("/readyz", 200)
            (told,) = json.loads(process.get("/topology")[1])["processes"]
            assert part in told, told
            assert process.get("/livez")[0] == 200
