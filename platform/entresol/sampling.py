"""Which traces are recorded: as `OTEL_TRACES_SAMPLER` says, and by a lot that is drawn before there is a span."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

# How the library's own samplers tell of themselves; what they are made of, they keep to themselves.
_ALWAYS = re.compile(r"(ParentBased\{root:)?Always(On|Off)Sampler")
_RATE = re.compile(r"ParentBased\{root:TraceIdRatioBased\{([0-9.e-]+)\}")
_RANDOM_BITS = 64  # of a trace's id, by which traces of a rate are chosen alike everywhere


class Lot(Sampler):
    """Records a share of the traces that begin here, and of the others what their beginners record.

    A call that needs no span unless it is recorded asks `draw` first: begin one right after it said so. One that does
    not follow (`always_on`, `always_off`) treats what others began as its own.
    """

    def __init__(
        self, rate: float, chance: Callable[[], float] = random.random, *, follows: bool = True
    ) -> None:
        self._rate = rate
        self._chance = chance
        self._follows = follows
        self._drawn = False
        self._bound = round(rate * 2**_RANDOM_BITS)

    def draw(self) -> bool:
        """Tell whether the trace that begins now is recorded."""
        self._drawn = self._chance() < self._rate
        return self._drawn

    def records(self, trace_id: int, parent: SpanContext | None) -> bool:
        """Tell whether a span of this trace is recorded; without a parent, one that begins it."""
        if parent is not None and self._follows:
            return bool(parent.trace_flags.sampled)
        is_drawn, self._drawn = self._drawn and parent is None, False
        return is_drawn or trace_id % 2**_RANDOM_BITS < self._bound

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Tell whether this span is recorded."""
        found = get_current_span(parent_context).get_span_context()
        parent = found if found.is_valid else None
        if not self.records(trace_id, parent):
            return SamplingResult(Decision.DROP, None, found.trace_state)
        return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, found.trace_state)

    def get_description(self) -> str:
        """Describe it."""
        return f"Lot{{{self._rate}}}"


def drawing(sampler: Sampler) -> Sampler:
    """Return a sampler that records what `sampler` does, and can be asked before there is a span if it draws lots."""
    description = sampler.get_description()
    if always := _ALWAYS.match(description):
        return Lot(float(always[2] == "On"), follows=always[1] is not None)
    found = _RATE.match(description)
    return sampler if found is None else Lot(float(found[1]))
