"""Rules 47 to 57: Get and BatchGet."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.errors import Code
from entresol.service.call import CONSISTENCY_KEY, SHOW_VERSION_KEY, VERSION_KEY


@pytest.fixture
def three(api: Api, ann: str) -> list[Any]:
    return [api.call("CreateStory", story={"title": title, "author": ann}) for title in ("a", "b", "c")]


def test_rule_47_get_needs_a_name_and_nothing_else(api: Api, three: list[Any]) -> None:
    assert api.call("GetStory", name=three[0].name) == three[0]
    assert set(api.refused(Code.INVALID_ARGUMENT, "GetStory").violations) == {"name"}


@pytest.mark.parametrize(
    "name",
    ["stories", "stories/", "/stories/a", "stories/a/b", "users/a", "stories/-", "stories/a b", "stories/a\n", "*"],
)  # fmt: skip
def test_rule_47_a_name_of_another_form_is_refused(api: Api, name: str) -> None:
    assert "name" in api.refused(Code.INVALID_ARGUMENT, "GetStory", name=name).violations


def test_rule_47_a_name_must_be_in_normal_form(api: Api) -> None:
    refusal = api.refused(Code.INVALID_ARGUMENT, "GetStory", name="stories/cafe\u0301")
    assert "NFC" in refusal.violations["name"]
    api.refused(Code.NOT_FOUND, "GetStory", name="stories/caf\u00e9")


def test_rule_48_every_field_comes_back_as_it_was_given(api: Api, ann: str) -> None:
    story = {
        "title": "t\u0301\N{BICYCLE} \\x00",
        "author": ann,
        "url": "https://example.com/?a=b",
        "text": " spaces \r\n",
        "score": -(2**31),
        "kind": "KIND_SHOW",
        "tags": ["b", "a", "b"],
        "annotations": {"": "empty", "k": ""},
        "postTime": "0001-01-01T00:00:00.000001Z",
    }
    made = api.call("CreateStory", story=story)
    assert api.read_until_cached("GetStory", name=made.name) == made
    (listed,) = api.call("ListStories", filter=f'name = "{made.name}"').stories
    assert listed == made
    wanted = api.request("CreateStory", {"story": story}).story
    for field, value in wanted.ListFields():
        assert getattr(made, field.name) == value, field.name


def test_rule_49_a_deleted_record_is_returned_and_marked(api: Api, three: list[Any]) -> None:
    deleted = api.call("DeleteStory", name=three[0].name)
    for _ in range(2):
        assert api.call("GetStory", name=three[0].name) == deleted
    assert deleted.HasField("delete_time")
    assert api.call("BatchGetStories", names=[three[0].name]).stories[0] == deleted


def test_rule_50_a_singleton_is_there_as_long_as_its_parent(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall"}, hall_id=new_id("hall")).name
    settings = halls.call("GetHallSettings", name=f"{hall}/settings")
    assert settings.etag
    assert len(settings.uid) == 36
    assert settings.HasField("create_time")
    change = {"name": settings.name, "brightness": 7}
    assert halls.call("UpdateHallSettings", hall_settings=change).brightness == 7
    halls.call("DeleteHall", name=hall)
    halls.refused(Code.NOT_FOUND, "GetHallSettings", name=settings.name)
    halls.refused(Code.NOT_FOUND, "GetHallSettings", name="halls/nothing/settings")


def test_rule_50_a_batch_and_an_update_that_creates_make_singletons_too(halls: Api) -> None:
    batch = halls.call("BatchCreateHalls", requests=[{"hall": {"title": "Hall"}} for _ in range(2)])
    put = halls.call("UpdateHall", hall={"name": f"halls/{new_id('h')}", "title": "Put"}, allow_missing=True)
    for hall in (*batch.halls, put):
        assert halls.call("GetHallSettings", name=f"{hall.name}/settings")


def test_rule_53_one_missing_name_fails_the_batch(api: Api, three: list[Any]) -> None:
    names = [three[0].name, "stories/nothing", three[1].name]
    refusal = api.refused(Code.NOT_FOUND, "BatchGetStories", names=names)
    assert refusal.message == "stories/nothing does not exist"
    assert refusal.info.metadata == {"name": "stories/nothing"}


def test_rule_53_all_missing_names_of_a_batch_are_told_at_once(api: Api, three: list[Any]) -> None:
    names = ["stories/b", three[0].name, "stories/a", "stories/b", three[1].name]
    for _ in range(2):  # from the store, and from what the cache knows not to be there
        refusal = api.refused(Code.NOT_FOUND, "BatchGetStories", names=names)
        assert refusal.message == "stories/b, stories/a do not exist"
        told = {"name": "stories/b", "names": "stories/b, stories/a", "missing": "2"}
        assert refusal.info.metadata == told


def test_rule_53_of_many_missing_names_as_many_are_told_as_there_is_room_for(api: Api) -> None:
    names = [f"stories/{'x' * 50}-{number:03}" for number in range(1000)]
    refusal = api.refused(Code.NOT_FOUND, "BatchGetStories", names=names)
    told = refusal.info.metadata["names"].split(", ")
    assert 10 <= len(told) < 1000
    assert told == names[: len(told)]
    assert refusal.message.endswith(f"{told[-1]} and {1000 - len(told)} more do not exist")
    assert refusal.info.metadata["missing"] == "1000"


def test_rule_54_a_batch_is_in_the_order_asked_for_and_repeats_what_is_repeated(
    api: Api, three: list[Any]
) -> None:
    wanted = [three[2], three[0], three[2], three[1], three[0]]
    for _ in range(2):  # from the store, and from the cache
        assert list(api.call("BatchGetStories", names=[story.name for story in wanted]).stories) == wanted


def test_rule_55_a_batch_has_at_least_one_name_and_at_most_a_thousand(api: Api, three: list[Any]) -> None:
    assert "names" in api.refused(Code.INVALID_ARGUMENT, "BatchGetStories", names=[]).violations
    name = three[0].name
    assert len(api.call("BatchGetStories", names=[name] * 1000).stories) == 1000
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchGetStories", names=[name] * 1001)
    assert "1000" in refusal.violations["names"]
    wrong = api.refused(Code.INVALID_ARGUMENT, "BatchGetStories", names=[name, "", "users/x"])
    assert set(wrong.violations) == {"names[1]", "names[2]"}


def test_rule_56_every_name_of_a_batch_is_below_its_parent(api: Api, three: list[Any], ann: str) -> None:
    comments = [
        api.call("CreateComment", parent=story.name, comment={"author": ann, "text": "c"})
        for story in three[:2]
    ]
    names = [comment.name for comment in comments]
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchGetComments", parent=three[0].name, names=names)
    assert set(refusal.violations) == {"names[1]"}
    for parent in ("", "stories/-", "-"):
        assert list(api.call("BatchGetComments", parent=parent, names=names).comments) == comments


def test_rule_57_a_batch_has_no_pages(api: Api, ann: str) -> None:
    requests = [{"story": {"title": "t", "author": ann}} for _ in range(60)]
    made = api.call("BatchCreateStories", requests=requests).stories
    assert len(api.call("BatchGetStories", names=[story.name for story in made]).stories) == 60


def test_get_tells_the_version_to_those_who_ask(api: Api, three: list[Any]) -> None:
    name, shows = three[0].name, {SHOW_VERSION_KEY: "true"}
    api.call("GetStory", name=name)
    assert VERSION_KEY not in api.trailing
    versions = []
    for consistency in ("bounded", "strong"):
        api.call("GetStory", {**shows, CONSISTENCY_KEY: consistency}, name=name)
        versions.append(int(api.trailing[VERSION_KEY]))
    assert versions[0] == versions[1] > 0
    api.call("UpdateStory", story={"name": name, "title": "changed"}, update_mask="title")
    api.call("GetStory", shows, name=name)
    assert int(api.trailing[VERSION_KEY]) > versions[0]
