"""`max_staleness`: what becomes of hits when the relay cannot vouch for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.integration.service.api import Api, new_id

from entresol.clock import Clock
from entresol.embedded.polling import until
from entresol.service.call import CONSISTENCY_KEY, STALENESS_KEY
from entresol.testing.running import RunningPlatform


class ClockAhead(Clock):
    """A clock by which the relay has been silent for a minute."""

    def monotonic_s(self) -> float:
        return super().monotonic_s() + 60


@contextmanager
def silent(museum: RunningPlatform) -> Iterator[None]:
    """Make this process hear nothing of the relay, and believe it was a minute."""
    entries = museum.platform.records.entries
    assert entries is not None
    lag, clock = entries.lag, entries.lag.clock

    async def is_heard() -> bool:
        return lag.seconds < 10

    assert museum.run(until(is_heard, 5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(lag), "poll", _says_nothing)
        patch.setattr(lag, "clock", ClockAhead())
        yield
    assert lag.clock is clock


async def _says_nothing(_: object) -> None:
    """Stand for a relay that does not beat."""


def test_a_resource_that_refuses_stale_hits_reads_the_primary(museum: RunningPlatform, halls: Api) -> None:
    name = halls.call("CreateHall", hall={"title": "t"}, hall_id=new_id("h")).name
    halls.read_until_cached("GetHall", name=name)
    with silent(museum):
        halls.call("GetHall", name=name)
        assert halls.answered_by == "primary"
        assert STALENESS_KEY not in halls.trailing
        halls.call("GetHall", {CONSISTENCY_KEY: "eventual"}, name=name)
        assert halls.answered_by == "cache"
    halls.call("GetHall", name=name)
    assert halls.answered_by == "cache"


def test_a_resource_that_serves_stale_hits_says_how_old_they_may_be(
    museum: RunningPlatform, halls: Api
) -> None:
    hall = halls.call("CreateHall", hall={"title": "t"}, hall_id=new_id("h")).name
    exhibit = halls.call("CreateExhibit", parent=hall, exhibit={"title": "e"}, exhibit_id=new_id("e")).name
    halls.read_until_cached("GetExhibit", name=exhibit)
    assert STALENESS_KEY not in halls.trailing
    with silent(museum):
        halls.call("GetExhibit", name=exhibit)
        assert halls.answered_by == "cache"
        assert 50 < float(halls.trailing[STALENESS_KEY]) < 80
