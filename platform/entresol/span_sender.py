"""Spans that are over, until they are sent: a bounded queue, and a thread that sends some hundred of them at once.

Those of the platform come encoded, others are the library's. They go by the library's exporter: where to, with which
headers and certificates, how compressed, how long and how often is as the standard `OTEL_*` variables say.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from entresol import telemetry
from entresol.varint import varint

log = logging.getLogger(__name__)

_CALL_ENDS_S = 1.0
_QUIET_S = 60.0  # between lines of the log; the counter has all
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_FULL, _FAILED, _LATE = ({telemetry.REASON: reason} for reason in ("full", "failed", "late"))


class Encoded(Protocol):
    """A span of the platform that is over."""

    def encoded(self) -> bytes:
        """Return it as a field of OTLP's ScopeSpans."""

    def whole(self) -> ReadableSpan:
        """Return what the library would have made of it."""


class SpanSender(SpanProcessor):
    """What is to be sent. It is bounded as the library's own (`OTEL_BSP_*`); what finds no room is counted."""

    def __init__(self) -> None:
        self._exporter = _Exporter()
        self._most = BatchSpanProcessor._default_max_queue_size()  # type: ignore[no-untyped-call]  # the SDK has no types there
        self._batch = BatchSpanProcessor._default_max_export_batch_size()  # type: ignore[no-untyped-call]  # the SDK has no types there
        self._delay_s = BatchSpanProcessor._default_schedule_delay_millis() / 1000  # type: ignore[no-untyped-call]  # the SDK has no types there
        self._waiting: deque[Encoded | ReadableSpan] = deque()
        self._refused = 0
        self._quiet_until_s = 0.0
        self._stirred = threading.Event()
        self._sending = threading.Lock()
        self._is_over = self._is_late = False
        self._thread = threading.Thread(target=self._run, name="entresol spans", daemon=True)
        self._thread.start()

    def put(self, span: Encoded | ReadableSpan) -> None:
        """Have a span sent; from any thread."""
        waiting = self._waiting
        count = len(waiting)
        if count >= self._most or self._is_over:
            self._refused += 1
            return
        waiting.append(span)
        if count + 1 >= self._batch and not self._stirred.is_set():
            self._stirred.set()

    def on_end(self, span: ReadableSpan) -> None:
        """Have a span of the library sent."""
        if span.context is not None and span.context.trace_flags.sampled:
            self.put(span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what waits now."""
        self._send(len(self._waiting))
        return True

    def shutdown(self) -> None:
        """Send what waits, for no longer than one batch may take; what is left is counted."""
        if self._is_over:
            return
        self._is_over = True
        self._stirred.set()
        self._thread.join(self._exporter.timeout_s)
        self._is_late = True
        self._exporter.shutdown()  # which ends a call under way
        self._thread.join(_CALL_ENDS_S)
        self._lose(len(self._waiting), _LATE)

    def _run(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))  # else sending spans would make spans
        while not self._is_over:
            is_stirred = self._stirred.wait(self._delay_s)
            self._stirred.clear()
            count = len(self._waiting)
            self._send(count - count % self._batch if is_stirred else count)
        self._send(len(self._waiting))

    def _send(self, count: int) -> None:
        with self._sending:
            while count > 0 and self._waiting and not self._is_late:
                spans = [self._waiting.popleft() for _ in range(min(count, self._batch, len(self._waiting)))]
                count -= len(spans)
                if not self._exporter.takes(spans):
                    self._lose(len(spans), _FAILED)
            refused, self._refused = self._refused, 0
            self._lose(refused, _FULL)

    def _lose(self, count: int, why: dict[str, str]) -> None:
        if not count:
            return
        telemetry.SPANS_LOST.add(count, why)
        if time.monotonic() >= self._quiet_until_s:
            self._quiet_until_s = time.monotonic() + _QUIET_S
            log.warning("%d spans were not sent: %s", count, why[telemetry.REASON])


class _Stub:
    """Sends what is encoded already."""

    def __init__(self, channel: Any) -> None:
        self.Export = channel.unary_unary(
            _EXPORT, response_deserializer=ExportTraceServiceResponse.FromString
        )


class _Exporter(OTLPSpanExporter):
    def __init__(self) -> None:
        super().__init__()
        self.timeout_s = self._timeout
        self._heads: tuple[bytes, bytes] | None = None

    def takes(self, spans: Sequence[Encoded | ReadableSpan]) -> bool:
        """Send spans, and tell whether the collector has them."""
        try:
            return self.export(spans) is SpanExportResult.SUCCESS  # type: ignore[arg-type]  # ours are none of the library's
        except Exception:  # else nothing would be sent any more
            log.exception("spans could not be sent")
            return False

    def _initialize_channel_and_stub(self) -> None:
        super()._initialize_channel_and_stub()  # type: ignore[no-untyped-call]  # the SDK has no types there
        self._client: Any = _Stub(self._channel)

    def _translate_data(self, data: Sequence[Any]) -> Any:
        theirs = [span for span in data if isinstance(span, ReadableSpan)]
        ours = (
            [span for span in data if not isinstance(span, ReadableSpan)] if len(theirs) < len(data) else []
        )
        # Requests one after the other are one request: https://protobuf.dev/programming-guides/encoding/#last-one-wins
        return (encode_spans(theirs).SerializeToString() if theirs else b"") + self._encoded(ours)

    def _encoded(self, spans: Sequence[Encoded]) -> bytes:
        if not spans:
            return b""
        if self._heads is None:
            self._heads = _heads(spans[0].whole())
        resource, scope = self._heads
        return _field(1, resource + _field(2, scope + b"".join([span.encoded() for span in spans])))


def _heads(span: ReadableSpan) -> tuple[bytes, bytes]:
    """Return who sends the span, and by which library, as OTLP has it."""
    whole = encode_spans([span]).resource_spans[0]
    scope = whole.scope_spans[0]
    scope.ClearField("spans")
    encoded = scope.SerializeToString()
    whole.ClearField("scope_spans")
    return whole.SerializeToString(), encoded


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content
