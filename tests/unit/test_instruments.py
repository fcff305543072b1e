"""What is counted here is what the library would have counted."""

from __future__ import annotations

import random
from typing import Any

import pytest
from opentelemetry.sdk.metrics import Counter as LibraryCounter
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from entresol.instruments import Counter, Durations

BOUNDS_S = (0.001, 0.01, 0.1, 1.0)
SEED = random.SystemRandom().randrange(2**32)


def histogram(meter: Any, *, is_counting: bool) -> Durations:
    made = Durations(meter, "call.duration", "Duration of calls", BOUNDS_S)
    made.is_counting = is_counting
    return made


def points(metric: Any) -> list[tuple[Any, ...]]:
    return sorted(
        (
            sorted(point.attributes.items()), point.count, pytest.approx(point.sum), list(point.bucket_counts),
            list(point.explicit_bounds), point.min, point.max, [one.trace_id for one in point.exemplars],
        )
        for point in metric.data.data_points
    )  # fmt: skip


def collected(reader: InMemoryMetricReader) -> Any:
    data = reader.get_metrics_data()
    assert data is not None
    return data.resource_metrics[0].scope_metrics[0].metrics[0]


def test_both_ways_of_counting_come_to_the_same() -> None:
    dice, reader = random.Random(SEED), InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    theirs, ours = histogram(meter, is_counting=False), histogram(meter, is_counting=True)
    kinds = [{"method": name, "code": code} for name in "ab" for code in (0, 5)]
    for value in [*BOUNDS_S, 0.0, 7.0, *(dice.lognormvariate(-4, 3) for _ in range(1000))]:
        kind = dice.choice(kinds)
        theirs.record(value, kind)
        ours.record(value, kind if dice.random() < 0.5 else dict(kind))  # equal, but another object
    assert points(ours.metric()) == points(collected(reader)), SEED


def test_a_recorded_span_is_the_exemplar_of_its_bucket_and_no_other() -> None:
    tracer = TracerProvider().get_tracer("test")
    ours = histogram(MeterProvider().get_meter("test"), is_counting=True)
    spans = [tracer.start_span("call") for _ in range(3)]
    for value, span in zip((0.005, 0.006, 0.5), spans, strict=True):
        ours.record(value, {}, span)
    ours.record(0.005, {})
    (point,) = ours.metric().data.data_points
    found = {one.value: one.trace_id for one in point.exemplars}
    assert found == {0.006: spans[1].get_span_context().trace_id, 0.5: spans[2].get_span_context().trace_id}


@pytest.mark.parametrize("temporality", [AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA])
def test_a_counter_tells_every_reader_what_the_librarys_would(temporality: AggregationTemporality) -> None:
    reader = InMemoryMetricReader({LibraryCounter: temporality, ObservableCounter: temporality})
    meter, dice = MeterProvider([reader]).get_meter("test"), random.Random(SEED)
    ours, theirs = Counter(meter, "ours", "Reads"), meter.create_counter("theirs", description="Reads")
    kinds = [{"resource": name, "reason": reason} for name in "ab" for reason in ("hit", "miss")]
    for _ in range(2):  # collections
        for _ in range(100):
            amount, kind = dice.randrange(9), dice.choice(kinds)
            ours.add(amount, kind if dice.random() < 0.5 else dict(kind))  # equal, but another object
            theirs.add(amount, kind)
        data = reader.get_metrics_data()
        assert data is not None
        found = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
        sums = [
            {frozenset((one.attributes or {}).items()): one.value for one in found[name].data.data_points}  # type: ignore[union-attr]  # of sums
            for name in ("ours", "theirs")
        ]
        assert sums[0] == sums[1], SEED
        data_of = found["ours"].data
        assert (data_of.is_monotonic, data_of.aggregation_temporality) == (True, temporality)  # type: ignore[union-attr]
