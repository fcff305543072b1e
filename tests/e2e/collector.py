"""A collector of traces and metrics, as OTLP knows them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class Collector(trace_service_pb2_grpc.TraceServiceServicer, metrics_service_pb2_grpc.MetricsServiceServicer):  # type: ignore[misc]  # no types
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[Any] = []  # whose spans they are
        self.metrics: set[str] = set()
        self.bounds: dict[str, list[float]] = {}  # of histograms
        self.changed = threading.Condition()
        # What a process needs to be told of it.
        self.environment = {
            "ENTRESOL_TELEMETRY": "true",
            "OTEL_EXPORTER_OTLP_INSECURE": "true",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_METRIC_EXPORT_INTERVAL": "200",
        }

    def Export(self, request: Any, _: grpc.ServicerContext) -> Any:  # noqa: N802 - the name of the rpc
        with self.changed:
            if isinstance(request, trace_service_pb2.ExportTraceServiceRequest):
                self.resources += request.resource_spans
                for resource in request.resource_spans:
                    self.spans += [span for scope in resource.scope_spans for span in scope.spans]
                reply: Any = trace_service_pb2.ExportTraceServiceResponse()
            else:
                for resource in request.resource_metrics:
                    metrics = [metric for scope in resource.scope_metrics for metric in scope.metrics]
                    self.metrics |= {metric.name for metric in metrics}
                    for metric in metrics:
                        for point in metric.histogram.data_points:
                            self.bounds[metric.name] = list(point.explicit_bounds)
                reply = metrics_service_pb2.ExportMetricsServiceResponse()
            self.changed.notify_all()
        return reply

    def wait_until(self, holds: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(holds, timeout=30)


@contextmanager
def collecting() -> Iterator[Collector]:
    """Give a collector that listens."""
    made = Collector()
    server = grpc.server(ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(made, server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(made, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    made.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
    try:
        yield made
    finally:
        server.stop(0).wait()
