"""Shares: priorities first, equals alike, and whoever has least to do is not kept waiting by who has most."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from entresol.jobs.shares import shares, within
from entresol.storage.jobs import LaneState
from entresol.storage.new_jobs import Lane


def lane(id_: int, *, priority: int = 0, has_jobs: bool = True) -> LaneState:
    return LaneState(id_, Lane("tasks", "kind", f"tenant{id_}", priority), has_jobs, 0)


def of_kind(id_: int, kind: str) -> LaneState:
    return LaneState(id_, Lane("tasks", kind), True, 0)


def given_to(wanted: list[tuple[LaneState, int]]) -> dict[int, int]:
    return {state.id: share for state, share in wanted}


def test_equals_share_alike() -> None:
    assert given_to(shares([lane(1), lane(2)], 10, 0)) == {1: 5, 2: 5}


def test_a_higher_priority_has_all_the_room_there_is() -> None:
    assert given_to(shares([lane(1), lane(2, priority=3), lane(3, priority=-1)], 10, 0)) == {2: 10}


def test_lanes_without_jobs_get_nothing() -> None:
    assert shares([lane(1, has_jobs=False)], 10, 0) == []
    assert shares([], 10, 0) == []


def test_with_less_room_than_lanes_each_has_its_turn() -> None:
    lanes = [lane(id_) for id_ in range(5)]
    had = Counter(state.id for turn in range(10) for state, _ in shares(lanes, 1, turn))
    assert had == dict.fromkeys(range(5), 2)


@given(
    st.lists(st.tuples(st.integers(-2, 2), st.booleans()), max_size=12),
    st.integers(1, 50),
    st.integers(0, 1000),
)
def test_the_room_is_used_up_and_never_more(drawn: list[tuple[int, bool]], room: int, turn: int) -> None:
    lanes = [lane(id_, priority=priority, has_jobs=has) for id_, (priority, has) in enumerate(drawn)]
    wanted = shares(lanes, room, turn)
    ready = [state for state in lanes if state.has_jobs]
    assert sum(share for _, share in wanted) == (room if ready else 0)
    assert all(share > 0 and state.has_jobs for state, share in wanted)
    assert {state.lane.priority for state, _ in wanted} <= {max((s.lane.priority for s in ready), default=0)}
    if wanted:
        counts = [share for _, share in wanted]
        assert max(counts) - min(counts) <= 1


def test_of_some_kinds_there_is_no_more_than_room_for_them_and_others_keep_theirs() -> None:
    wanted = [(of_kind(1, "isolated"), 3), (of_kind(2, "kind"), 5), (of_kind(3, "isolated"), 3)]
    assert given_to(within(wanted, {"isolated"}, 4)) == {1: 3, 2: 5, 3: 1}
    assert given_to(within(wanted, {"isolated"}, 3)) == {1: 3, 2: 5}
    assert given_to(within(wanted, {"isolated"}, 6)) == {1: 3, 2: 5, 3: 3}
