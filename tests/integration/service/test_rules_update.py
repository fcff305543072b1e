"""Rules 97 to 104: Update changes what its mask names, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id
from tests.integration.service.museum import STRANGER

from entresol.errors import Code


@pytest.fixture
def story(api: Api, ann: str) -> Any:
    fields = {"title": "t", "author": ann, "score": 3, "tags": ["a"], "annotations": {"k": "v"}, "text": "x"}
    return api.call("CreateStory", story=fields)


def changed_fields(before: Any, after: Any) -> set[str]:
    names = {field.name for message in (before, after) for field, _ in message.ListFields()}
    return {name for name in names if getattr(before, name) != getattr(after, name)} - {"etag", "update_time"}


def test_rule_97_the_mask_names_what_changes(api: Api, story: Any) -> None:
    wanted = {"name": story.name, "title": "other", "score": 9, "tags": ["b", "c"], "text": "y"}
    changed = api.call("UpdateStory", story=wanted, update_mask="title,tags")
    assert changed_fields(story, changed) == {"title", "tags"}
    assert (changed.title, list(changed.tags)) == ("other", ["b", "c"])
    assert api.call("GetStory", name=story.name) == changed


def test_rule_97_what_the_mask_names_and_the_request_leaves_out_is_cleared(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name}, update_mask="score,tags,annotations,text")
    assert changed_fields(story, changed) == {"score", "tags", "annotations", "text"}
    assert (changed.score, list(changed.tags), dict(changed.annotations), changed.text) == (0, [], {}, "")


def test_rule_98_without_a_mask_the_fields_with_a_value_change(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name, "title": "other", "score": 0, "tags": ["b"]})
    assert changed_fields(story, changed) == {"title", "tags"}


def test_rule_98_without_a_mask_nested_fields_stand_for_themselves(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall", "place": {"wing": "east", "floor": 1}})
    changed = halls.call("UpdateHall", hall={"name": hall.name, "place": {"floor": 2}})
    assert (changed.place.wing, changed.place.floor) == ("east", 2)


@pytest.mark.parametrize(
    ("fields", "mask"),
    [
        ({}, ""),
        ({"score": 0, "tags": []}, ""),
        ({"uid": "x", "createTime": "2026-01-31T09:30:00Z"}, ""),
        ({"uid": "x"}, "uid,create_time,name"),
    ],
)
def test_rule_98_where_nothing_is_to_be_written_no_version_is(
    api: Api, story: Any, fields: dict[str, Any], mask: str
) -> None:
    wanted, how = {"name": story.name, **fields}, {"update_mask": mask} if mask else {}
    assert api.call("UpdateStory", story=wanted, **how) == story
    assert api.call("UpdateStory", story=wanted, allow_missing=True, **how) == story
    assert api.call("UpdateStory", story={**wanted, "etag": story.etag}, **how) == story
    assert api.call("UpdateStory", story=wanted, validate_only=True, **how) == story
    assert api.call("GetStory", name=story.name) == story


def test_rule_98_what_writes_nothing_is_judged_as_what_writes(
    api: Api, halls: Api, story: Any, ann: str
) -> None:
    api.refused(Code.NOT_FOUND, "UpdateStory", story={"name": "stories/nothing"})
    api.refused(Code.ABORTED, "UpdateStory", story={"name": story.name, "etag": '"0000000000000001"'})
    same = api.call("UpdateStory", story={"name": story.name, "author": ann})
    assert same == story
    api.refused(Code.INVALID_ARGUMENT, "UpdateStory", story={"name": story.name, "author": "users/other"})
    api.call("DeleteStory", name=story.name)
    api.refused(Code.FAILED_PRECONDITION, "UpdateStory", story={"name": story.name})
    hall = halls.call("CreateHall", hall={"title": "Hall", "alarm_code": "1234"})
    halls.refused(Code.PERMISSION_DENIED, "UpdateHall", STRANGER, hall={"name": hall.name})
    assert halls.call("UpdateHall", hall={"name": hall.name}) == hall


def test_rule_99_a_star_replaces_everything(api: Api, story: Any, ann: str) -> None:
    wanted = {"name": story.name, "title": "other", "author": ann}
    changed = api.call("UpdateStory", story=wanted, update_mask="*")
    assert changed_fields(story, changed) == {"title", "score", "tags", "annotations", "text"}
    assert (changed.score, list(changed.tags), changed.uid) == (0, [], story.uid)
    incomplete = api.refused(
        Code.INVALID_ARGUMENT, "UpdateStory", story={"name": story.name}, update_mask="*"
    )
    assert set(incomplete.violations) == {"story.title", "story.author"}


def test_rule_100_the_reply_is_the_record_and_its_update_time_is_new(api: Api, story: Any) -> None:
    changed = api.call("UpdateStory", story={"name": story.name, "title": "other"})
    assert changed.update_time.ToNanoseconds() > story.update_time.ToNanoseconds()
    assert changed.create_time == story.create_time
    assert changed.title == "other"


def test_rule_101_what_does_not_exist_is_not_found(api: Api) -> None:
    refusal = api.refused(Code.NOT_FOUND, "UpdateStory", story={"name": "stories/nothing", "title": "t"})
    assert refusal.info.metadata["name"] == "stories/nothing"
    for wrong in ({"title": "t"}, {"name": "stories", "title": "t"}):
        assert "story.name" in api.refused(Code.INVALID_ARGUMENT, "UpdateStory", story=wrong).violations


def test_rule_102_allow_missing_creates_with_all_fields_whatever_the_mask(api: Api, ann: str) -> None:
    name = f"stories/{new_id('s')}"
    wanted = {"name": name, "title": "t", "author": ann, "score": 4}
    made = api.call("UpdateStory", story=wanted, update_mask="title", allow_missing=True)
    assert (made.name, made.score, made.author, len(made.uid)) == (name, 4, ann, 36)
    assert api.call("GetStory", name=name) == made


def test_rule_102_allow_missing_judges_a_new_record_as_create_would(api: Api, ann: str) -> None:
    name = f"stories/{new_id('s')}"
    refusal = api.refused(
        Code.INVALID_ARGUMENT, "UpdateStory", story={"name": name, "score": 1}, update_mask="score", allow_missing=True
    )  # fmt: skip
    assert set(refusal.violations) == {"story.title", "story.author"}
    odd = {"name": "stories/Not_An_Id", "title": "t", "author": ann}
    refusal = api.refused(Code.INVALID_ARGUMENT, "UpdateStory", story=odd, allow_missing=True)
    assert set(refusal.violations) == {"story.name"}


def test_rule_102_what_is_so_already_is_returned_unchanged(api: Api, story: Any) -> None:
    for mask in ("title,score", "*"):
        assert api.call("UpdateStory", story=story, update_mask=mask, allow_missing=True) == story
    changed = api.call("UpdateStory", story={"name": story.name, "score": 4}, allow_missing=True)
    assert changed_fields(story, changed) == {"score"}


def test_rule_102_of_many_who_ensure_one_record_at_once_all_succeed(api: Api, ann: str) -> None:
    def ensure(number: int) -> int:
        story = {"name": name, "title": "t", "author": ann, "score": number}
        return int(api.call("UpdateStory", story=story, update_mask="score,title", allow_missing=True).score)

    with ThreadPoolExecutor(8) as threads:
        for _ in range(5):
            name = f"stories/{new_id()}"
            assert list(threads.map(ensure, range(8))) == list(range(8))


def test_rule_102_allow_missing_needs_the_permission_to_update(halls: Api) -> None:
    wanted = {"name": f"halls/{new_id('h')}", "title": "Hall"}
    halls.refused(Code.PERMISSION_DENIED, "UpdateHall", STRANGER, hall=wanted, allow_missing=True)
    halls.refused(Code.NOT_FOUND, "GetHall", name=wanted["name"])


def test_rule_103_a_deleted_record_is_not_changed(api: Api, story: Any) -> None:
    deleted = api.call("DeleteStory", name=story.name)
    refusal = api.refused(
        Code.FAILED_PRECONDITION, "UpdateStory", story={"name": story.name, "title": "other"}
    )
    assert "undelete" in refusal.message
    times = {"name": story.name, "deleteTime": None, "title": "t"}
    api.refused(Code.FAILED_PRECONDITION, "UpdateStory", story=times, update_mask="delete_time")
    assert api.call("GetStory", name=story.name) == deleted


def test_a_rule_over_several_fields_holds_for_the_record_an_update_makes(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall", "capacity": 50, "height": 2.0})
    refusal = halls.refused(
        Code.INVALID_ARGUMENT, "UpdateHall", hall={"name": hall.name, "capacity": 500}, update_mask="capacity"
    )
    assert "must be higher than 3" in refusal.message
    assert halls.call("GetHall", name=hall.name) == hall


def test_updates_of_different_fields_at_once_lose_nothing(halls: Api, lagging: Any) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall"}, hall_id=new_id("hall"))

    def update(number: int) -> Any:
        labels = {"name": hall.name, "labels": {f"k{number}": str(number)}}
        return halls.call("UpdateHall", hall=labels, update_mask=f"labels.k{number}")

    block: Callable[[], AbstractContextManager[None]] = lagging
    with block(), ThreadPoolExecutor(8) as threads:
        list(threads.map(update, range(16)))
        halls.session = ""
        assert len(halls.call("GetHall", name=hall.name).labels) == 16
