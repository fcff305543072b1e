"""Counters and histograms that are cheap: what the library's own cost a call, 6 us each, is half of what a hit costs.

Here it is a look-up and a few additions, in the thread of the event loop alone; they are collected from any. Counters
are observed, so every provider has them. Histograms cannot be: while `collection` has them count here, whoever collects
is given the points that the library would have made, else the library counts, for who has a provider of their own.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import Span, get_current_span, set_span_in_context

Attributes = Mapping[str, str | int | float]
_KNOWN_MAX = 8192
_EXEMPLAR_S = 60.0  # older ones were collected already
_NONE: Attributes = {}
Point = TypeVar("Point")


class _Points(Generic[Point]):
    """What was recorded, by attributes."""

    __slots__ = ("_known", "_make", "_points")

    def __init__(self, make: Callable[[Attributes], Point]) -> None:
        self._make = make
        self._points: dict[frozenset[tuple[str, str | int | float]], Point] = {}
        self._known: dict[int, tuple[Attributes, Point]] = {}  # by identity: callers keep theirs

    def of(self, attributes: Attributes) -> Point:
        """Return the point of `attributes`, which must not change any more."""
        known = self._known.get(id(attributes))
        if known is not None:
            return known[1]
        key = frozenset(attributes.items())
        point = self._points.get(key)
        if point is None:
            point = self._points[key] = self._make(attributes)
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known[id(attributes)] = attributes, point  # which are kept: nothing else has their identity
        return point

    def all(self) -> list[Point]:
        """Return every point."""
        return list(self._points.values())


class _Sum:
    """What was counted with the same attributes."""

    __slots__ = ("attributes", "total")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.total = 0


class Counter:
    """A sum that only grows."""

    def __init__(self, meter: Meter, name: str, description: str) -> None:
        self._points = _Points(_Sum)
        meter.create_observable_counter(name, [self._observe], description=description)

    def add(self, amount: int, attributes: Attributes = _NONE) -> None:
        """Count so many more."""
        self._points.of(attributes).total += amount

    def _observe(self, _: CallbackOptions) -> Iterable[Observation]:
        return [Observation(point.total, point.attributes) for point in self._points.all()]


class _Distribution:
    """What was recorded with the same attributes."""

    __slots__ = ("attributes", "counts", "exemplars", "highest", "lowest", "total")

    def __init__(self, attributes: Attributes, buckets: int) -> None:
        self.attributes = attributes
        self.counts = [0] * buckets
        self.total = 0.0
        self.lowest, self.highest = float("inf"), float("-inf")
        self.exemplars: dict[int, tuple[float, float, Span]] = {}  # by bucket: value, time, span


class Durations:
    """A histogram of seconds. It counts in the thread of the event loop alone, and is collected from any."""

    def __init__(self, meter: Meter, name: str, description: str, bounds_s: Sequence[float]) -> None:
        self.name = name
        self.is_counting = False
        self._description = description
        self._bounds_s = bounds_s
        self._library = meter.create_histogram(
            name, unit="s", description=description, explicit_bucket_boundaries_advisory=bounds_s
        )
        self._points = _Points(partial(_Distribution, buckets=len(bounds_s) + 1))
        self._began_ns = time.time_ns()

    def record(self, duration_s: float, attributes: Attributes = _NONE, span: Span | None = None) -> None:
        """Count a duration; `span`, or the current one, is its exemplar while it is recorded, so before it ends."""
        if not self.is_counting:
            self._library.record(duration_s, attributes, None if span is None else set_span_in_context(span))
            return
        point = self._points.of(attributes)
        at = bisect_left(self._bounds_s, duration_s)
        point.counts[at] += 1
        point.total += duration_s
        if duration_s < point.lowest:
            point.lowest = duration_s
        if duration_s > point.highest:
            point.highest = duration_s
        if span is None:
            span = get_current_span()
        if span.is_recording():
            point.exemplars[at] = duration_s, time.time(), span

    def metric(self) -> Any:
        """Return what was counted, as the library's readers give it (`Metric`); None of nothing."""
        from opentelemetry.sdk.metrics.export import AggregationTemporality, Histogram, Metric

        points = [self._data(point) for point in self._points.all()]
        if not points:
            return None
        data = Histogram(points, AggregationTemporality.CUMULATIVE)
        return Metric(self.name, self._description, "s", data)

    def _data(self, point: _Distribution) -> Any:
        from opentelemetry.sdk.metrics import Exemplar
        from opentelemetry.sdk.metrics.export import HistogramDataPoint

        since_s = time.time() - _EXEMPLAR_S
        exemplars = [
            Exemplar({}, value, int(when_s * 1e9), seen.span_id, seen.trace_id)
            for value, when_s, span in list(point.exemplars.values())
            if when_s > since_s and (seen := span.get_span_context()).trace_flags.sampled
        ]
        counts = list(point.counts)
        return HistogramDataPoint(
            attributes=point.attributes,
            start_time_unix_nano=self._began_ns,
            time_unix_nano=time.time_ns(),
            count=sum(counts),
            sum=point.total,
            bucket_counts=counts,
            explicit_bounds=self._bounds_s,
            min=point.lowest,
            max=point.highest,
            exemplars=exemplars,
        )
