"""Tells whether a recorded history is linearizable, and never guesses: what is too much to search is undecided.

The search is that of J. M. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (1993), with the improvements
of G. Lowe, "Testing for Linearizability" (2017): calls are linearized just in time, when one of them must be because
it returns, and a configuration that was met before is not searched again; and of A. Horn and D. Kroening, "Faster
Linearizability Checking via P-Compositionality" (2015): each key is a history of its own.

A configuration is the number of returns passed, the set of open calls that have taken effect (a bit for each), and the
state. Two kinds of calls cost no search. One that never changes the state takes effect as soon as it may, since nothing
that is possible without it becomes impossible. And of open calls that do the same and whose outcome is unknown, only
the first is tried.
"""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

STATES_MAX = 5_000_000
REFUSED = object()


class Verdict(enum.Enum):
    """What is known of a history."""

    LINEARIZABLE = "linearizable"
    NOT_LINEARIZABLE = "not linearizable"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Call:
    """A call on one key, and what it returned between `start` and `end`, in any unit.

    Without an `end` its outcome is unknown: it may take effect at any time after its start, or never, and `result`
    means nothing. One call precedes another if it ended before the other started; equal times are concurrent.
    """

    key: str
    kind: str
    argument: Hashable
    result: Hashable
    start: float
    end: float | None


@dataclass(frozen=True, slots=True)
class Model:
    """A sequential object, whose states are hashable.

    `step` returns the state after a call, or `REFUSED` if the call cannot return what it did. `is_pure` tells whether a
    call with this result leaves every state as it is.
    """

    initial: Hashable
    step: Callable[[Hashable, Call], Hashable]
    is_pure: Callable[[Call], bool]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict; `states` is what the search remembered. `stuck` is the call whose return no order explains."""

    verdict: Verdict
    states: int
    stuck: Call | None = None


def check(calls: Iterable[Call], model: Model, *, states_max: int = STATES_MAX) -> Outcome:
    """Return the verdict over all keys.

    For each key at most `states_max` configurations are searched beyond one for each of its calls, which every history
    may need: so time and memory are bounded.
    """
    keys: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        keys[call.key].append(call)
    states, undecided = 0, False
    for history in keys.values():
        outcome = _check_key(history, model, states_max)
        states += outcome.states
        if outcome.verdict is Verdict.NOT_LINEARIZABLE:
            return Outcome(outcome.verdict, states, outcome.stuck)
        undecided = undecided or outcome.verdict is Verdict.UNDECIDED
    return Outcome(Verdict.UNDECIDED if undecided else Verdict.LINEARIZABLE, states)


class _Open(NamedTuple):
    """A call that has started, with its bit in the set of those that have taken effect."""

    bit: int
    call: Call
    is_pure: bool


class _Return(NamedTuple):
    """The end of a call, and all that were open until then: those that change nothing, and the others."""

    ending: _Open
    pure: tuple[_Open, ...]
    changing: tuple[_Open, ...]


class _Configuration(NamedTuple):
    returns: int
    effective: int
    state: Hashable


def _check_key(calls: Sequence[Call], model: Model, states_max: int) -> Outcome:
    returns = list(_returns(calls, model))
    unknown = sorted((call for call in calls if call.end is None), key=lambda call: call.start)
    bits = max((entry.ending.bit for entry in returns), default=1).bit_length()
    pending = [_Open(1 << (bits + number), call, False) for number, call in enumerate(unknown)]
    seen: set[_Configuration] = set()
    ahead = [_Configuration(0, 0, model.initial)]
    states = furthest = 0
    while ahead:
        configuration = _settled(ahead.pop(), returns, model)
        furthest = max(furthest, configuration.returns)
        if configuration.returns == len(returns):
            return Outcome(Verdict.LINEARIZABLE, states)
        if not ahead:
            seen.clear()  # all that was met before led nowhere else
        if configuration in seen:
            continue
        if states >= len(calls) + states_max:
            return Outcome(Verdict.UNDECIDED, states)
        seen.add(configuration)
        states += 1
        ahead.extend(_following(configuration, returns[configuration.returns], pending, model))
    return Outcome(Verdict.NOT_LINEARIZABLE, states, returns[furthest].ending.call)


def _returns(calls: Sequence[Call], model: Model) -> Iterator[_Return]:
    """Yield the ends of calls in order. A call's bit is used again when it has ended."""
    ended = [(call.end, call) for call in calls if call.end is not None]
    by_start = iter(sorted((call for _, call in ended), key=lambda call: call.start))
    following = next(by_start, None)
    free: list[int] = []
    open_calls: dict[int, _Open] = {}
    for end, call in sorted(ended, key=lambda pair: pair[0]):
        while following is not None and following.start <= end:
            bit = free.pop() if free else 1 << len(open_calls)
            open_calls[id(following)] = _Open(bit, following, model.is_pure(following))
            following = next(by_start, None)
        ordered = tuple(open_calls.values())
        ending = open_calls.pop(id(call))
        free.append(ending.bit)
        pure = tuple(entry for entry in ordered if entry.is_pure)
        yield _Return(ending, pure, tuple(entry for entry in ordered if not entry.is_pure))


def _settled(configuration: _Configuration, returns: Sequence[_Return], model: Model) -> _Configuration:
    """Return what follows without a choice: pure calls take effect, and calls that have return."""
    passed, effective, state = configuration
    while passed < len(returns):
        (bit, _, _), pure, _ = returns[passed]
        for open_bit, call, _ in pure:
            if not effective & open_bit and model.step(state, call) is not REFUSED:
                effective |= open_bit
        if not effective & bit:
            break
        effective &= ~bit
        passed += 1
    return _Configuration(passed, effective, state)


def _following(
    configuration: _Configuration, following: _Return, unknown: Sequence[_Open], model: Model
) -> Iterator[_Configuration]:
    """Yield what follows if one more call takes effect; last, so that it is searched first, the one that returns."""
    passed, effective, state = configuration
    ending, _, changing = following
    tried: set[tuple[str, Hashable]] = set()
    for bit, call, _ in unknown:
        if ending.call.end is not None and call.start > ending.call.end:
            break
        if effective & bit or (call.kind, call.argument) in tried:
            continue
        tried.add((call.kind, call.argument))
        after = model.step(state, call)
        if after is not REFUSED and after != state:
            yield _Configuration(passed, effective | bit, after)
    others = [entry for entry in reversed(changing) if entry is not ending]
    for bit, call, _ in (*others, ending):
        if not effective & bit:
            after = model.step(state, call)
            if after is not REFUSED:
                yield _Configuration(passed, effective | bit, after)
