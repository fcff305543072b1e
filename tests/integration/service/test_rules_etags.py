"""Rules 31 to 38: a write that names an etag changes only what its caller has seen."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id
from tests.integration.service.museum import STRANGER

from entresol.errors import Code

REMEDY = "etag: {} has another one, for it was changed since or never had this; read it again and repeat"


@pytest.fixture
def story(api: Api, ann: str) -> Any:
    return api.call("CreateStory", story={"title": "t", "author": ann})


def test_rule_31_every_reply_carries_a_quoted_etag(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name, "title": "other"})
    (listed,) = api.call("ListStories", filter=f'name = "{story.name}"').stories
    read = api.call("GetStory", name=story.name)
    assert re.fullmatch(r'"[0-9a-f]+"', story.etag)
    assert story.etag != changed.etag == listed.etag == read.etag


def test_rule_32_an_etag_that_matches_is_permitted(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name, "title": "other", "etag": story.etag})
    deleted = api.call("DeleteStory", name=story.name, etag=changed.etag)
    back = api.call("UndeleteStory", name=story.name, etag=deleted.etag)
    assert api.call("GetStory", name=story.name) == back


def test_rule_33_a_stale_etag_is_aborted(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name, "title": "other"})
    stale = {"name": story.name, "title": "third", "etag": story.etag}
    refusal = api.refused(Code.ABORTED, "UpdateStory", story=stale)
    assert refusal.info.reason == "STALE_ETAG"
    assert dict(refusal.info.metadata) == {"name": story.name, "field": "etag"}
    assert refusal.message == REMEDY.format(story.name)
    api.refused(Code.ABORTED, "DeleteStory", name=story.name, etag=story.etag)
    api.call("DeleteStory", name=story.name)
    api.refused(Code.ABORTED, "UndeleteStory", name=story.name, etag=changed.etag)


@pytest.mark.parametrize(
    "etag", ["nonsense", 'W/"{}"', '"{}x"', '" {}"', "*", '"ffffffffffffffff"', '"-1"', '""', "\n"]
)
def test_rule_33_what_was_never_an_etag_of_the_record_is_aborted(api: Api, story: Any, etag: str) -> None:
    wrong = etag.format(story.etag.strip('"'))
    changed = {"name": story.name, "title": "other", "etag": wrong}
    for refusal in (
        api.refused(Code.ABORTED, "UpdateStory", story=changed),
        api.refused(Code.ABORTED, "DeleteStory", name=story.name, etag=wrong),
    ):
        assert refusal.message == REMEDY.format(story.name)


def test_rule_33_a_stale_etag_is_aborted_where_columns_are_simply_set(api: Api, ann: str) -> None:
    comment = api.call(
        "CreateComment",
        parent=api.call("CreateStory", story={"title": "t", "author": ann}).name,
        comment={"author": ann, "text": "first"},
    )
    change = {"name": comment.name, "text": "second", "etag": comment.etag}
    api.call("UpdateComment", comment=change, update_mask="text")
    api.refused(Code.ABORTED, "UpdateComment", comment={**change, "text": "third"}, update_mask="text")
    assert api.call("GetComment", name=comment.name).text == "second"


def test_rule_34_without_an_etag_the_last_write_wins(api: Api, story: Any) -> None:
    for title in ("second", "third"):
        api.call("UpdateStory", story={"name": story.name, "title": title})
    assert api.call("GetStory", name=story.name).title == "third"


def test_rule_35_permission_comes_before_the_etag(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall"}, hall_id=new_id("hall"))
    stale = {"name": hall.name, "title": "other", "etag": '"0000000000000000"'}
    halls.refused(Code.PERMISSION_DENIED, "UpdateHall", STRANGER, hall=stale)
    halls.refused(Code.ABORTED, "UpdateHall", hall=stale)


def test_rule_36_a_request_may_leave_its_etag_out(api: Api, story: Any) -> None:
    api.call("DeleteStory", name=story.name, etag="")
    assert api.call("GetStory", name=story.name).HasField("delete_time")


def test_rule_37_the_mask_has_no_effect_on_the_etag(api: Api, story: Any) -> None:
    api.call("UpdateStory", story={"name": story.name, "title": "other"})
    stale = {"name": story.name, "score": 1, "etag": story.etag}
    for mask in ("score", "score,etag", "*"):
        fields = {**stale, "title": "t", "author": story.author}
        api.refused(Code.ABORTED, "UpdateStory", story=fields, update_mask=mask)


def test_rule_38_a_deletion_can_ask_for_an_etag(api: Api) -> None:
    user = api.call("CreateUser", user={"displayName": "Una"})
    api.call("UpdateUser", user={"name": user.name, "about": "me"})
    api.refused(Code.ABORTED, "DeleteUser", name=user.name, etag=user.etag)
    api.call("DeleteUser", name=user.name, etag=api.call("GetUser", name=user.name).etag)
