"""What a server tells a collector: real OTLP from a real process, one trace from the caller to the SQL."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

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


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):  # type: ignore[misc]  # no types
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: set[str] = set()
        self.changed = threading.Condition()

    def Export(self, request: Any, _: grpc.ServicerContext) -> Any:  # noqa: N802 - the name of the rpc
        with self.changed:
            if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
                for resource in request.resource_spans:
                    self.spans += [span for scope in resource.scope_spans for span in scope.spans]
                reply: Any = trace_service_pb2.ExportTraceServiceResponse()
            else:
                for resource in request.resource_metrics:
                    self.metrics |= {
                        metric.name for scope in resource.scope_metrics for metric in scope.metrics
                    }
                reply = metrics_service_pb2.ExportMetricsServiceResponse()
            self.changed.notify_all()
        return reply

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(holds, timeout=30)


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    made = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield made, f"http://127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def sampler() -> dict[str, str]:
    """Everything is recorded, unless a test says otherwise."""
    return {}


@pytest.fixture
def address(
    sampler: dict[str, str],
    collector: tuple[Collector, str],
    servers: EmbeddedServers,
    databases: Databases,
    migrate_database: Migrate,
) -> Iterator[str]:
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
        "ENTRESOL_TELEMETRY": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector[1],
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "200",
        **sampler,
    }
    relay = subprocess.Popen([ENTRESOL, "relay"], env=environment, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([ENTRESOL, "serve"], env=environment, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    found = re.search(r"127\.0\.0\.1:\d+", server.stdout.readline())
    assert found is not None
    yield found[0]
    for process in (server, relay):
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    run(databases.drop(database))


@pytest.mark.timeout(90)
def test_one_trace_goes_from_the_caller_to_the_sql(collector: tuple[Collector, str], address: str) -> None:
    made, _ = collector
    with Caller(address) as caller:
        metadata = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = caller.call("stories.v1.UserService/CreateUser", {"user": {"display_name": "Ada"}}, metadata)
        caller.call("stories.v1.UserService/GetUser", {"name": answer.reply.name}, metadata)
    names = {
        "stories.v1.UserService/CreateUser",
        "stories.v1.UserService/GetUser",
        "entresol.storage.statement",
    }
    assert made.wait_until(lambda: names <= {span.name for span in made.spans})
    ours = [span for span in made.spans if span.name in names]
    assert {span.trace_id.hex() for span in ours} == {TRACE}
    assert answer.trailing["entresol-trace"] == TRACE
    by_id = {span.span_id: span for span in ours}
    statement = next(span for span in ours if span.name == "entresol.storage.statement")
    assert by_id[statement.parent_span_id].name.startswith("stories.v1.UserService/")
    assert made.wait_until(lambda: made.metrics >= METRICS), METRICS - made.metrics


SHARE, READS = 0.2, 400


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    "sampler", [{"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": str(SHARE)}]
)
def test_a_share_of_plain_reads_is_traced_and_whatever_belongs_to_a_trace(
    collector: tuple[Collector, str], address: str
) -> None:
    made, _ = collector
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
    assert made.wait_until(lambda: any(of_caller(span) for span in made.spans))
    spans = [span for span in made.spans if span.name == get and not of_caller(span)]
    deviation = (READS * SHARE * (1 - SHARE)) ** 0.5
    assert abs(len(spans) - READS * SHARE) < 6 * deviation
