"""The provider of tracers: the platform's own makes spans that are cheap, and everybody else has the library's.

So it is as long as nobody else has a part in it: where an application adds a processor of its own to the provider, or
the sampler is none of the usual ones, the library makes all spans, and where an application has set a provider of its
own this is not used at all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import getrandbits
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk import trace as library
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanKind,
    TraceFlags,
    Tracer,
    get_current_span,
    use_span,
)
from opentelemetry.util.types import Attributes

from entresol import telemetry
from entresol.sampling import Lot, drawing
from entresol.span_sender import SpanSender
from entresol.spans import SPAN_BITS, TRACE_BITS, PlatformSpan, Template, context_of

_TEMPLATES_MAX = 4096


class Provider(library.TracerProvider):
    """Gives the platform its tracer, and everybody else the library's."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource=resource)
        self.sampler = drawing(self.sampler)
        self.sender = SpanSender()
        super().add_span_processor(self.sender)
        self.has_others = not isinstance(self.sampler, Lot)

    def add_span_processor(self, span_processor: library.SpanProcessor) -> None:
        """Have this processor told of every span from now on."""
        self.has_others = True
        super().add_span_processor(span_processor)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        """Return the tracer of this name."""
        theirs = super().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )
        if instrumenting_module_name == telemetry.NAME and isinstance(theirs, library.Tracer):
            return PlatformTracer(self, theirs)
        return theirs


class PlatformTracer(Tracer):
    """Begins spans of the platform."""

    def __init__(self, provider: Provider, theirs: library.Tracer) -> None:
        self.provider = provider
        self.theirs = theirs
        self._templates: dict[tuple[int, str], Template] = {}  # by identity of the attributes, which are kept

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> Span:
        """Begin a span. Whoever begins many alike keeps their attributes, and changes them no more."""
        parent = None
        if context is None or context:  # an empty one is of no trace
            above = get_current_span(context).get_span_context()
            parent = above if above.is_valid else None
        if links or self.provider.has_others or (parent is not None and parent.trace_state):
            return self.theirs.start_span(name, context, kind, attributes, links, start_time)
        if parent is None:
            ids = getrandbits(TRACE_BITS + SPAN_BITS)
        else:
            ids = parent.trace_id << SPAN_BITS | getrandbits(SPAN_BITS)
        sampler: Any = self.provider.sampler
        if not sampler.records(ids >> SPAN_BITS, parent):
            return NonRecordingSpan(context_of(ids, parent, TraceFlags.DEFAULT))
        known = self._templates.get((id(attributes), name))
        if known is None or known.kind is not kind:
            known = self._learn(name, kind, attributes)
        return PlatformSpan(known, ids, parent, start_time or time.time_ns())

    def start_as_current_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Any:
        """Begin a span that is the current one while a block lasts."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        return use_span(span, end_on_exit, record_exception, set_status_on_exception)

    def _learn(self, name: str, kind: SpanKind, attributes: Attributes) -> Template:
        if len(self._templates) >= _TEMPLATES_MAX:
            self._templates.clear()
        known = self._templates[id(attributes), name] = Template(
            self.theirs, self.provider.sender, name, kind, attributes
        )
        return known
