"""What a STRONG read is promised: the last commit, in one order that all STRONG reads and all writes agree on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.consistency.checks.linearizability import STATES_MAX, Call, Verdict, check
from tests.consistency.checks.models import register
from tests.consistency.checks.operation import Operation
from tests.consistency.checks.timeline import Timeline, timelines, with_floors
from tests.consistency.checks.violation import Violation, describe

STRONG = "STRONG"


@dataclass(frozen=True, slots=True)
class StrongReads:
    """What was found, and the keys with too many concurrent writes to search all their orders.

    Of an undecided key it is known that no read was older than an acknowledged write, and no more.
    """

    violations: Sequence[Violation]
    undecided: Sequence[str]


def strong(
    operations: Iterable[Operation], initial: Mapping[str, int] | None = None, *, states_max: int = STATES_MAX
) -> StrongReads:
    """Return the STRONG reads that showed something older than a write acknowledged before they began.

    A key without such a read, whose STRONG reads and writes are not linearizable all the same, is a violation, too.
    `initial` are the values of keys before the first operation; `states_max` bounds the search of each key.
    """
    violations: list[Violation] = []
    undecided: list[str] = []
    for timeline in timelines(operations):
        if found := list(_stale(timeline)):
            violations += found
            continue
        calls = list(_calls(timeline))
        model = register((initial or {}).get(timeline.key))
        outcome = check((call for call, _ in calls), model, states_max=states_max)
        if outcome.verdict is Verdict.UNDECIDED:
            undecided.append(timeline.key)
        elif outcome.stuck is not None:
            violations += [_disordered(operation) for call, operation in calls if call is outcome.stuck]
    return StrongReads(violations, undecided)


def _stale(timeline: Timeline) -> Iterator[Violation]:
    reads = (read for read in timeline.reads if read.level == STRONG)
    for read, floor in with_floors(reads, timeline.writes):
        if floor is not None and timeline.high(read.value, read.end_s) < floor.low:
            sentence = f"{timeline.key}: {describe(floor.operation)}, but then {describe(read)}"
            yield Violation("strong", sentence, (floor.operation, read))


def _disordered(operation: Operation) -> Violation:
    sentence = f"{operation.key}: no order of its writes and STRONG reads explains that {describe(operation)}"
    return Violation("strong", sentence, (operation,))


def _calls(timeline: Timeline) -> Iterator[tuple[Call, Operation]]:
    """Yield the STRONG reads and the writes, as calls of a register.

    A write in doubt that no STRONG read showed may never have happened. One that was shown had happened by then: a
    value is written once. A delete in doubt may happen at any time, so that its call never ends.
    """
    shown_s: dict[int | None, float] = {}
    for read in timeline.reads:
        if read.level == STRONG:
            shown_s[read.value] = min(read.end_s, shown_s.get(read.value, math.inf))
            yield Call(read.key, "read", None, read.value, read.start_s, read.end_s), read
    for write in timeline.writes:
        one = write.operation
        end_s: float | None = one.end_s
        if one.outcome != "ok":
            if one.value not in shown_s:
                continue
            end_s = None if one.value is None else max(one.start_s, shown_s[one.value])
        yield Call(one.key, "write", one.value, None, one.start_s, end_s), one
