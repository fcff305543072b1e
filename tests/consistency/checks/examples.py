"""Histories with known answers: operations by hand, and what random clients of one real register record."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

from hypothesis import strategies as st
from tests.consistency.checks.linearizability import REFUSED, Call, Model
from tests.consistency.checks.operation import Operation


def write(
    value: int, start_s: float, end_s: float, session: str = "writer", outcome: str = "ok"
) -> Operation:
    return Operation(session, "story", "write", "", value, start_s, end_s, outcome, "primary")


def delete(start_s: float, end_s: float, session: str = "writer", outcome: str = "ok") -> Operation:
    return Operation(session, "story", "delete", "", None, start_s, end_s, outcome, "primary")


def read(
    value: int | None, start_s: float, end_s: float, session: str = "reader", level: str = "SESSION"
) -> Operation:
    answered_by = "primary" if level == "STRONG" else "cache"
    return Operation(session, "story", "read", level, value, start_s, end_s, "ok", answered_by)


@st.composite
def register_calls(draw: st.DrawFn, count_max: int = 24) -> tuple[Call, ...]:
    """Draw calls of one register that took effect at 0, 10, 20, ..., each within a random span around that.

    Some never learned their outcome, and some of these never took effect.
    """
    state: Hashable = None
    calls = []
    for number in range(draw(st.integers(1, count_max))):
        moment = 10 * number
        start = moment - draw(st.integers(0, 45))
        end = None if draw(st.integers(0, 9)) == 0 else moment + draw(st.integers(0, 45))
        kind = draw(st.sampled_from(("read", "read", "write", "compare_and_set")))
        argument: Hashable = None
        result: Hashable = None
        after = state
        if kind == "read":
            result = state
        elif kind == "write":
            after = argument = draw(st.integers(0, 3))
        else:
            expected, new = argument = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
            result = state == expected
            after = new if result else state
        calls.append(Call("register", kind, argument, result, start, end))
        if end is not None or draw(st.booleans()):
            state = after
    return tuple(draw(st.permutations(calls)))


@st.composite
def changed_calls(draw: st.DrawFn) -> tuple[Call, ...]:
    """Draw up to six calls of a register, with results that may be wrong."""
    calls = draw(register_calls(count_max=6))
    return tuple(
        replace(call, result=draw(st.integers(0, 3)))
        if call.kind == "read" and draw(st.booleans())
        else replace(call, result=draw(st.booleans()))
        if call.kind == "compare_and_set"
        else call
        for call in calls
    )


def any_order_explains(calls: Sequence[Call], model: Model) -> bool:
    """Try every order of every choice of calls; those that ended must be among them."""
    ended = [call for call in calls if call.end is not None]
    for count in range(len(ended), len(calls) + 1):
        for order in permutations(calls, count):
            if all(call in order for call in ended) and _explains(order, model):
                return True
    return False


def _explains(order: Sequence[Call], model: Model) -> bool:
    state = model.initial
    for number, call in enumerate(order):
        if any(later.end is not None and later.end < call.start for later in order[number:]):
            return False
        state = model.step(state, call)
        if state is REFUSED:
            return False
    return True


class RightHistory(NamedTuple):
    """What clients of a record recorded, in any order, and the row that they left."""

    operations: tuple[Operation, ...]
    row: int | None


@st.composite
def right_histories(draw: st.DrawFn) -> RightHistory:
    """Draw operations on one record that took effect one after the other, while their clients' waits overlapped.

    With one writer its writes do not overlap. Writes whose outcome is unknown took effect, or not.
    """
    writers = draw(st.integers(1, 3))
    operations = []
    row: int | None = None
    for number in range(draw(st.integers(1, 24))):
        moment_s = float(10 * number)
        start_s, end_s = moment_s - draw(st.integers(0, 45)), moment_s + draw(st.integers(0, 45))
        kind = draw(st.sampled_from(("read", "read", "read", "write", "delete")))
        if kind == "read":
            level = draw(st.sampled_from(("STRONG", "SESSION", "BOUNDED")))
            operations.append(read(row, start_s, end_s, f"client{draw(st.integers(0, 2))}", level))
            continue
        if writers == 1:
            start_s, end_s = moment_s - 4, moment_s + 4
        session = f"client{draw(st.integers(0, writers - 1))}"
        outcome = draw(st.sampled_from(("ok", "ok", "ok", "unknown", "failed")))
        if outcome == "unknown":
            end_s = start_s  # its client gave up before it took effect
        operation = (
            write(number, start_s, end_s, session, outcome)
            if kind == "write"
            else delete(start_s, end_s, session, outcome)
        )
        operations.append(operation)
        if outcome == "ok" or (outcome == "unknown" and draw(st.booleans())):
            row = operation.value
    return RightHistory(tuple(draw(st.permutations(operations))), row)
