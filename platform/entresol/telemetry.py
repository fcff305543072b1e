"""Every span, metric and log-field name of the platform, spelled once, and whether anybody asks for traces.

Until `collection.start` is called the instruments record nothing and cost a dictionary look-up at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from entresol.durations import Durations

__all__ = ["CallbackOptions", "Observation"]

meter = metrics.get_meter("entresol")
tracer = trace.get_tracer("entresol")

# Attributes.
METHOD = "rpc.method"
SERVICE = "rpc.service"
STATUS = "rpc.grpc.status_code"
RESOURCE = "entresol.resource"
REASON = "entresol.reason"
OPERATION = "db.operation.name"
SERVER = "server.address"
ANSWERED_BY = "entresol.answered_by"
AGE = "entresol.age"  # seconds
OUTCOME = "entresol.outcome"
SCHEDULE = "entresol.schedule"
EXPLAINED = "entresol.explained"
KIND = "entresol.job.kind"
JOB = "entresol.job"
ATTEMPT = "entresol.job.attempt"
QUEUE = "entresol.queue"

# The library's own bounds are for milliseconds. Calls: from a hit in this process to the longest deadline.
_CALLS_S = tuple(round(unit * 10**power, 6) for power in range(-5, 2) for unit in (1, 2.5, 5))
_JOBS_S = tuple(round(unit * 10**power, 3) for power in range(-3, 5) for unit in (1, 3))


def _durations(name: str, description: str, bounds_s: Sequence[float]) -> metrics.Histogram:
    return meter.create_histogram(
        name, unit="s", description=description, explicit_bucket_boundaries_advisory=bounds_s
    )


# Rate, errors and duration of every method.
CALL_DURATION = Durations(
    meter, "rpc.server.call.duration", "Duration of calls, by method and status", _CALLS_S
)

# The cache: hits, misses and refusals per reason.
CACHE_READS = meter.create_counter(
    "entresol.cache.reads", description="Keys looked up, by resource and hit, miss or failure"
)
CACHE_WRITES = meter.create_counter(
    "entresol.cache.writes", description="Puts, fills and lists, by what the cache answered"
)
CACHE_LISTS = meter.create_counter(
    "entresol.cache.lists", description="Lists looked up, by resource and hit or why not"
)
CACHE_FAILURES = meter.create_counter(
    "entresol.cache.failures", description="Cache commands that failed, by reason"
)
RELAY_CHANGES = meter.create_counter("entresol.relay.changes", description="Row changes applied by the relay")
RELAY_REFILLS = meter.create_counter(
    "entresol.relay.refills", description="Dropped entries, by read, skipped or failed"
)
RELAY_LAG = "entresol.relay.lag"  # gauge, seconds
RELAY_REWINDS = meter.create_counter(
    "entresol.relay.rewinds", description="Cache fail-overs that were replayed"
)

# The database.
POOL_USE = "entresol.storage.pool.connections"  # gauge, by server and state
POOL_WAIT = _durations("entresol.storage.pool.wait", "Wait for a connection", _CALLS_S)
REPLICA_LAG = "entresol.storage.replica.lag"  # gauge, seconds, by server
QUERY_DURATION = _durations(
    "entresol.storage.query.duration", "Duration of statements, by resource and operation", _CALLS_S
)

# Jobs.
JOB_DURATION = _durations(
    "entresol.jobs.attempt.duration", "Duration of attempts, by kind and how they ended", _JOBS_S
)
JOB_WAIT = _durations("entresol.jobs.wait", "From when a job is ready to its claim, by kind", _JOBS_S)
JOBS_SWEPT = meter.create_counter(
    "entresol.jobs.swept", description="Jobs taken back from workers whose lease was over"
)
JOBS_RELAYED = meter.create_counter("entresol.jobs.relayed", description="Jobs told to RabbitMQ, by queue")
JOBS_RELAYED_AGAIN = meter.create_counter(
    "entresol.jobs.relayed.again",
    description="Jobs that had not begun long after they were relayed, by queue",
)
JOBS_RUNNING = "entresol.jobs.running"  # gauge, of this worker
JOBS_READY = "entresol.jobs.ready"  # gauge, by queue; at most 1,000 of a lane are counted
JOBS_AGE = "entresol.jobs.ready.age"  # gauge, seconds, by queue: of the oldest job that is ready

# Events.
EVENTS_PUBLISHED = meter.create_counter(
    "entresol.events.published", description="Events that RabbitMQ has confirmed, by resource"
)
EVENTS_DELAY = _durations("entresol.events.delay", "From a commit to its events being confirmed", _JOBS_S)
EVENTS_HELD = "entresol.events.slot.held"  # gauge, bytes: the log that the server keeps for the slot

# Schedules.
TICK_DELAY = _durations(
    "entresol.schedules.tick.delay", "How late ticks put their jobs in, by schedule", _JOBS_S
)
TICKS_SKIPPED = meter.create_counter(
    "entresol.schedules.ticks.skipped", description="Ticks that put no job in, by schedule and reason"
)

# `entresol verify`, beside production.
VERIFY_READS = meter.create_counter(
    "entresol.verify.reads", description="Writes read back, by age and outcome"
)
VERIFY_STALENESS = _durations(
    "entresol.verify.staleness", "Age of the first change that a read did not show", _JOBS_S
)
VERIFY_DIFFERENCES = meter.create_counter(
    "entresol.verify.differences", description="Hits that were not what the primary had"
)
VERIFY_SKIPPED = meter.create_counter("entresol.verify.skipped", description="Reads not made, by reason")

# The method or the kind of jobs for which this task works, for its log lines.
method: ContextVar[str] = ContextVar("entresol.method", default="")

# Spans.
SPAN_STATEMENT = "entresol.storage.statement"
SPAN_CACHE = "entresol.cache.command"
SPAN_ISOLATED = "entresol.jobs.isolated"  # what a process of its own does for an attempt


_NO_SPAN = nullcontext()
_headers = TraceContextTextMapPropagator()
_wanted = False
_sampler: Callable[[], bool] | None = None  # None: not known, so every call is worth a span


def tracing() -> bool:
    """Whether anybody had asked for traces when the platform was opened, so that a call is worth a span."""
    return _wanted


def sampled() -> bool:
    """Whether a call that no trace comes with should be traced: asked before there is a span, which costs more.

    Where it was drawn by lot, the next span that begins a trace is recorded.
    """
    return _wanted and (_sampler is None or _sampler())


def look() -> None:
    """Find out whether anybody asks for traces: the library looks into the environment each time that it is asked."""
    global _wanted, _sampler
    provider = trace.get_tracer_provider()
    _wanted = not isinstance(provider, trace.ProxyTracerProvider)
    _sampler = getattr(getattr(provider, "sampler", None), "draw", None)


def recording() -> bool:
    """Whether the current trace is sampled, so that a span of its own is worth making."""
    return _wanted and trace.get_current_span().is_recording()


def span(name: str, operation: str, resource: str = "") -> AbstractContextManager[object]:
    """Return a span below the current one while a block lasts; nothing where the trace is not recorded."""
    if not recording():
        return _NO_SPAN
    attributes = {OPERATION: operation, **({RESOURCE: resource} if resource else {})}
    return tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)


def traceparent() -> str:
    """Return the current trace as a W3C header, for what goes on with it later; empty when it is not recorded."""
    headers: dict[str, str] = {}
    if recording():
        _headers.inject(headers)
    return headers.get("traceparent", "")
