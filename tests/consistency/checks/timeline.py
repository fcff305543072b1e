"""The order of the writes of one key, as far as a recorded history proves it.

A write stands somewhere between `low` and `high`: it is older than another when its high is below the other's low.
Low is the start of the write, and high the first moment at which it is known to have happened: its acknowledgement, or
the end of a read that saw it. So one in doubt may stand behind what its own session wrote later. What nobody wrote is
older than every write.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from tests.consistency.checks.operation import Operation


class Write(NamedTuple):
    """A write or a delete that took effect or may have, and where it stands."""

    operation: Operation
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Deletes:
    """The deletes of a key in order of their start; a read of nothing may be from any that started before it ended."""

    starts: Sequence[float]
    lows: Sequence[float]
    highs: Sequence[float]  # the highest so far


@dataclass(frozen=True, slots=True)
class Timeline:
    """What happened to one key, as far as it changed or showed something: `writes` and `reads` in order of start."""

    key: str
    writes: Sequence[Write]
    reads: Sequence[Operation]
    values: Mapping[int, Write]
    deletes: Deletes

    def high(self, value: int | None, by_s: float) -> float:
        """Return the highest place that what was seen at `by_s` may have."""
        if value is not None:
            return self.values[value].high if value in self.values else -math.inf
        started = bisect_right(self.deletes.starts, by_s)
        return self.deletes.highs[started - 1] if started else -math.inf

    def low(self, value: int | None, by_s: float, floor: float) -> float:
        """Return the lowest place that what was seen at `by_s` may have if it is not older than `floor`."""
        if value is not None:
            return self.values[value].low if value in self.values else -math.inf
        first = bisect_left(self.deletes.highs, floor)
        is_started = first < len(self.deletes.starts) and self.deletes.starts[first] <= by_s
        return self.deletes.lows[first] if is_started and floor > -math.inf else floor


def timelines(operations: Iterable[Operation]) -> Iterator[Timeline]:
    """Yield the timeline of each key. What failed is left out, and so are reads without an answer."""
    writes: defaultdict[str, list[Operation]] = defaultdict(list)
    reads: defaultdict[str, list[Operation]] = defaultdict(list)
    for operation in sorted(operations, key=lambda operation: operation.start_s):
        if operation.kind != "read" and operation.outcome != "failed":
            writes[operation.key].append(operation)
        elif operation.kind == "read" and operation.outcome == "ok":
            reads[operation.key].append(operation)
    for key in dict.fromkeys((*writes, *reads)):
        yield _timeline(key, writes[key], reads[key])


def _timeline(key: str, operations: Sequence[Operation], reads: Sequence[Operation]) -> Timeline:
    writes = _placed(operations, reads)
    deleting = [write for write in writes if write.operation.kind == "delete"]
    deletes = Deletes(
        starts=[write.operation.start_s for write in deleting],
        lows=[write.low for write in deleting],
        highs=list(accumulate((write.high for write in deleting), max)),
    )
    values = {write.operation.value: write for write in writes if write.operation.value is not None}
    return Timeline(key, writes, reads, values, deletes)


def _placed(operations: Sequence[Operation], reads: Sequence[Operation]) -> list[Write]:
    seen: dict[int | None, float] = {}
    for read in reads:
        seen[read.value] = min(read.end_s, seen.get(read.value, math.inf))
    return [
        Write(
            operation,
            operation.start_s,
            min(
                operation.end_s if operation.outcome == "ok" else math.inf,
                math.inf if operation.value is None else seen.get(operation.value, math.inf),
            ),
        )
        for operation in operations
    ]


def with_floors(
    reads: Iterable[Operation], writes: Iterable[Write]
) -> Iterator[tuple[Operation, Write | None]]:
    """Pair each read, in order of start, with the newest of the writes that were acknowledged before it began."""
    acknowledged = sorted(
        (write for write in writes if write.operation.outcome == "ok"),
        key=lambda write: write.operation.end_s,
    )
    passed, floor = 0, None
    for read in reads:
        while passed < len(acknowledged) and acknowledged[passed].operation.end_s < read.start_s:
            if floor is None or acknowledged[passed].low > floor.low:
                floor = acknowledged[passed]
            passed += 1
        yield read, floor
