"""Whose jobs are next: higher priorities first, and within one the lanes share alike, whoever has more in wait."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from entresol.storage.jobs import LaneState


def shares(lanes: Sequence[LaneState], room: int, turn: int) -> list[tuple[LaneState, int]]:
    """Return how many jobs to claim of each lane that has some, at most `room` altogether.

    Where not every lane can have as many, those have one more that `turn` has come to, which grows with each claim.
    """
    wanted: list[tuple[LaneState, int]] = []
    ready = sorted((lane for lane in lanes if lane.has_jobs), key=lambda lane: (-lane.lane.priority, lane.id))
    for _, equals in groupby(ready, key=lambda lane: lane.lane.priority):
        together = list(equals)
        start = turn % len(together)
        each, more = divmod(room, len(together))
        for place, lane in enumerate(together[start:] + together[:start]):
            share = each + (place < more)
            if share:
                wanted.append((lane, share))
        # What these leave, because they have fewer jobs than their share, the next claim gives to others.
        room -= sum(share for lane, share in wanted if lane.lane.priority == together[0].lane.priority)
        if room <= 0:
            break
    return wanted


def within(
    wanted: Sequence[tuple[LaneState, int]], kinds: Collection[str], room: int
) -> list[tuple[LaneState, int]]:
    """Return what is wanted, and of these kinds no more than there is room for."""
    fitting = []
    for lane, share in wanted:
        if lane.lane.kind in kinds:
            share = min(share, room)
            room -= share
        if share:
            fitting.append((lane, share))
    return fitting
