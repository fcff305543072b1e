"""SESSION, and any call with a token: reads are never older than what the session has seen, wherever it saw it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from tests.integration.service.api import TOKENS, Api, new_id, newer_token

from entresol.cache import Key, Rank
from entresol.errors import Code
from entresol.records import Demand
from entresol.schema.model import Consistency
from entresol.service.call import CONSISTENCY_KEY
from entresol.testing.running import RunningPlatform
from entresol.transport.caller import Caller

SESSION = {CONSISTENCY_KEY: "session"}
Lag = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def reader(stories: RunningPlatform, stories_caller: Caller) -> Api:
    """Give a caller beside `api`, who has seen nothing."""
    return Api(stories_caller, stories.platform.model)


@pytest.fixture
def story(api: Api, ann: str) -> Any:
    return api.call("CreateStory", story={"title": "Old", "author": ann, "url": f"https://x.test/{new_id()}"})


@pytest.fixture
def user(api: Api) -> Any:
    return api.call("CreateUser", user={"display_name": new_id(), "about": "Old"})


def abouts(api: Api, user: Any) -> list[str]:
    """Return what a List shows of the user; lists of users are not cached, so a server answers that is new enough."""
    return [
        item.about for item in api.call("ListUsers", filter=f'display_name = "{user.display_name}"').users
    ]


def titles(api: Api, story: Any) -> list[str]:
    """Return what a List shows of the story."""
    return [item.title for item in api.call("ListStories", filter=f'url = "{story.url}"').stories]


def test_only_a_read_that_asks_for_it_begins_a_session(story: Any, reader: Api) -> None:
    reader.call("GetStory", name=story.name)
    assert reader.session == ""
    reader.call("GetStory", SESSION, name=story.name)
    assert TOKENS.decode(reader.session).lsn


def test_what_was_read_in_the_cache_is_not_forgotten_by_a_lagging_replica(
    api: Api, user: Any, reader: Api, lagging: Lag, stories_caller: Caller
) -> None:
    stranger = Api(stories_caller, api.model)
    with lagging():
        api.call("UpdateUser", user={"name": user.name, "about": "New"}, update_mask="about")
        assert reader.call("GetUser", SESSION, name=user.name).about == "New"
        assert abouts(reader, user) == ["New"]
        assert abouts(stranger, user) == ["Old"]  # so the replicas were really behind


def test_what_was_listed_is_not_forgotten_either(
    api: Api, user: Any, reader: Api, lagging: Lag, stories_caller: Caller
) -> None:
    strong, of_user = {CONSISTENCY_KEY: "strong"}, {"filter": f'display_name = "{user.display_name}"'}
    with lagging():
        reader.call("ListUsers", SESSION, **of_user)
        seen = TOKENS.decode(reader.session).lsn
        api.call("UpdateUser", user={"name": user.name, "about": "New"}, update_mask="about")
        reader.call("ListUsers", strong, **of_user)
        assert TOKENS.decode(reader.session).lsn > seen
        assert abouts(reader, user) == ["New"]


def test_a_record_that_was_seen_to_be_gone_does_not_come_back(
    api: Api, story: Any, reader: Api, lagging: Lag
) -> None:
    with lagging():
        api.call("DeleteStory", name=story.name)
        assert reader.call("GetStory", SESSION, name=story.name).HasField("delete_time")
        assert titles(reader, story) == []


def test_reading_ones_own_write_again_and_again_stays_in_the_cache(api: Api, story: Any) -> None:
    session = TOKENS.decode(api.session)
    assert session.read(Key("stories", story.name), 0, Rank.ABSENT, session.lsn).recent == ()
    for _ in range(3):
        api.call("GetStory", name=story.name)
        assert api.answered_by in ("near", "cache")


def test_a_token_of_a_newer_platform_reads_the_primary_and_is_handed_on(story: Any, reader: Api) -> None:
    reader.session = newer = newer_token()
    reader.call("GetStory", name=story.name)
    assert reader.answered_by == "primary"
    assert TOKENS.decode(reader.session).foreign == (newer,)
    resource = reader.model.resources["stories.entresol.dev/Story"]
    assert Demand(TOKENS.decode(newer), Consistency.EVENTUAL).level(resource) is Consistency.EVENTUAL


def test_a_token_that_was_made_up_is_refused(story: Any, reader: Api) -> None:
    reader.session = "Amadeup_madeup_madeup"
    refusal = reader.refused(Code.INVALID_ARGUMENT, "GetStory", name=story.name)
    assert "not a session token of this platform" in refusal.violations["entresol-session"]


def test_strong_is_read_from_the_primary_also_by_who_has_seen_nothing(
    api: Api, story: Any, reader: Api
) -> None:
    api.read_until_cached("GetStory", name=story.name)
    reader.call("GetStory", {CONSISTENCY_KEY: "strong"}, name=story.name)
    assert reader.answered_by == "primary"
