"""`max_staleness`: what becomes of hits when the relay cannot vouch for them."""

from __future__ import annotations

from tests.integration.service.api import Api, new_id
from tests.integration.service.silence import silent

from entresol.service.call import CONSISTENCY_KEY, STALENESS_KEY
from entresol.testing.running import RunningPlatform


def test_a_resource_that_refuses_stale_hits_reads_the_primary(museum: RunningPlatform, halls: Api) -> None:
    name = halls.call("CreateHall", hall={"title": "t"}, hall_id=new_id("h")).name
    halls.read_until_cached("GetHall", name=name)
    with silent(museum):
        halls.call("GetHall", name=name)
        assert halls.answered_by == "primary"
        assert STALENESS_KEY not in halls.trailing
        halls.call("ListHalls", page_size=1)
        assert halls.answered_by == "primary"
        halls.call("GetHall", {CONSISTENCY_KEY: "eventual"}, name=name)
        assert halls.answered_by == "cache"
    # The session has been shown what the primary had: the relay must have passed that.
    halls.read_until_cached("GetHall", name=name)


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
