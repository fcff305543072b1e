"""Every span, metric and log-field name of the platform, spelled once, and whether anybody asks for traces.

Until `collection.start` is called the instruments record nothing and cost a dictionary look-up at most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from functools import lru_cache

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from entresol.instruments import Counter, Durations

__all__ = ["CallbackOptions", "Observation"]

NAME = "entresol"  # of who measures
meter = metrics.get_meter(NAME)
tracer = trace.get_tracer(NAME)

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

# Rate, errors and duration of every method.
CALL_DURATION = Durations(
    meter, "rpc.server.call.duration", "Duration of calls, by method and status", _CALLS_S
)

# The cache: hits, misses and refusals per reason.
CACHE_READS = Counter(meter, "entresol.cache.reads", "Keys looked up, by resource and hit, miss or failure")
CACHE_WRITES = Counter(meter, "entresol.cache.writes", "Puts, fills and lists, by what the cache answered")
CACHE_LISTS = Counter(meter, "entresol.cache.lists", "Lists looked up, by resource and hit or why not")
CACHE_FAILURES = Counter(meter, "entresol.cache.failures", "Cache commands that failed, by reason")
RELAY_CHANGES = Counter(meter, "entresol.relay.changes", "Row changes applied by the relay")
RELAY_REFILLS = Counter(meter, "entresol.relay.refills", "Dropped entries, by read, skipped or failed")
RELAY_LAG = "entresol.relay.lag"  # gauge, seconds
RELAY_REWINDS = Counter(meter, "entresol.relay.rewinds", "Cache fail-overs that were replayed")

# The database.
POOL_USE = "entresol.storage.pool.connections"  # gauge, by server and state
POOL_WAIT = Durations(meter, "entresol.storage.pool.wait", "Wait for a connection", _CALLS_S)
REPLICA_LAG = "entresol.storage.replica.lag"  # gauge, seconds, by server
QUERY_DURATION = Durations(
    meter, "entresol.storage.query.duration", "Duration of statements, by resource and operation", _CALLS_S
)

# Jobs.
JOB_DURATION = Durations(
    meter, "entresol.jobs.attempt.duration", "Duration of attempts, by kind and how they ended", _JOBS_S
)
JOB_WAIT = Durations(meter, "entresol.jobs.wait", "From when a job is ready to its claim, by kind", _JOBS_S)
JOBS_SWEPT = Counter(meter, "entresol.jobs.swept", "Jobs taken back from workers whose lease was over")
JOBS_RELAYED = Counter(meter, "entresol.jobs.relayed", "Jobs told to RabbitMQ, by queue")
JOBS_RELAYED_AGAIN = Counter(
    meter,
    "entresol.jobs.relayed.again",
    "Jobs that had not begun long after they were relayed, by queue",
)
JOBS_RUNNING = "entresol.jobs.running"  # gauge, of this worker
JOBS_READY = "entresol.jobs.ready"  # gauge, by queue; at most 1,000 of a lane are counted
JOBS_AGE = "entresol.jobs.ready.age"  # gauge, seconds, by queue: of the oldest job that is ready

# Events.
EVENTS_PUBLISHED = Counter(
    meter, "entresol.events.published", "Events that RabbitMQ has confirmed, by resource"
)
EVENTS_DELAY = Durations(
    meter, "entresol.events.delay", "From a commit to its events being confirmed", _JOBS_S
)
EVENTS_HELD = "entresol.events.slot.held"  # gauge, bytes: the log that the server keeps for the slot

# Schedules.
TICK_DELAY = Durations(
    meter, "entresol.schedules.tick.delay", "How late ticks put their jobs in, by schedule", _JOBS_S
)
TICKS_SKIPPED = Counter(
    meter, "entresol.schedules.ticks.skipped", "Ticks that put no job in, by schedule and reason"
)

# Telemetry itself.
SPANS_LOST = Counter(meter, "entresol.telemetry.spans.lost", "Recorded spans that were not sent, by reason")

# `entresol verify`, beside production.
VERIFY_READS = Counter(meter, "entresol.verify.reads", "Writes read back, by age and outcome")
VERIFY_STALENESS = Durations(
    meter, "entresol.verify.staleness", "Age of the first change that a read did not show", _JOBS_S
)
VERIFY_DIFFERENCES = Counter(meter, "entresol.verify.differences", "Hits that were not what the primary had")
VERIFY_SKIPPED = Counter(meter, "entresol.verify.skipped", "Reads not made, by reason")

DURATIONS = (
    CALL_DURATION, POOL_WAIT, QUERY_DURATION, JOB_DURATION, JOB_WAIT, EVENTS_DELAY, TICK_DELAY, VERIFY_STALENESS,
)  # fmt: skip

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
    global tracer, _wanted, _sampler
    tracer = trace.get_tracer(NAME)  # what was given before there was a provider looks for it each time
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
    attributes = _attributes(operation, resource)
    return tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=attributes)


@lru_cache(maxsize=4096)
def _attributes(operation: str, resource: str) -> Mapping[str, str]:
    return {OPERATION: operation, **({RESOURCE: resource} if resource else {})}


def traceparent() -> str:
    """Return the current trace as a W3C header, for what goes on with it later; empty when it is not recorded."""
    headers: dict[str, str] = {}
    if recording():
        _headers.inject(headers)
    return headers.get("traceparent", "")
