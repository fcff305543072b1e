"""How old a hit was: the time from the acknowledgement of the first newer write to the start of the read."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from tests.consistency.checks.operation import Operation
from tests.consistency.checks.timeline import Timeline, timelines
from tests.consistency.checks.violation import Violation, describe

CACHE, NEAR = "cache", "near"


class Hit(NamedTuple):
    """A read that a cache answered; `newer` is the first newer write that was acknowledged before it began."""

    age_s: float
    read: Operation
    newer: Operation | None


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of the hits of one level, zero for what was not older than any acknowledged write."""

    hits: int
    stale: int
    p99_s: float
    worst: Hit


def ages(operations: Iterable[Operation]) -> dict[str, Ages]:
    """Return the ages of hits by level; a level without hits is not there."""
    levels: defaultdict[str, list[Hit]] = defaultdict(list)
    for hit in hits(operations):
        levels[hit.read.level].append(hit)
    return {level: _summary(hits) for level, hits in sorted(levels.items())}


def bounded_staleness(operations: Iterable[Operation], bounds_s: Mapping[str, float]) -> list[Violation]:
    """Return the hits that were older than the bound of their level, in seconds; the other levels have none."""
    violations = []
    for hit in hits(operations):
        bound_s = bounds_s.get(hit.read.level, math.inf)
        if hit.newer is not None and hit.age_s > bound_s:
            sentence = (
                f"{hit.read.key}: {describe(hit.newer)}, but {hit.age_s:.6f} s later, at {hit.read.level} which allows "
                f"{bound_s} s, {describe(hit.read)}"
            )
            violations.append(Violation("bounded staleness", sentence, (hit.newer, hit.read)))
    return violations


def hits(operations: Iterable[Operation], sources: Collection[str] = (CACHE, NEAR)) -> Iterator[Hit]:
    """Yield the reads that were answered by one of the `sources`, with their ages."""
    for timeline in timelines(operations):
        yield from _hits(timeline, sources)


def _hits(timeline: Timeline, sources: Collection[str]) -> Iterator[Hit]:
    acknowledged = sorted(
        (write for write in timeline.writes if write.operation.outcome == "ok"), key=lambda write: write.low
    )
    lows = [write.low for write in acknowledged]
    # firsts[n] is the first of acknowledged[n:] that was acknowledged
    firsts = list(accumulate((write.operation for write in reversed(acknowledged)), _sooner))[::-1]
    for read in timeline.reads:
        if read.answered_by in sources:
            above = bisect_right(lows, timeline.high(read.value, read.end_s))
            newer = firsts[above] if above < len(firsts) else None
            if newer is None or newer.end_s >= read.start_s:
                yield Hit(0.0, read, None)
            else:
                yield Hit(read.start_s - newer.end_s, read, newer)


def _sooner(one: Operation, other: Operation) -> Operation:
    return min(one, other, key=lambda operation: operation.end_s)


def _summary(hits: list[Hit]) -> Ages:
    hits.sort(key=lambda hit: hit.age_s)
    stale = sum(hit.newer is not None for hit in hits)
    return Ages(len(hits), stale, hits[math.ceil(0.99 * len(hits)) - 1].age_s, hits[-1])
