"""What a STRONG read is promised: the last commit, in one order that all STRONG reads and all writes agree on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tests.chaos.operation import Operation
from tests.consistency.checks.linearizability import STATES_MAX, Call, Verdict, check
from tests.consistency.checks.models import register
from tests.consistency.checks.timeline import Timeline, timelines, with_floors
from tests.consistency.checks.violation import Violation, describe

STRONG = "STRONG"


class UndecidedError(Exception):
    """The history of a key has too many orders to search: record fewer concurrent writes of one key."""


def strong(
    operations: Iterable[Operation], initial: Mapping[str, int] | None = None, *, states_max: int = STATES_MAX
) -> list[Violation]:
    """Return the STRONG reads that showed something older than a write acknowledged before they began.

    A key without such a read, whose STRONG reads and writes are not linearizable all the same, is a violation, too.
    `initial` are the values of keys before the first operation.

    Raises:
        UndecidedError: a key's history was not decided within `states_max` configurations.
    """
    violations: list[Violation] = []
    for timeline in timelines(operations):
        found = list(_stale(timeline))
        violations += found or _disordered(timeline, (initial or {}).get(timeline.key), states_max)
    return violations


def _stale(timeline: Timeline) -> Iterator[Violation]:
    reads = (read for read in timeline.reads if read.level == STRONG)
    for read, floor in with_floors(reads, timeline.writes):
        if floor is not None and timeline.high(read.value, read.end_s) < floor.low:
            sentence = f"{timeline.key}: {describe(floor.operation)}, but then {describe(read)}"
            yield Violation("strong", sentence, (floor.operation, read))


def _disordered(timeline: Timeline, initial: int | None, states_max: int) -> Iterator[Violation]:
    calls = [(_call(operation), operation) for operation in _searched(timeline)]
    outcome = check((call for call, _ in calls), register(initial), states_max=states_max)
    if outcome.verdict is Verdict.UNDECIDED:
        raise UndecidedError(f"{timeline.key}: not decided within {states_max:,} configurations")
    if outcome.stuck is not None:
        operation = next(operation for call, operation in calls if call is outcome.stuck)
        sentence = (
            f"{timeline.key}: no order of its writes and STRONG reads explains that {describe(operation)}"
        )
        yield Violation("strong", sentence, (operation,))


def _searched(timeline: Timeline) -> Iterator[Operation]:
    """Yield STRONG reads and writes; a write that is not acknowledged and that nobody saw may never have happened."""
    seen = set()
    for read in timeline.reads:
        if read.level == STRONG:
            seen.add(read.value)
            yield read
    for write in timeline.writes:
        if write.operation.outcome == "ok" or write.operation.value in seen:
            yield write.operation


def _call(operation: Operation) -> Call:
    end = operation.end_s if operation.outcome == "ok" else None
    if operation.kind == "read":
        return Call(operation.key, "read", None, operation.value, operation.start_s, end)
    return Call(operation.key, "write", operation.value, None, operation.start_s, end)
