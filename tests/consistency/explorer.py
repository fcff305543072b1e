"""Visits every state that bounds allow, breadth first, so that the first bad one comes with a shortest trace."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.consistency.clients import Step, fills, reads, writes
from tests.consistency.servers import faults, relays, replays
from tests.consistency.world import Bounds, Rules, State, complaint, start

BUSY = frozenset(("drawn", "locked", "durable", "shown", "begun", "read", "took"))


@dataclass(frozen=True)
class Outcome:
    """What was found. `complaint` is None when every reachable state is good; `trace` leads to the one that is not."""

    complaint: str | None
    states: int
    seconds: float
    trace: tuple[str, ...] = ()
    is_complete: bool = True


def steps(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield every step that may come next."""
    return itertools.chain(
        writes(state, rules, bounds),
        fills(state, rules, bounds),
        reads(state, rules, bounds),
        replays(state),
        relays(state, rules, bounds),
        faults(state, rules),
    )


def is_quiet(state: State, rules: Rules, bounds: Bounds) -> bool:
    """Tell whether nothing is under way and the relay has nothing left to do."""
    actors = (*state.writers, *state.fillers, *state.readers)
    if any(actor.phase in BUSY for actor in actors) or state.replayed < len(state.log):
        return False
    return next(relays(state, rules, bounds), None) is None


def explore(rules: Rules, bounds: Bounds, states_max: int = 20_000_000) -> Outcome:
    """Return the first bad state that breadth-first search meets, or that there is none."""
    began_s = time.monotonic()
    first = start(bounds)
    parents: dict[State, State | None] = {first: None}
    ahead = deque([first])
    while ahead:
        state = ahead.popleft()
        wrong = complaint(state, is_quiet(state, rules, bounds))
        if wrong is not None:
            trace = _trace(state, parents, rules, bounds)
            return Outcome(wrong, len(parents), time.monotonic() - began_s, trace)
        for _, following in steps(state, rules, bounds):
            if following not in parents:
                parents[following] = state
                ahead.append(following)
        if len(parents) > states_max:
            return Outcome(None, len(parents), time.monotonic() - began_s, is_complete=False)
    return Outcome(None, len(parents), time.monotonic() - began_s)


def _trace(state: State, parents: dict[State, State | None], rules: Rules, bounds: Bounds) -> tuple[str, ...]:
    """Return the labels on the way to `state`; they are found again instead of kept, for memory's sake."""
    labels: list[str] = []
    while (parent := parents[state]) is not None:
        labels.append(next(label for label, following in steps(parent, rules, bounds) if following == state))
        state = parent
    return tuple(reversed(labels))
