"""A span of the platform, which is OpenTelemetry's for whoever asks, and costs a tenth of what the library's does.

The library makes of each span some thirty objects, and as many again to send it. Of ours, what never changes is its
template, encoded once: its name and the attributes that it begins with. Beside that a span is two ids and two times.
One that is told more goes on as one of the library's, with the same ids.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from struct import Struct, calcsize
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk import trace as library
from opentelemetry.trace import (
    INVALID_SPAN,
    INVALID_SPAN_CONTEXT,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)
from opentelemetry.util.types import Attributes

from entresol.span_sender import SpanSender
from entresol.varint import varint

TRACE_BITS, SPAN_BITS = 128, 64
_FLAGS = tuple(TraceFlags(bits) for bits in range(4))
_RANDOM = TraceFlags.RANDOM_TRACE_ID
# Ids and times, with the tags of those that follow the first.
_OWN, _OWN_BELOW = "<16s2s8ssQsQ", "<16s2s8s10ssQsQ"


def context_of(ids: int, parent: SpanContext | None, flag: int) -> SpanContext:
    """Return the ids as others are told them; `flag` says whether the span is recorded."""
    random = _RANDOM if parent is None else parent.trace_flags & _RANDOM
    return SpanContext(ids >> SPAN_BITS, ids % 2**SPAN_BITS, False, _FLAGS[random | flag])


class Template:
    """What is the same of all spans that begin with these attributes."""

    __slots__ = ("_encoded", "_theirs", "attributes", "kind", "name", "sender")

    def __init__(
        self,
        theirs: library.Tracer,
        sender: SpanSender,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
    ) -> None:
        self._theirs = theirs
        self.sender = sender
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self._encoded: dict[bool | None, tuple[Callable[..., bytes], bytes, bytes]] = {}

    def whole(self, context: SpanContext, parent: SpanContext | None) -> library.Span:
        """Return what the library would have made of one; it has not begun."""
        theirs = self._theirs
        return _Whole(
            self.name,
            context,
            parent,
            resource=theirs.resource,
            attributes=self.attributes,
            kind=self.kind,
            span_processor=theirs.span_processor,
            limits=theirs._span_limits,
            instrumentation_scope=theirs._instrumentation_scope,
        )

    def encoded(self, parent: SpanContext | None) -> tuple[Callable[..., bytes], bytes, bytes]:
        """Return what is the same of all with such a parent: what puts it around ids and times, its head and tail."""
        found = self._encoded.get(parent and parent.is_remote)
        if found is None:
            tail = _encoded_but_ids(self.whole(INVALID_SPAN_CONTEXT, parent))
            own = _OWN if parent is None else _OWN_BELOW
            head = b"\x12" + varint(len(b"\x0a\x10") + calcsize(own) + len(tail)) + b"\x0a\x10"
            pack = Struct(f"<{len(head)}s{own[1:]}{len(tail)}s").pack
            found = self._encoded[parent and parent.is_remote] = pack, head, tail
        return found


class _Whole(library.Span):
    """A span of the library's own making, with the ids of one that is told more than it began with."""


class PlatformSpan(Span):
    """A span that is recorded: a template, ids and times until it is told more."""

    end_ns = 0
    _context: SpanContext | None = None
    _whole: library.Span | None = None

    def __init__(self, template: Template, ids: int, parent: SpanContext | None, start_ns: int) -> None:
        self._template = template
        self._ids = ids
        self._parent = parent
        self._start_ns = start_ns

    def get_span_context(self) -> SpanContext:
        """Return its ids, for those who come after it."""
        if self._context is None:
            self._context = context_of(self._ids, self._parent, TraceFlags.SAMPLED)
        return self._context

    def is_recording(self) -> bool:
        """Tell whether it goes on."""
        return not self.end_ns

    def end(self, end_time: int | None = None) -> None:
        """Have it sent."""
        if self.end_ns:
            return
        self.end_ns = end_time or time.time_ns()
        if self._whole is None:
            self._template.sender.put(self)
        else:
            self._whole.end(self.end_ns)

    def encoded(self) -> bytes:
        """Return it as a field of OTLP's ScopeSpans."""
        ids, parent = self._ids.to_bytes(24, "big"), self._parent
        pack, head, tail = self._template.encoded(parent)
        trace_id, span_id, start_ns, end_ns = ids[:16], ids[16:], self._start_ns, self.end_ns
        if parent is None:
            return pack(head, trace_id, b"\x12\x08", span_id, b"\x39", start_ns, b"\x41", end_ns, tail)
        parent_id = b"\x22\x08" + parent.span_id.to_bytes(8, "big")
        return pack(head, trace_id, b"\x12\x08", span_id, parent_id, b"\x39", start_ns, b"\x41", end_ns, tail)

    def whole(self) -> library.Span:
        """Return what the library would have made of it; it has not begun."""
        return self._template.whole(self.get_span_context(), self._parent)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Tell more of it, as all that follows does."""
        self._more().set_attributes(attributes)

    def set_attribute(self, key: str, value: Any) -> None:
        """Do as the API says."""
        self._more().set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Do as the API says."""
        self._more().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Do as the API says."""
        self._more().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Do as the API says."""
        self._more().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Do as the API says."""
        self._more().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Do as the API says."""
        self._more().record_exception(exception, attributes, timestamp, escaped)

    def _more(self) -> Span:
        if self.end_ns:
            return INVALID_SPAN
        if self._whole is None:
            self._whole = self.whole()
            self._whole.start(self._start_ns)
        return self._whole


def _encoded_but_ids(span: library.ReadableSpan) -> bytes:
    """Return what is the same of all spans of this kind, as OTLP has it."""
    made = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
    for field in ("trace_id", "span_id", "parent_span_id", "start_time_unix_nano", "end_time_unix_nano"):
        made.ClearField(field)
    encoded: bytes = made.SerializeToString()
    return encoded
