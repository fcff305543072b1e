"""What a session is promised: its own writes, and never again something older than it was shown."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tests.consistency.checks.operation import Operation
from tests.consistency.checks.timeline import Timeline, Write, timelines, with_floors
from tests.consistency.checks.violation import Violation, describe

SESSION = "SESSION"


def read_your_writes(operations: Iterable[Operation]) -> list[Violation]:
    """Return the SESSION reads that showed something older than their session's own acknowledged write."""
    violations = []
    for timeline in timelines(operations):
        writes: defaultdict[str, list[Write]] = defaultdict(list)
        for write in timeline.writes:
            writes[write.operation.session].append(write)
        for session, reads in _by_session(timeline).items():
            for read, own in with_floors(reads, writes[session]):
                if own is not None and timeline.high(read.value, read.end_s) < own.low:
                    sentence = f"{timeline.key}: {describe(own.operation)}, but then {describe(read)}"
                    violations.append(Violation("read your writes", sentence, (own.operation, read)))
    return violations


def monotonic_reads(operations: Iterable[Operation]) -> list[Violation]:
    """Return the SESSION reads that showed something older than an earlier SESSION read of their session did.

    That is what stands lower in the order of writes, and a value that was seen to be replaced.
    """
    return [
        violation
        for timeline in timelines(operations)
        for reads in _by_session(timeline).values()
        for violation in _backwards(timeline, reads)
    ]


def _by_session(timeline: Timeline) -> dict[str, list[Operation]]:
    sessions: defaultdict[str, list[Operation]] = defaultdict(list)
    for read in timeline.reads:
        if read.level == SESSION:
            sessions[read.session].append(read)
    return sessions


def _backwards(timeline: Timeline, reads: Sequence[Operation]) -> Iterator[Violation]:
    floor, newest = -math.inf, None
    last: Operation | None = None
    replaced: dict[int | None, Operation] = {}
    open_reads: list[tuple[float, int, Operation]] = []
    for number, read in enumerate(reads):
        while open_reads and open_reads[0][0] < read.start_s:
            ended = heapq.heappop(open_reads)[2]
            low = timeline.low(ended.value, ended.end_s, floor)
            if low > floor:
                floor, newest = low, ended
            if last is not None and last.value != ended.value and last.end_s < ended.start_s:
                replaced[last.value] = ended
            last = ended
        replacing = replaced.get(read.value) if read.value is not None else None
        earlier = newest if timeline.high(read.value, read.end_s) < floor else replacing
        if earlier is not None:
            sentence = f"{timeline.key}: {describe(earlier)}, but then {describe(read)}"
            yield Violation("monotonic reads", sentence, (earlier, read))
        heapq.heappush(open_reads, (read.end_s, number, read))
