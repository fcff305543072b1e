"""What is told of jobs: a span of each attempt in the trace of who put it in, how long it took, and what waits."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    SpanKind,
    Status,
    StatusCode,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from entresol import telemetry
from entresol.life import Facts
from entresol.storage.jobs import Backlog, Claimed

_headers = TraceContextTextMapPropagator()
_FAILED = frozenset({"failed", "dead"})


class Watched:
    """An attempt under way; whoever runs it says how it ended."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome = "lost"


@contextmanager
def watched(claimed: Claimed) -> Iterator[Watched]:
    """Measure an attempt, in a span of the trace that the job was put in by."""
    kind = {telemetry.KIND: claimed.kind}
    telemetry.JOB_WAIT.record(claimed.waited_s, kind)
    started, attempt = time.perf_counter(), Watched()
    span = _span(claimed, claimed.kind, SpanKind.CONSUMER)
    token = telemetry.method.set(claimed.kind)
    try:
        with use_span(span, record_exception=False, set_status_on_exception=False):
            yield attempt
            span.set_attribute(telemetry.OUTCOME, attempt.outcome)
            if attempt.outcome in _FAILED:
                span.set_status(Status(StatusCode.ERROR))
    finally:
        telemetry.method.reset(token)
        ended = {**kind, telemetry.OUTCOME: attempt.outcome}
        telemetry.JOB_DURATION.record(time.perf_counter() - started, ended, span)
        span.end()


def handed_on(claimed: Claimed) -> Claimed:
    """Return the attempt for another process, whose spans then are below the present one."""
    carrier: dict[str, str] = {}
    _headers.inject(carrier)
    return replace(claimed, trace=carrier.get("traceparent", claimed.trace))


@contextmanager
def followed(claimed: Claimed) -> Iterator[None]:
    """Let what an attempt does be told in a span of this process, below the attempt's own, which its worker has."""
    token = telemetry.method.set(claimed.kind)
    try:
        with use_span(_span(claimed, telemetry.SPAN_ISOLATED, SpanKind.INTERNAL), end_on_exit=True):
            yield
    finally:
        telemetry.method.reset(token)


def _span(claimed: Claimed, name: str, kind: SpanKind) -> Span:
    if not telemetry.tracing():
        return INVALID_SPAN
    attributes: dict[str, str | int] = {
        telemetry.KIND: claimed.kind,
        telemetry.JOB: str(claimed.attempt.id),
        telemetry.ATTEMPT: claimed.number,
    }
    parent = _headers.extract({"traceparent": claimed.trace})
    return telemetry.tracer.start_span(name, parent, kind, attributes)


class Gauges:
    """What a worker runs and what waits for it, for who collects metrics, while the worker lives."""

    def __init__(self, running: Callable[[], int]) -> None:
        self.backlog: Mapping[str, Backlog] = {}
        self.running = running
        _gauges.add(self)

    def facts(self) -> Facts:
        """Return how many jobs run, and what waits in each queue, as it was measured last."""
        ready = {
            queue: {"ready": one.ready, "oldest_s": round(one.ready_s, 3)}
            for queue, one in self.backlog.items()
        }
        return {"running": self.running(), "queues": ready}


_gauges: weakref.WeakSet[Gauges] = weakref.WeakSet()


def _running(_: telemetry.CallbackOptions) -> Iterable[telemetry.Observation]:
    for gauges in _gauges:
        yield telemetry.Observation(gauges.running())


def _ready(_: telemetry.CallbackOptions) -> Iterable[telemetry.Observation]:
    for gauges in _gauges:
        for queue, backlog in gauges.backlog.items():
            yield telemetry.Observation(backlog.ready, {telemetry.QUEUE: queue})


def _age(_: telemetry.CallbackOptions) -> Iterable[telemetry.Observation]:
    for gauges in _gauges:
        for queue, backlog in gauges.backlog.items():
            yield telemetry.Observation(backlog.ready_s, {telemetry.QUEUE: queue})


telemetry.meter.create_observable_gauge(telemetry.JOBS_RUNNING, [_running], description="Jobs of this worker")
telemetry.meter.create_observable_gauge(telemetry.JOBS_READY, [_ready], description="Jobs that are ready")
telemetry.meter.create_observable_gauge(
    telemetry.JOBS_AGE, [_age], unit="s", description="Age of the oldest job that is ready"
)
