"""What must be true when everything has come to rest: no acknowledged write is lost, and every read shows its row."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from tests.consistency.checks.operation import Operation
from tests.consistency.checks.timeline import timelines
from tests.consistency.checks.violation import Violation, describe


def lost_writes(operations: Iterable[Operation], final: Mapping[str, int | None]) -> list[Violation]:
    """Return the keys whose `final` row, None if there is none, is older than an acknowledged write of theirs."""
    violations = []
    for timeline in timelines(operations):
        acknowledged = [write for write in timeline.writes if write.operation.outcome == "ok"]
        newest = max(acknowledged, key=lambda write: write.low, default=None)
        value = final[timeline.key]
        if newest is not None and timeline.high(value, math.inf) < newest.low:
            row = "there is no row" if value is None else f"the row has {value}"
            sentence = f"{timeline.key}: {describe(newest.operation)}, but in the end {row}"
            violations.append(Violation("lost writes", sentence, (newest.operation,)))
    return violations


def stale_for_good(reads: Iterable[Operation], rows: Mapping[str, int | None]) -> list[Violation]:
    """Return those of the `reads`, all made at rest, that showed something else than their row."""
    violations = []
    for read in reads:
        if read.outcome == "ok" and read.value != rows[read.key]:
            row = "there is no row" if rows[read.key] is None else f"the row has {rows[read.key]}"
            sentence = f"{read.key}: at rest {describe(read)}, but {row}"
            violations.append(Violation("stale for good", sentence, (read,)))
    return violations
