"""A collector is told of the platform's spans what the library would have told, and nothing is lost in silence."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from tests.e2e.collector import Collector, collecting

from entresol import telemetry
from entresol.spans import PlatformSpan
from entresol.tracing import Provider

NAMED = {telemetry.SERVICE: "stories.v1.UserService", telemetry.METHOD: "GetUser"}
ELSEWHERE = SpanContext(0xA1 << 100, 0xB2 << 40, is_remote=True, trace_flags=TraceFlags(1))
Lost = Callable[[], dict[str, int]]


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def provider(collector: Collector) -> Iterator[Provider]:
    made = Provider(Resource.create({"service.name": "tested"}))
    yield made
    made.shutdown()


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Lost:
    """Return what tells how many spans were lost in this test, by reason."""
    found: dict[str, int] = {}

    def add(amount: int, attributes: dict[str, str]) -> None:
        reason = attributes[telemetry.REASON]
        found[reason] = found.get(reason, 0) + amount

    monkeypatch.setattr(telemetry.SPANS_LOST, "add", add)
    return lambda: found


def remote(**changes: Any) -> Any:
    """Return a context in which the caller's span is the current one."""
    given = {"trace_flags": ELSEWHERE.trace_flags, "trace_state": None, **changes}
    context = SpanContext(ELSEWHERE.trace_id, ELSEWHERE.span_id, is_remote=True, **given)
    return set_span_in_context(NonRecordingSpan(context))


