"""Rules 73 to 85: the filter language over real rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.errors import Code
from entresol.schema.model import Model
from entresol.transport.caller import Caller

# Halls by one letter each, so that what a filter finds can be written as a word.
HALLS: Mapping[str, Mapping[str, Any]] = {
    "a": {"title": "Amber", "capacity": 10, "height": 9.99, "open": True, "place": {"wing": "east", "floor": 1}},
    "b": {"title": "Basalt stone", "capacity": 0, "height": 3.0, "place": {"wing": "west"}, "labels": {"k": "v"}},
    "c": {"title": "coral", "height": -30.5, "visitTime": "1.500s", "doors": [{"code": "d1", "width": 90}]},
    "d": {"title": "Dark_100%", "capacity": 42, "rent": "9007199254740993", "openTime": "2020-01-01T00:00:00Z"},
    "e": {"title": "a.b AND c", "labels": {"k": "w", "AND": "x", "o k": ""}, "exits": {"north": {"floor": 5}},
          "doors": [{"code": "d1"}, {"code": "d2", "width": 10}], "seal": "AQI="},
    "f": {"title": "F", "rent": "0", "place": {"floor": 0}, "openTime": "2021-06-01T12:00:00.5Z", "badge": ""},
}  # fmt: skip


@pytest.fixture(scope="module")
def found(museum_caller: Caller, museum_model: Model) -> Any:
    """Give what tells the letters of the halls that a filter finds."""
    halls = Api(museum_caller, museum_model)
    run = new_id("f")
    requests = [{"hall": hall, "hall_id": f"{run}-{letter}"} for letter, hall in HALLS.items()]
    halls.call("BatchCreateHalls", requests=requests)

    def find(text: str) -> str:
        pages = halls.pages("ListHalls", "halls", filter=f'({text}) name = "halls/{run}-*"', page_size=3)
        return "".join(hall.name[-1] for page in pages for hall in page)

    return find


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


MATCHES = [
    ("73", 'title = "Amber"', "a"),
    ("74", 'title = "Amber" OR title = "coral" open = true', "a"),  # OR binds tighter than what stands beside
    ("74", 'title = "coral" OR title = "Amber" AND open = true', "a"),
    ("74", '(title = "coral") OR (open = true AND height > 9)', "ac"),
    ("74", "open = true height > 9", "a"),
    ("75", "NOT open = true", "bcdef"),
    ("75", "-open = true", "bcdef"),
    ("75", 'NOT (open = true OR title = "coral")', "bdef"),
    ("76", "height > 3", "a"),
    ("76", "height >= 3.0", "ab"),
    ("76", "height < 0", "c"),
    ("76", "capacity <= 10", "ab"),
    ("76", "capacity != 10", "bd"),
    ("76", 'title >= "b"', "c"),  # by code points: capitals first
    ("76", "visit_time > 1.2s", "c"),
    ("76", 'open_time < "2021-06-01T12:00:00.5Z"', "d"),
    ("76", "open = true", "a"),
    ("76", "open != true", "bcdef"),
    ("77", "height < 1e1 height > 0.3E1", "a"),
    ("77", "visit_time = 1.5s", "c"),
    ("77", 'open_time = "2020-01-01T01:00:00+01:00"', "d"),
    ("77", "open_time = 2020-01-01T00:00:00Z", "d"),
    ("77", "rent = 9007199254740993", "d"),
    ("78", 'title = "*stone"', "b"),
    ("78", 'title = "Ba*"', "b"),
    ("78", 'title = "*_100%"', "d"),
    ("78", 'title = "D*_*%"', "d"),
    ("78", 'title != "*a*"', "af"),
    ("79", 'place.wing = "east"', "a"),
    ("79", "exits.north.floor = 5", "e"),
    ("79", 'labels.k = "v"', "b"),
    ("79", 'labels."o k":*', "e"),
    ("80", "place.floor != 1", "bf"),  # not those without a place
    ("80", 'labels.k != "v"', "e"),
    ("80", "rent != 5", "df"),
    ("80", "NOT place.floor = 1", "bcdef"),
    ("80", "exits.north.floor != 4", "e"),
    ("81", "doors.code:d1", "ce"),
    ("81", "doors.width:10", "e"),
    ("81", "labels:k", "be"),
    ("81", "labels.k:w", "e"),
    ("81", "labels.k:*", "be"),
    ("81", "place:*", "abf"),
    ("81", "place.wing:*", "ab"),
    ("81", "capacity:*", "abd"),
    ("81", "rent:*", "df"),
    ("81", "badge:*", "f"),
    ("81", "height:*", "abc"),
    ("81", "open:*", "a"),
    ("81", "doors:*", "ce"),
    ("81", "seal:*", "e"),
    ("81", "labels:*", "be"),
    ("82", "stone", "b"),
    ("82", "STONE", "b"),
    ("82", '"a.b AND"', "e"),
    ("82", "NOT stone", "acdef"),
    ("85", "height = 9.99", "a"),
    ("85", "height = -30.5", "c"),
    ("85", "height > -31 height < -30", "c"),
    ("85", 'labels.AND = "x"', "e"),
]


@pytest.mark.parametrize(("rule", "text", "letters"), MATCHES, ids=[f"rule_{m[0]}-{m[1]}" for m in MATCHES])
def test_rules_73_to_85_a_filter_finds(found: Any, rule: str, text: str, letters: str) -> None:
    assert found(text) == letters


def test_rule_73_an_empty_filter_and_a_star_exclude_nothing(halls: Api) -> None:
    title = new_id("title")
    halls.call("CreateHall", hall={"title": title})
    for text in ("", "  ", "*"):
        pages = halls.pages("ListHalls", "halls", filter=text, page_size=3)
        assert title in {hall.title for page in pages for hall in page}


def test_rule_77_enum_values_are_written_as_the_proto_does(api: Api, ann: str) -> None:
    tag = new_id("tag")
    for kind in ("KIND_ASK", "KIND_SHOW", "KIND_UNSPECIFIED"):
        api.call("CreateStory", story={"title": kind, "author": ann, "tags": [tag], "kind": kind})

    def titles(text: str) -> set[str]:
        return {story.title for story in api.call("ListStories", filter=f"tags:{tag} {text}").stories}

    assert titles("kind = KIND_ASK") == {"KIND_ASK"}
    assert titles("kind != KIND_ASK") == {"KIND_SHOW", "KIND_UNSPECIFIED"}
    assert titles("kind:*") == {"KIND_ASK", "KIND_SHOW"}
    refusal = api.refused(Code.INVALID_ARGUMENT, "ListStories", filter="kind = kind_ask")
    assert "KIND_ASK" in refusal.violations["filter"]


def test_rule_81_a_list_has_its_elements(api: Api, ann: str) -> None:
    tag = new_id("tag")
    made = api.call("CreateStory", story={"title": "t", "author": ann, "tags": ["x", tag]}).name
    assert [story.name for story in api.call("ListStories", filter=f"tags:{tag}").stories] == [made]
    assert not api.call("ListStories", filter=f"tags:{tag} NOT tags:x").stories


REFUSED = [
    ("73", "title = "), ("73", "= 5"), ("73", "(title = 5"), ("73", "title = 5)"), ("73", '"open'), ("73", "a = b = c"),
    ("73", "nothing = 1"), ("73", "place.nothing = 1"), ("73", "capacity = many"), ("73", "capacity = 1.5"),
    ("73", "capacity = 99999999999"), ("73", "height = high"), ("73", 'open_time = "yesterday"'),
    ("73", 'open_time = "2020-13-01T00:00:00Z"'), ("73", "visit_time = 5"), ("73", "open = maybe"), ("73", "AND"),
    ("73", "title = a OR"), ("75", "NOT"), ("76", "open > true"), ("76", "5 = capacity"), ("76", "seal > x"),
    ("76", "place = 5"), ("76", "doors = 5"), ("79", "doors.code = d1"), ("79", "title.x = 1"),
    ("81", "doors:d1"), ("82", "st*ne"), ("83", "size(doors) > 1"), ("84", "(" * 200 + "open = true" + ")" * 200),
    ("84", " ".join(["open = true"] * 500)), ("73", "title = 5 && open = true"), ("73", "etag = 5"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text"), REFUSED, ids=[f"rule_{r[0]}-{r[1][:30]}" for r in REFUSED])
def test_rules_73_to_85_a_filter_is_refused(halls: Api, rule: str, text: str) -> None:
    refusal = halls.refused(Code.INVALID_ARGUMENT, "ListHalls", filter=text)
    assert set(refusal.violations) == {"filter"}


def test_rule_73_a_refusal_says_where_and_what_was_meant(halls: Api) -> None:
    refusal = halls.refused(Code.INVALID_ARGUMENT, "ListHalls", filter="open = true AND capacitty = 5")
    assert "capacity" in refusal.violations["filter"]
    assert "17" in refusal.violations["filter"]


@pytest.mark.parametrize(
    "text", ["'", "\\", '" OR true --', "%", "_", "$1", "'; DROP TABLE halls; --", "\N{BICYCLE}"]
)
def test_rule_78_a_value_is_never_taken_for_anything_else(halls: Api, text: str) -> None:
    made = halls.call("CreateHall", hall={"title": text + new_id(), "labels": {text: text}})
    for condition in (f"title = {quoted(made.title)}", f"labels.{quoted(text)} = {quoted(text)}"):
        query = f'{condition} name = "{made.name}"'
        assert list(halls.call("ListHalls", filter=query).halls) == [made]
