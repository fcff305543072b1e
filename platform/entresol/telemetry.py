"""Every span, metric and log-field name of the platform, spelled once, and the set-up of OpenTelemetry.

Off by default: until `start` is called the instruments record nothing and cost a dictionary look-up at most.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

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

# Seconds that end the buckets of durations: a hit takes tens of microseconds, an attempt at a job may take an hour. The
# library's own are those of milliseconds, and would put every call into the first.
_QUICK_S = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
_SLOW_S = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)

# Rate, errors and duration of every method.
CALL_DURATION = meter.create_histogram(
    "rpc.server.call.duration",
    unit="s",
    description="Duration of calls, by method and status",
    explicit_bucket_boundaries_advisory=_QUICK_S,
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
POOL_WAIT = meter.create_histogram(
    "entresol.storage.pool.wait",
    unit="s",
    description="Wait for a connection",
    explicit_bucket_boundaries_advisory=_QUICK_S,
)
REPLICA_LAG = "entresol.storage.replica.lag"  # gauge, seconds, by server
QUERY_DURATION = meter.create_histogram(
    "entresol.storage.query.duration",
    unit="s",
    description="Duration of statements, by resource and operation",
    explicit_bucket_boundaries_advisory=_QUICK_S,
)

# Jobs.
JOB_DURATION = meter.create_histogram(
    "entresol.jobs.attempt.duration",
    unit="s",
    description="Duration of attempts, by kind and how they ended",
    explicit_bucket_boundaries_advisory=_SLOW_S,
)
JOB_WAIT = meter.create_histogram(
    "entresol.jobs.wait",
    unit="s",
    description="From when a job is ready to its claim, by kind",
    explicit_bucket_boundaries_advisory=_SLOW_S,
)
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
EVENTS_DELAY = meter.create_histogram(
    "entresol.events.delay",
    unit="s",
    description="From a commit to its events being confirmed",
    explicit_bucket_boundaries_advisory=_SLOW_S,
)
EVENTS_HELD = "entresol.events.slot.held"  # gauge, bytes: the log that the server keeps for the slot

# Schedules.
TICK_DELAY = meter.create_histogram(
    "entresol.schedules.tick.delay",
    unit="s",
    description="How late ticks put their jobs in, by schedule",
    explicit_bucket_boundaries_advisory=_SLOW_S,
)
TICKS_SKIPPED = meter.create_counter(
    "entresol.schedules.ticks.skipped", description="Ticks that put no job in, by schedule and reason"
)

# `entresol verify`, beside production.
VERIFY_READS = meter.create_counter(
    "entresol.verify.reads", description="Writes read back, by age and outcome"
)
VERIFY_STALENESS = meter.create_histogram(
    "entresol.verify.staleness",
    unit="s",
    description="Age of the first change that a read did not show",
    explicit_bucket_boundaries_advisory=_SLOW_S,
)
VERIFY_DIFFERENCES = meter.create_counter(
    "entresol.verify.differences", description="Hits that were not what the primary had"
)
VERIFY_SKIPPED = meter.create_counter("entresol.verify.skipped", description="Reads not made, by reason")

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


def start(service: str = "entresol") -> None:
    """Send traces and metrics over OTLP, as the standard `OTEL_*` variables say. Call once, before serving."""
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from entresol.sampling import drawing

    resource = Resource.create({"service.name": service})
    metrics.set_meter_provider(
        MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
    )
    provider = TracerProvider(resource=resource)
    provider.sampler = drawing(provider.sampler)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def stop() -> None:
    """Flush what is still to be sent."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        shutdown = getattr(provider, "shutdown", None)
        if shutdown is not None:
            shutdown()
