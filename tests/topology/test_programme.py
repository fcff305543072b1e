"""What `make topology-test` plays, and that it tells of what is lost."""

from __future__ import annotations

import pytest
from tests.haproxy import haproxy_or_skip
from tests.topology.__main__ import run, table
from tests.topology.events import Findings
from tests.topology.load import KEYED, PLAIN, READ, Made


@pytest.mark.timeout(120)
async def test_callers_lose_nothing_that_can_be_sent_again_when_a_server_is_killed_or_replicas_lag() -> None:
    haproxy_or_skip()
    lines = await run(["kill", "lag"], rounds=1, seed=1, seconds=110)
    assert all(line["held"] for line in lines), lines
    assert all(line["calls"] > 100 for line in lines)
    assert table(lines).splitlines()[1].split()[:2] == ["kill", "yes"]


def call(kind: str, code: str = "") -> Made:
    return Made(kind, 0, 1, code)


def test_a_call_that_was_lost_misses_the_bar_unless_it_may_be() -> None:
    found = Findings()
    found.losses([call(READ), call(PLAIN, "UNAVAILABLE"), call(KEYED)], {PLAIN: 1})
    assert not found.missed
    found.losses([call(READ, "UNAVAILABLE"), call(PLAIN, "UNAVAILABLE")], {})
    assert found.missed == ["lost: read: 1, not at most 0", "lost: other write: 1, not at most 0"]


def test_a_write_that_was_done_twice_is_told_as_such() -> None:
    found = Findings()
    found.losses([call(PLAIN, "ALREADY_EXISTS")], {PLAIN: 1})
    assert found.missed == ["lost otherwise than as UNAVAILABLE: 1, not at most 0"]
