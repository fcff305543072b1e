"""Metrics as Prometheus reads them: names and units as OpenTelemetry prescribes, traces of some calls as exemplars.

https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ has the rules.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    Sum,
)
from opentelemetry.trace import format_span_id, format_trace_id
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.samples import Exemplar

_UNITS = {"s": "seconds", "ms": "milliseconds", "By": "bytes", "1": "ratio"}
_NO_NAME = re.compile(r"[^a-zA-Z0-9_:]")
_INFINITY = "+Inf"


class _Families:
    """As much of a registry as an encoder asks."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def encode(families: Iterable[Family], accept: str) -> tuple[bytes, str]:
    """Return families as the collector that sends this `accept` header reads them, and their content type."""
    encoder, content_type = choose_encoder(accept)
    return encoder(_Families(families)), content_type


def families_of(data: MetricsData | None) -> list[Family]:
    """Return each metric as a family of samples."""
    metrics = [
        metric
        for resource in (() if data is None else data.resource_metrics)
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]
    return joined([map(_family, metrics)])


def labelled(families: Iterable[Family], labels: Mapping[str, str]) -> Iterator[Family]:
    """Yield families whose samples have these labels, too."""
    for family in families:
        family.samples = [sample._replace(labels={**sample.labels, **labels}) for sample in family.samples]
        yield family


def joined(groups: Iterable[Iterable[Family]]) -> list[Family]:
    """Return families of several scopes or processes as those of one: what has one name is one family."""
    merged: dict[str, Family] = {}
    for family in (family for group in groups for family in group):
        if family.name in merged:
            merged[family.name].samples += family.samples
        else:
            merged[family.name] = family
    return sorted(merged.values(), key=lambda family: family.name)


def _family(metric: Metric) -> Family:
    name = _NO_NAME.sub("_", metric.name)
    unit = _UNITS.get(metric.unit or "", "")
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    data, text = metric.data, metric.description or metric.name
    if isinstance(data, Histogram):
        family: Family = HistogramMetricFamily(name, text, unit=unit)
        for point in data.data_points:
            _add_histogram(family, point)
        return family
    if isinstance(data, Sum) and data.is_monotonic:
        family = Family(name.removesuffix("_total"), text, "counter", unit)
        for number in data.data_points:
            exemplars = _exemplars(number.exemplars)
            family.add_sample(
                f"{family.name}_total",
                _labels(number),
                number.value,
                exemplar=exemplars[-1] if exemplars else None,
            )
        return family
    assert isinstance(data, Gauge | Sum), metric.name
    family = GaugeMetricFamily(name, text, unit=unit)
    for number in data.data_points:
        family.add_sample(name, _labels(number), number.value)
    return family


def _add_histogram(family: Family, point: HistogramDataPoint) -> None:
    labels, bounds = _labels(point), point.explicit_bounds
    by_bucket = {bisect_left(bounds, one.value): one for one in _exemplars(point.exemplars)}
    total = 0
    for at, count in enumerate(point.bucket_counts):
        total += count
        bound = _INFINITY if at == len(bounds) else repr(float(bounds[at]))
        family.add_sample(f"{family.name}_bucket", {**labels, "le": bound}, total, exemplar=by_bucket.get(at))
    family.add_sample(f"{family.name}_count", labels, point.count)
    family.add_sample(f"{family.name}_sum", labels, point.sum)


def _labels(point: NumberDataPoint | HistogramDataPoint) -> dict[str, str]:
    return {_NO_NAME.sub("_", key): str(value) for key, value in (point.attributes or {}).items()}


def _exemplars(found: Sequence[Any]) -> list[Exemplar]:
    """Return what some measurements were made in, the oldest first."""
    return [
        Exemplar(
            {"trace_id": format_trace_id(one.trace_id), "span_id": format_span_id(one.span_id)},
            one.value,
            one.time_unix_nano / 1e9,
        )
        for one in sorted(found, key=lambda one: one.time_unix_nano)
        if one.trace_id
    ]