def program(tracer: Tracer) -> None:
    """Make spans of every sort."""
    for context in (
        None,
        remote(),
        remote(trace_flags=TraceFlags(3)),
        remote(trace_flags=TraceFlags(0)),
        remote(trace_state=TraceState([("vendor", "x")])),
    ):
        for more in ("", "attributes", "status", "event", "link", "name"):
            with use_span(
                tracer.start_span("stories.v1/Get", context, SpanKind.SERVER, NAMED, start_time=5),
                end_on_exit=True,
            ) as span:
                if more == "attributes":
                    span.set_attribute("user.words", ["a", "b"])
                    span.set_attributes({"user.number": 1.5, telemetry.METHOD: "Another"})
                elif more == "status":
                    span.set_status(Status(StatusCode.ERROR, "our fault"))
                elif more == "event":
                    span.add_event("seen", {"how": "often"}, timestamp=7)
                elif more == "link":
                    span.add_link(ELSEWHERE, {"because": True})
                elif more == "name":
                    span.update_name("renamed")
                with tracer.start_as_current_span("below", kind=SpanKind.CLIENT, attributes={"a": "b" * 300}):
                    tracer.start_span("last").end()
                tracer.start_span("stories.v1/Get", kind=SpanKind.SERVER, attributes=NAMED).end()
        with pytest.raises(ZeroDivisionError), tracer.start_as_current_span("wrong", context):
            print(1 // 0)
    tracer.start_span("linked", links=[Link(ELSEWHERE)]).end()


def told(spans: list[Any]) -> list[tuple[str, bytes]]:
    """Return spans without what chance and time made of them, in the order of their beginning."""
    names = {span.span_id: span.name for span in spans}
    found = []
    for span in spans:
        assert span.end_time_unix_nano > span.start_time_unix_nano > 0
        assert (len(span.trace_id), len(span.span_id)) == (16, 8)
        above = names.get(span.parent_span_id, span.parent_span_id.hex())
        if not span.trace_id.startswith(ELSEWHERE.trace_id.to_bytes(16, "big")):
            span.trace_id = b""
        for event in span.events:
            if event.name == "exception":
                event.time_unix_nano = 0
                event.attributes[2].value.string_value = "where"
        span.span_id, span.parent_span_id, span.end_time_unix_nano = b"", b"", 0
        span.start_time_unix_nano = min(span.start_time_unix_nano, 9)
        found.append((above, span.SerializeToString(deterministic=True)))
    return sorted(found)


def test_a_collector_is_told_what_the_library_would_have_told_it(
    collector: Collector, provider: Provider
) -> None:
    program(provider.get_tracer(telemetry.NAME))
    provider.force_flush()
    ours = told(collector.spans)
    collector.spans.clear()
    library = TracerProvider(resource=Resource.create({"service.name": "tested"}))
    library.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    program(library.get_tracer(telemetry.NAME))
    library.shutdown()
    assert ours == told(collector.spans)
    assert len(ours) == 4 * (6 * 4 + 1) + 1, "a caller that does not record had nothing recorded"


def test_resource_and_scope_are_the_librarys(collector: Collector, provider: Provider) -> None:
    for name in (telemetry.NAME, "application"):
        provider.get_tracer(name).start_span("one").end()
    provider.force_flush()
    first, second = collector.resources
    assert first.resource == second.resource
    assert {scope.scope.name for one in (first, second) for scope in one.scope_spans} == {
        telemetry.NAME,
        "application",
    }


def test_spans_of_an_application_are_below_ours_and_ours_below_its(
    collector: Collector, provider: Provider
) -> None:
    ours, theirs = provider.get_tracer(telemetry.NAME), provider.get_tracer("application")
    headers: dict[str, str] = {}
    with ours.start_as_current_span("call") as call, theirs.start_as_current_span("function"):
        TraceContextTextMapPropagator().inject(headers)
        ours.start_span("statement").end()
    assert isinstance(call, PlatformSpan)
    provider.force_flush()
    by_name = {span.name: span for span in collector.spans}
    assert by_name["function"].parent_span_id == by_name["call"].span_id
    assert by_name["statement"].parent_span_id == by_name["function"].span_id
    assert len({span.trace_id for span in collector.spans}) == 1
    trace_id, span_id = by_name["call"].trace_id.hex(), by_name["function"].span_id.hex()
    assert headers["traceparent"] == f"00-{trace_id}-{span_id}-03"


def test_a_processor_of_the_application_is_told_of_every_span_from_then_on(provider: Provider) -> None:
    ended: list[str] = []

    class Hears(SpanProcessor):
        def on_end(self, span: ReadableSpan) -> None:
            ended.append(f"{span.name} {dict(span.attributes or {})}")

    tracer = provider.get_tracer(telemetry.NAME)
    tracer.start_span("before").end()
    provider.add_span_processor(Hears())
    tracer.start_span("after", attributes={"a": "b"}).end()
    assert ended == ["after {'a': 'b'}"]


@pytest.mark.parametrize(
    "sampler",
    ["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off",
     "parentbased_traceidratio"],
)  # fmt: skip
def test_what_is_recorded_is_what_the_librarys_sampler_records(
    monkeypatch: pytest.MonkeyPatch, collector: Collector, sampler: str
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    provider, library = Provider(Resource.create()), TracerProvider(resource=Resource.create())
    tracer = provider.get_tracer(telemetry.NAME)
    for flags in (0, 1):
        context = remote(trace_flags=TraceFlags(flags))
        expected = library.get_tracer("x").start_span("one", context).is_recording()
        assert tracer.start_span("one", context).is_recording() == expected
    roots = sum(tracer.start_span("one").is_recording() for _ in range(400))
    share = {"on": 400, "io": 200, "ff": 0}[sampler[-2:] if sampler[-5:] != "ratio" else "io"]
    assert abs(roots - share) <= (0 if share != 200 else 60)
    provider.shutdown()


def test_what_is_over_is_told_no_more(collector: Collector, provider: Provider) -> None:
    span = provider.get_tracer(telemetry.NAME).start_span("once")
    assert span.is_recording()
    span.end()
    span.end()
    span.set_attribute("late", value=True)
    assert not span.is_recording()
    provider.force_flush()
    ((name, attributes),) = [(span.name, list(span.attributes)) for span in collector.spans]
    assert (name, attributes) == ("once", [])


def test_spans_go_out_by_themselves_and_the_last_when_it_ends(
    collector: Collector, provider: Provider, lost: Lost
) -> None:
    tracer = provider.get_tracer(telemetry.NAME)
    for _ in range(1000):
        tracer.start_span("one").end()
    assert collector.wait_until(lambda: len(collector.spans) == 1000)
    tracer.start_span("last").end()
    provider.shutdown()
    assert collector.spans[-1].name == "last"
    assert lost() == {}


def test_what_finds_no_room_and_what_a_collector_does_not_take_is_counted_and_holds_no_end_up(
    monkeypatch: pytest.MonkeyPatch, lost: Lost
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes connections, and never answers
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100")
        provider = Provider(Resource.create())
        tracer = provider.get_tracer(telemetry.NAME)
        for _ in range(1000):
            tracer.start_span("one").end()
        started_s = time.monotonic()
        provider.shutdown()
        assert time.monotonic() - started_s < 10
    assert sum(lost().values()) == 1000
    assert lost()["full"] >= 700  # one batch is on its way, one waits, and more may have had time to fail
