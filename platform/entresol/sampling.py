"""Which traces are recorded: as `OTEL_TRACES_SAMPLER` says, and by a lot that is drawn before there is a span."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

# How the library's own sampler tells of itself; what it is made of, it keeps to itself.
_RATE = re.compile(r"ParentBased\{root:TraceIdRatioBased\{([0-9.e-]+)\}")


class Lot(Sampler):
    """Records a share of the traces that begin here, and of the others what their beginners record.

    A call that needs no span unless it is recorded asks `draw` first: begin one right after it said so.
    """

    def __init__(self, rate: float, chance: Callable[[], float] = random.random) -> None:
        self._rate = rate
        self._chance = chance
        self._drawn = False
        self._otherwise = ParentBased(TraceIdRatioBased(rate))

    def draw(self) -> bool:
        """Tell whether the trace that begins now is recorded."""
        self._drawn = self._chance() < self._rate
        return self._drawn

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
        if self._drawn and not get_current_span(parent_context).get_span_context().is_valid:
            self._drawn = False
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)
        return self._otherwise.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Describe it."""
        return f"Lot{{{self._rate}}}"


def drawing(sampler: Sampler) -> Sampler:
    """Return a sampler that records what `sampler` does, and can be asked before there is a span if it draws lots."""
    found = _RATE.match(sampler.get_description())
    return sampler if found is None else Lot(float(found[1]))
