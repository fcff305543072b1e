"""Limits: a worker asks for no more than it could have if no other worker had any."""

from __future__ import annotations

from collections import Counter

from entresol.jobs.limits import LOOK_S_MIN, look_s, open_lanes, rooms
from entresol.schema.model import JobLimit
from entresol.storage.jobs import LaneState
from entresol.storage.new_jobs import Lane

LIMITS = {"few": JobLimit(3), "slow": JobLimit(rate=2.0, burst=4), "both": JobLimit(2, 10.0, 5)}


def lane(id_: int, kind: str) -> LaneState:
    return LaneState(id_, Lane("tasks", kind), True, 0)


def test_a_kind_is_closed_when_this_worker_runs_as_many_as_may() -> None:
    lanes = [lane(1, "few"), lane(2, "few"), lane(3, "slow"), lane(4, "free")]
    assert open_lanes(lanes, LIMITS, {"few": 2, "slow": 100, "free": 100}) == lanes
    assert open_lanes(lanes, LIMITS, {"few": 3}) == lanes[2:]


def test_what_is_asked_for_is_what_may_run_beside_what_runs() -> None:
    wanted = [(lane(1, "few"), 5), (lane(2, "few"), 5), (lane(3, "free"), 5)]
    assert rooms(wanted, LIMITS, Counter({"few": 1, "free": 50})) == {"few": 2}
    assert rooms([(lane(1, "few"), 1)], LIMITS, Counter()) == {"few": 1}


def test_what_is_asked_for_is_what_may_begin_at_once() -> None:
    wanted = [(lane(1, "slow"), 9), (lane(2, "both"), 9)]
    assert rooms(wanted, LIMITS, Counter({"slow": 50})) == {"slow": 4, "both": 2}


def test_a_worker_looks_before_what_may_begin_at_once_has_gathered() -> None:
    assert look_s([], 0.25) == 0.25
    assert look_s([JobLimit(3), JobLimit(rate=10.0, burst=1), JobLimit(rate=1.0, burst=1)], 0.25) == 0.1
    assert look_s([JobLimit(rate=1000.0, burst=1)], 0.25) == LOOK_S_MIN
    assert look_s([JobLimit(rate=1.0, burst=9)], 0.25) == 0.25
