"""Rules 39 to 46: what a mask leaves out is not sent, and what it does not name is not changed."""

from __future__ import annotations

from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.errors import Code
from entresol.service.call import READ_MASK_KEY

PLACE = {"wing": "east", "floor": 2}
FULL = {
    "title": "Hall",
    "place": PLACE,
    "doors": [{"code": "a", "width": 1}, {"code": "b", "width": 2}],
    "labels": {"plain": "1", "odd, key.": "2", "tick`": "3"},
    "exits": {"north": PLACE, "south": {"floor": 3}},
    "capacity": 0,
    "height": 2.5,
}


@pytest.fixture
def hall(halls: Api) -> Any:
    return halls.call("CreateHall", hall=FULL, hall_id=new_id("hall"))


def read(halls: Api, name: str, mask: str) -> Any:
    return halls.call("GetHall", {READ_MASK_KEY: mask}, name=name)


def update(halls: Api, mask: str, **fields: Any) -> Any:
    return halls.call("UpdateHall", hall=fields, update_mask=mask)


def set_fields(message: Any) -> set[str]:
    return {field.name for field, _ in message.ListFields()}


def test_rule_39_metadata_narrows_what_every_read_returns(halls: Api, api: Api, hall: Any, ann: str) -> None:
    mask = {READ_MASK_KEY: "title, place"}
    assert set_fields(read(halls, hall.name, "title")) == {"title"}
    (listed,) = halls.call("ListHalls", mask, filter=f'name = "{hall.name}"').halls
    assert set_fields(listed) == {"title", "place"}
    names = [api.call("CreateStory", story={"title": t, "author": ann}).name for t in ("a", "b")]
    batch = api.call("BatchGetStories", {READ_MASK_KEY: "title"}, names=names).stories
    assert [(story.title, set_fields(story)) for story in batch] == [("a", {"title"}), ("b", {"title"})]


def test_rule_39_a_narrow_read_leaves_the_cache_whole(halls: Api, hall: Any) -> None:
    for mask in ("title", "place.wing"):
        read(halls, hall.name, mask)
    assert halls.read_until_cached("GetHall", name=hall.name) == hall


def test_rule_40_without_a_mask_or_with_a_star_everything_is_returned(halls: Api, hall: Any) -> None:
    assert read(halls, hall.name, "*") == read(halls, hall.name, "") == hall
    assert halls.call("GetHall", name=hall.name) == hall


def test_rule_42_a_path_names_a_field_or_a_field_below_it(halls: Api, hall: Any) -> None:
    whole, part = read(halls, hall.name, "place"), read(halls, hall.name, "place.floor")
    assert (whole.place.wing, whole.place.floor) == ("east", 2)
    assert (part.place.wing, part.place.floor, set_fields(part)) == ("", 2, {"place"})
    changed = update(halls, "place.floor", name=hall.name, place={"wing": "west", "floor": 9})
    assert (changed.place.wing, changed.place.floor) == ("east", 9)
    assert update(halls, "place", name=hall.name, place={"wing": "west"}).place.floor == 0


def test_rule_43_a_path_may_name_a_key_of_a_map(halls: Api, hall: Any) -> None:
    assert dict(read(halls, hall.name, "labels.plain").labels) == {"plain": "1"}
    assert dict(read(halls, hall.name, "labels.`odd, key.`, labels.`tick```").labels) == {
        "odd, key.": "2",
        "tick`": "3",
    }
    changed = update(halls, "labels.plain", name=hall.name, labels={"plain": "x", "other": "y"})
    assert dict(changed.labels) == {"plain": "x", "odd, key.": "2", "tick`": "3"}
    assert "plain" not in update(halls, "labels.plain", name=hall.name).labels


def test_rule_43_a_star_names_every_element(halls: Api, hall: Any) -> None:
    doors = read(halls, hall.name, "doors.*.width").doors
    assert [(door.code, door.width) for door in doors] == [("", 1), ("", 2)]
    exits = read(halls, hall.name, "exits.*.wing").exits
    assert {key: place.wing for key, place in exits.items()} == {"north": "east", "south": ""}
    changed = update(halls, "doors.*.width", name=hall.name, doors=[{"width": 5}, {"width": 6}])
    assert [(door.code, door.width) for door in changed.doors] == [("a", 5), ("b", 6)]


def test_rule_44_an_index_into_a_list_is_refused(halls: Api, hall: Any) -> None:
    refusal = halls.refused(
        Code.INVALID_ARGUMENT, "UpdateHall", hall={"name": hall.name}, update_mask="doors.0"
    )
    assert "doors" in refusal.violations["update_mask"]
    masked = {READ_MASK_KEY: "doors.0.code"}
    assert "read_mask" in halls.refused(Code.INVALID_ARGUMENT, "GetHall", masked, name=hall.name).violations


def test_rule_44_a_wrong_mask_is_refused_before_anything_is_looked_up(halls: Api) -> None:
    masked = {READ_MASK_KEY: "doors.0"}
    halls.refused(Code.INVALID_ARGUMENT, "GetHall", masked, name="halls/nothing")


def test_rule_45_a_path_to_nowhere_is_refused_when_writing_and_ignored_when_reading(
    halls: Api, hall: Any
) -> None:
    refusal = halls.refused(
        Code.INVALID_ARGUMENT,
        "UpdateHall",
        hall={"name": hall.name},
        update_mask="title,nothing,place.nothing",
    )
    assert "nothing" in refusal.violations["update_mask"]
    assert set_fields(read(halls, hall.name, "title,nothing")) == {"title"}
    assert not set_fields(read(halls, hall.name, "nothing"))


MASKS = [
    "title",
    "place",
    "place.wing",
    "doors",
    "doors.*.code",
    "labels",
    "labels.plain",
    "exits.north.floor",
    "*",
]


@pytest.mark.parametrize("mask", MASKS)
def test_rule_46_what_a_mask_read_it_writes_back_unchanged(halls: Api, hall: Any, mask: str) -> None:
    seen = read(halls, hall.name, mask)
    seen.name, seen.etag = hall.name, ""
    written = halls.call("UpdateHall", hall=seen, update_mask=mask)
    for field in set_fields(hall) - {"etag", "update_time"}:
        assert getattr(written, field) == getattr(hall, field), field


@pytest.mark.parametrize("mask", [mask for mask in MASKS if mask != "*"])
def test_rule_46_what_a_mask_wrote_it_reads(halls: Api, hall: Any, mask: str) -> None:
    fields = {
        "title": "Other",
        "place": {"wing": "west", "floor": 7},
        "doors": [{"code": "x", "width": 8}],
        "labels": {"plain": "new"},
        "exits": {"north": {"floor": 9}},
    }
    wanted = halls.request("UpdateHall", {"hall": {**fields, "name": hall.name}}).hall
    halls.call("UpdateHall", hall=wanted, update_mask=mask)
    seen = read(halls, hall.name, mask)
    (path, *below) = mask.split(".")
    if not below:
        assert getattr(seen, path) == getattr(wanted, path)
    elif path == "place":
        assert (seen.place.wing, seen.place.floor) == ("west", 0)
    elif path == "doors":
        assert [door.code for door in seen.doors] == ["x"]
    elif path == "labels":
        assert dict(seen.labels) == {"plain": "new"}
    else:
        assert {key: place.floor for key, place in seen.exits.items()} == {"north": 9}
