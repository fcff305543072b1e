"""What a worker may ask for of kinds with limits: never more than it could have if no other worker had any."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from entresol.schema.model import JobLimit
from entresol.storage.jobs import LaneState, Share

LOOK_S_MIN = 0.02

Limits = Mapping[str, JobLimit]  # by kind


def open_lanes(lanes: Iterable[LaneState], limits: Limits, running: Mapping[str, int]) -> list[LaneState]:
    """Return the lanes without those whose kind this worker alone runs as many of as may run, by kind."""
    full = {
        kind
        for kind, limit in limits.items()
        if limit.concurrency and running.get(kind, 0) >= limit.concurrency
    }
    return [lane for lane in lanes if lane.lane.kind not in full]


def rooms(wanted: Sequence[Share], limits: Limits, running: Mapping[str, int]) -> dict[str, int]:
    """Return how many jobs of each kind to ask for where there are limits, of what is wanted."""
    asked: dict[str, int] = {}
    for lane, share in wanted:
        kind = lane.lane.kind
        if kind in limits:
            asked[kind] = asked.get(kind, 0) + share
    return {kind: _most(limits[kind], number, running.get(kind, 0)) for kind, number in asked.items()}


def look_s(limits: Iterable[JobLimit], longest_s: float) -> float:
    """Return how often to look so that no rate is left unused: before what it allows at once has gathered."""
    return min([longest_s, *(max(limit.burst / limit.rate, LOOK_S_MIN) for limit in limits if limit.rate)])


def _most(limit: JobLimit, asked: int, running: int) -> int:
    most = min(asked, limit.concurrency - running) if limit.concurrency else asked
    return min(most, limit.burst) if limit.rate else most
