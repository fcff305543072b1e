"""Where metrics and traces go: out over OTLP, to who scrapes them, or both at the cost of one.

Each reader of the library keeps figures of its own, which every measurement pays for. So one reader serves both, and
durations, which are measured most, are counted by `instruments`; but not where OTLP is asked for differences, or for
exponential buckets (`OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE`, `…_DEFAULT_HISTOGRAM_AGGREGATION`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricReader,
    MetricsData,
    PeriodicExportingMetricReader,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from entresol.telemetry import DURATIONS, meter

_collect: Callable[[], MetricsData | None] | None = None


def start(service: str, *, send: bool, keep: bool) -> None:
    """Record from now on. Call once, before serving.

    With `send`, traces and metrics go out, as the standard `OTEL_*` variables say; with `keep`, `collected`
    has the metrics.
    """
    global _collect
    resource = Resource.create({"service.name": service})
    readers: list[MetricReader] = []
    is_cumulative = True
    if send:
        _send_traces(resource)
        reader = _SharedReader(_exporter(), resource)
        readers.append(reader)
        is_cumulative = reader.is_cumulative
        _collect = reader.get_metrics_data if keep and is_cumulative else None
    if keep and _collect is None:
        kept = _KeptReader(resource)
        readers.append(kept)
        _collect = kept.get_metrics_data
    for durations in DURATIONS:
        durations.is_counting = is_cumulative
    metrics.set_meter_provider(MeterProvider(readers, resource=resource))


def collected() -> MetricsData | None:
    """Return the metrics as they are now; None where they are not kept. What is observed is asked in this thread."""
    return None if _collect is None else _collect()


def stop() -> None:
    """Send what is still to be sent."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        shutdown = getattr(provider, "shutdown", None)
        if shutdown is not None:
            shutdown()


class _KeptReader(InMemoryMetricReader):
    """Gives metrics to who asks."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        super().__init__()

    def get_metrics_data(self) -> MetricsData | None:
        return _with_durations(super().get_metrics_data(), self._resource)


class _SharedReader(PeriodicExportingMetricReader):
    """Sends metrics from time to time, and gives them to who asks in between."""

    def __init__(self, exporter: MetricExporter, resource: Resource) -> None:
        self._resource = resource
        self._asking = threading.local()
        super().__init__(exporter)
        # As the reader itself finds out what its exporter wants.
        times, kinds = exporter._preferred_temporality or {}, exporter._preferred_aggregation or {}
        self.is_cumulative = set(times.values()) <= {AggregationTemporality.CUMULATIVE} and not any(
            isinstance(kind, ExponentialBucketHistogramAggregation) for kind in kinds.values()
        )

    def get_metrics_data(self) -> MetricsData | None:
        """Return the metrics as they are now; nothing is sent."""
        self._asking.is_true, self._asking.found = True, None
        try:
            self.collect()
            found: MetricsData | None = self._asking.found
            return found
        finally:
            self._asking.is_true = False

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> None:
        found = _with_durations(metrics_data, self._resource)
        if getattr(self._asking, "is_true", False):
            self._asking.found = found
        else:
            super()._receive_metrics(found, timeout_millis, **kwargs)


def _with_durations(data: MetricsData | None, resource: Resource) -> MetricsData:
    """Return metrics with the durations that were counted, if it was not the library that did."""
    counted = [metric for one in DURATIONS if one.is_counting and (metric := one.metric()) is not None]
    if not counted:
        return MetricsData([]) if data is None else data
    # In the place where the library would have it: the exporter takes one entry for each resource and scope.
    wholes = [] if data is None else list(data.resource_metrics)
    whole = wholes.pop(0) if wholes else ResourceMetrics(resource, [], "")
    scopes = list(whole.scope_metrics)
    at = next((at for at, one in enumerate(scopes) if one.scope.name == meter.name), None)
    scope = ScopeMetrics(InstrumentationScope(meter.name), [], "") if at is None else scopes.pop(at)
    scope = replace(scope, metrics=[*scope.metrics, *counted])
    return MetricsData([replace(whole, scope_metrics=[*scopes, scope]), *wholes])


def _exporter() -> MetricExporter:
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter()


def _send_traces(resource: Resource) -> None:
    from entresol.tracing import Provider

    trace.set_tracer_provider(Provider(resource))
