"""When a busy entry is read again before it ends."""

from __future__ import annotations

import pytest

from entresol.cache import Entry, Rank
from entresol.cache.early import COST_MS_MIN, is_due

NOW_MS = 1_000_000


def _entry(left_ms: int, cost_ms: int) -> Entry:
    return Entry(1, Rank.VALUE, 0, 0, b"", 0, NOW_MS + left_ms, cost_ms)


def test_an_entry_far_from_its_end_is_never_due() -> None:
    assert not is_due(_entry(60_000, 50), NOW_MS, lambda: 0.999999999)


def test_an_entry_past_its_end_is_always_due() -> None:
    assert is_due(_entry(-1, 50), NOW_MS, lambda: 0.0)


@pytest.mark.parametrize(("left_ms", "share"), [(0, 1.0), (100, 0.368), (200, 0.135), (300, 0.05)])
def test_the_share_of_readers_that_are_early_falls_by_e_with_every_cost(left_ms: int, share: float) -> None:
    draws = 10_000
    early = sum(is_due(_entry(left_ms, 100), NOW_MS, lambda at=draw / draws: at) for draw in range(draws))
    assert early / draws == pytest.approx(share, abs=0.01)


def test_what_a_put_brought_is_reckoned_at_the_smallest_cost() -> None:
    assert is_due(_entry(COST_MS_MIN, 0), NOW_MS, lambda: 0.7)
    assert not is_due(_entry(COST_MS_MIN, 0), NOW_MS, lambda: 0.6)
