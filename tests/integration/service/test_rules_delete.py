"""Rules 106 to 114: Delete and Undelete, and what becomes of what stands below or refers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.errors import Code


@pytest.fixture
def story(api: Api, ann: str) -> Any:
    return api.call("CreateStory", story={"title": "t", "author": ann})


@pytest.fixture
def hall(halls: Api) -> str:
    return str(halls.call("CreateHall", hall={"title": "Hall"}, hall_id=new_id("hall")).name)


def guide(halls: Api) -> str:
    return str(halls.call("CreateGuide", guide={"title": "Gus"}, guide_id=new_id("gus")).name)


def exhibit(halls: Api, parent: str, **fields: Any) -> str:
    request = {"exhibit": {"title": "Vase", **fields}, "exhibit_id": new_id("vase")}
    return str(halls.call("CreateExhibit", parent=parent, **request).name)


def test_rule_106_a_deletion_answers_with_nothing_or_with_what_it_marked(
    api: Api, halls: Api, story: Any
) -> None:
    user = api.call("CreateUser", user={"displayName": "Una"}).name
    assert type(api.call("DeleteUser", name=user)).DESCRIPTOR.full_name == "google.protobuf.Empty"
    deleted = api.call("DeleteStory", name=story.name)
    assert (deleted.name, deleted.title) == (story.name, "t")
    api.refused(Code.NOT_FOUND, "GetUser", name=user)


def test_rule_107_what_is_not_there_is_not_found_unless_that_is_allowed(api: Api) -> None:
    for method in ("DeleteUser", "DeleteStory"):
        name = {"DeleteUser": "users/nothing", "DeleteStory": "stories/nothing"}[method]
        api.refused(Code.NOT_FOUND, method, name=name)
        api.refused(Code.NOT_FOUND, method, name=name, etag='"0000000000000001"')
        assert not api.call(method, name=name, allow_missing=True).ListFields()
        assert not api.call(method, name=name, allow_missing=True, etag="no etag").ListFields()


def test_rule_108_children_keep_their_parent(api: Api, halls: Api, hall: str, story: Any, ann: str) -> None:
    below = exhibit(halls, hall)
    refusal = halls.refused(Code.FAILED_PRECONDITION, "DeleteHall", name=hall)
    assert (refusal.info.reason, refusal.info.metadata["name"]) == ("RESOURCE_HAS_CHILDREN", hall)
    assert halls.call("GetExhibit", name=below).name == below
    api.call("CreateComment", parent=story.name, comment={"author": ann, "text": "c"})
    api.refused(Code.FAILED_PRECONDITION, "DeleteStory", name=story.name)


def test_rule_108_force_takes_all_that_stands_below_out_of_the_cache_too(halls: Api, hall: str) -> None:
    names = {}
    for _ in range(3):
        below = exhibit(halls, hall)
        names[below] = halls.call("CreateRemark", parent=below, remark={"text": "nice"}).name
        halls.read_until_cached("GetExhibit", name=below)
        halls.read_until_cached("GetRemark", name=names[below])
    halls.call("DeleteHall", name=hall, force=True)
    for session in (halls.session, ""):  # who waits for nothing must not see them either
        halls.session = session
        for below, remark in names.items():
            halls.refused(Code.NOT_FOUND, "GetExhibit", name=below)
            halls.refused(Code.NOT_FOUND, "GetRemark", name=remark)
    halls.refused(Code.NOT_FOUND, "GetHall", name=hall)


def test_rule_108_a_singleton_keeps_nothing(halls: Api, hall: str) -> None:
    assert halls.call("GetHallSettings", name=f"{hall}/settings")
    halls.call("DeleteHall", name=hall)
    halls.refused(Code.NOT_FOUND, "GetHallSettings", name=f"{hall}/settings")


def test_rule_108_a_marked_parent_keeps_children_that_cannot_be_marked(
    api: Api, story: Any, ann: str
) -> None:
    comment = api.call("CreateComment", parent=story.name, comment={"author": ann, "text": "c"})
    api.call("DeleteStory", name=story.name, force=True)
    assert api.call("GetComment", name=comment.name) == comment


def test_rule_109_a_stale_etag_deletes_nothing(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name, "title": "other"})
    api.refused(Code.ABORTED, "DeleteStory", name=story.name, etag=story.etag)
    api.refused(Code.ABORTED, "DeleteStory", name=story.name, etag=story.etag, allow_missing=True)
    assert api.call("GetStory", name=story.name) == changed


def test_rule_111_a_soft_deletion_marks_and_says_until_when(api: Api, story: Any) -> None:
    deleted = api.call("DeleteStory", name=story.name)
    kept = deleted.purge_time.ToDatetime() - deleted.delete_time.ToDatetime()
    assert kept == timedelta(days=30)
    assert deleted.etag != story.etag
    assert deleted.update_time == deleted.delete_time
    assert api.call("GetStory", name=story.name) == deleted


def test_rule_112_what_is_deleted_is_not_found_unless_that_is_allowed(api: Api, story: Any) -> None:
    deleted = api.call("DeleteStory", name=story.name)
    api.refused(Code.NOT_FOUND, "DeleteStory", name=story.name)
    assert api.call("DeleteStory", name=story.name, allow_missing=True) == deleted
    assert api.call("GetStory", name=story.name) == deleted


def test_rule_113_undelete_brings_back_what_was_marked(api: Api, story: Any) -> None:
    api.call("DeleteStory", name=story.name)
    back = api.call("UndeleteStory", name=story.name)
    assert not back.HasField("delete_time")
    assert not back.HasField("purge_time")
    assert (back.title, back.uid, back.create_time) == (story.title, story.uid, story.create_time)
    assert api.call("GetStory", name=story.name) == back
    assert [found.name for found in api.call("ListStories", filter=f'name = "{story.name}"').stories] == [
        back.name
    ]


def test_rule_113_undelete_needs_something_that_is_deleted(api: Api, story: Any) -> None:
    refusal = api.refused(Code.ALREADY_EXISTS, "UndeleteStory", name=story.name)
    assert refusal.info.metadata["name"] == story.name
    api.refused(Code.NOT_FOUND, "UndeleteStory", name="stories/nothing")
    api.call("DeleteStory", name=story.name)
    assert api.call("UndeleteStory", name=story.name, validate_only=True).name == story.name
    assert api.call("GetStory", name=story.name).HasField("delete_time")


def test_rule_114_nothing_that_is_marked_is_gone_before_its_time(api: Api, story: Any) -> None:
    deleted = api.call("DeleteStory", name=story.name)
    listed = api.call("ListStories", filter=f'name = "{story.name}"', show_deleted=True).stories
    assert list(listed) == [deleted]
    assert deleted.purge_time.seconds > deleted.delete_time.seconds


def test_a_reference_that_restricts_keeps_what_it_refers_to(
    api: Api, halls: Api, hall: str, story: Any
) -> None:
    guard = guide(halls)
    exhibit(halls, hall, guard=guard)
    refusal = halls.refused(Code.FAILED_PRECONDITION, "DeleteGuide", name=guard)
    assert (refusal.info.metadata["name"], refusal.info.metadata["others"]) == (guard, "exhibits")
    assert halls.call("GetGuide", name=guard).name == guard
    api.refused(Code.FAILED_PRECONDITION, "DeleteUser", name=story.author)


def test_a_reference_that_clears_becomes_empty(halls: Api, hall: str) -> None:
    gus = guide(halls)
    vase = exhibit(halls, hall, guide=gus)
    before = halls.read_until_cached("GetExhibit", name=vase)
    halls.call("DeleteGuide", name=gus)
    after = halls.call("GetExhibit", name=vase)
    assert (before.guide, after.HasField("guide"), after.etag == before.etag) == (gus, False, False)


def test_a_reference_that_cascades_takes_the_record_along(halls: Api, hall: str) -> None:
    owner = guide(halls)
    vase = exhibit(halls, hall, owner=owner)
    remark = halls.call("CreateRemark", parent=(other := exhibit(halls, hall)), remark={"text": "nice"}).name
    halls.read_until_cached("GetExhibit", name=vase)
    halls.call("DeleteGuide", name=owner)
    halls.refused(Code.NOT_FOUND, "GetExhibit", name=vase)
    assert halls.call("GetExhibit", name=other).name == other
    assert halls.call("GetRemark", name=remark).name == remark


def test_a_reference_to_nothing_is_refused_unless_nothing_is_checked(api: Api, story: Any) -> None:
    comment = {"author": "users/nobody", "text": "c"}
    refusal = api.refused(Code.FAILED_PRECONDITION, "CreateComment", parent=story.name, comment=comment)
    assert dict(refusal.info.metadata) == {"field": "author", "name": "users/nobody"}
    for wrong in ("nobody", "stories/x", "users/-", "users/a/b"):
        refusal = api.refused(
            Code.INVALID_ARGUMENT, "CreateComment", parent=story.name, comment={**comment, "author": wrong}
        )
        assert set(refusal.violations) == {"comment.author"}
    click = api.call("CreateClick", parent=story.name, click={"visitor": "users/nobody"})
    assert api.call("GetClick", name=click.name).visitor == "users/nobody"
