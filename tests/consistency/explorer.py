"""Visits every state that bounds allow, breadth first, so that the first bad one comes with a shortest trace."""

from __future__ import annotations

import gc
import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from tests.consistency.clients import Step, fills, reads, writes
from tests.consistency.fences import expiries
from tests.consistency.lists import listings, views
from tests.consistency.near import keeps
from tests.consistency.promises import canonical, complaint
from tests.consistency.rules import Bounds, Rules
from tests.consistency.servers import faults, relays, replays
from tests.consistency.world import State, start

BUSY = frozenset(("drawn", "locked", "fenced", "durable", "shown", "begun", "read", "took", "known"))


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
        listings(state, rules, bounds),
        views(state, rules, bounds),
        keeps(state, rules),
        expiries(state, rules, bounds),
        replays(state),
        relays(state, rules, bounds),
        faults(state, rules, bounds),
    )


def is_quiet(state: State, rules: Rules, bounds: Bounds) -> bool:
    """Tell whether nothing is under way and the relay has nothing left to do."""
    actors = (*state.writers, *state.fillers, *state.readers, *state.listers, *state.viewers)
    if any(actor.phase in BUSY for actor in actors) or state.replayed < len(state.log):
        return False
    near = state.near
    if near is not None and (near.fetch or near.old is not None or not near.follows or state.redis.stream):
        return False
    return next(relays(state, rules, bounds), None) is None


def explore(rules: Rules, bounds: Bounds, states_max: int = 40_000_000) -> Outcome:
    """Return the first bad state that breadth-first search meets, or that there is none.

    Of a visited state only its fingerprint is kept, 64 bits of hash, and that of its parent: memory holds ten times the
    states, and two of ten million are taken for one with a probability of one in a million.
    """
    began_s = time.monotonic()
    first = canonical(start(bounds), rules, bounds)
    parents = {hash(first): 0}
    ahead = deque([first])
    gc.disable()  # nothing here is a cycle, and looking for some takes a third of the time
    try:
        while ahead:
            state = ahead.popleft()
            wrong = complaint(state, rules, bounds, is_quiet=is_quiet(state, rules, bounds))
            if wrong is not None:
                trace = _trace(first, hash(state), parents, rules, bounds)
                return Outcome(wrong, len(parents), time.monotonic() - began_s, trace)
            mark = hash(state)
            for _, after in steps(state, rules, bounds):
                following = canonical(after, rules, bounds)
                fingerprint = hash(following)
                if fingerprint not in parents:
                    parents[fingerprint] = mark
                    ahead.append(following)
            if len(parents) > states_max:
                return Outcome(None, len(parents), time.monotonic() - began_s, is_complete=False)
    finally:
        gc.enable()
    return Outcome(None, len(parents), time.monotonic() - began_s)


def _trace(first: State, last: int, parents: dict[int, int], rules: Rules, bounds: Bounds) -> tuple[str, ...]:
    """Return the labels on the way to the state of fingerprint `last`, found again by walking it."""
    way = [last]
    while parent := parents[way[-1]]:
        way.append(parent)
    labels: list[str] = []
    state = first
    for fingerprint in reversed(way[:-1]):
        found = ((label, canonical(after, rules, bounds)) for label, after in steps(state, rules, bounds))
        label, state = next((label, after) for label, after in found if hash(after) == fingerprint)
        labels.append(label)
    return tuple(labels)
