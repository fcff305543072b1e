"""Rules 87 to 96: Create and BatchCreate."""

from __future__ import annotations

import re

import pytest
from tests.integration.service.api import Api, new_id
from tests.integration.service.museum import STRANGER

from entresol.errors import Code
from entresol.schema.names import is_user_id


@pytest.fixture
def parent(api: Api, ann: str) -> str:
    return str(api.call("CreateStory", story={"title": "t", "author": ann}).name)


def test_rule_87_the_reply_is_the_record_with_all_that_was_given(api: Api, ann: str) -> None:
    story = {
        "title": "t",
        "author": ann,
        "score": 3,
        "tags": ["a"],
        "annotations": {"k": "v"},
        "kind": "KIND_ASK",
    }
    made = api.call("CreateStory", story=story)
    wanted = api.request("CreateStory", {"story": story}).story
    assert {field.name for field, _ in wanted.ListFields()} <= {field.name for field, _ in made.ListFields()}
    assert all(getattr(made, field.name) == value for field, value in wanted.ListFields())
    assert made.create_time == made.update_time
    assert re.fullmatch(r"[0-9a-f-]{36}", made.uid)


def test_rule_88_the_name_of_the_input_is_ignored(api: Api, ann: str, parent: str) -> None:
    taken = {"title": "other", "author": ann, "name": parent}
    made = api.call("CreateStory", story=taken)
    assert made.name != parent
    odd = api.call("CreateStory", story={**taken, "name": "not a name"}, story_id=(new := new_id("s")))
    assert odd.name == f"stories/{new}"
    assert api.call("GetStory", name=parent).title == "t"


def test_rule_89_the_caller_chooses_the_id_or_the_server_does(api: Api, ann: str) -> None:
    story = {"title": "t", "author": ann}
    chosen = api.call("CreateStory", story=story, story_id=(new := new_id("s")))
    made = [api.call("CreateStory", story=story).name for _ in range(2)]
    assert chosen.name == f"stories/{new}"
    assert all(is_user_id(name.removeprefix("stories/")) for name in made)
    assert made[0] < made[1]  # in the order they were made, when that differs by a millisecond or more


@pytest.mark.parametrize(
    "wrong", ["A", "1a", "-a", "a-", "a_b", "a/b", "a.b", "-", "\N{LATIN SMALL LETTER E WITH ACUTE}", "a" * 64, " a"]
)  # fmt: skip
def test_rule_89_an_id_has_the_documented_form(api: Api, ann: str, wrong: str) -> None:
    request = {"story": {"title": "t", "author": ann}, "story_id": wrong}
    refusal = api.refused(Code.INVALID_ARGUMENT, "CreateStory", **request)
    assert "lower-case" in refusal.violations["story_id"]


def test_rule_89_where_the_caller_must_choose_there_is_no_other_id(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall"}).name
    refusal = halls.refused(Code.INVALID_ARGUMENT, "CreateExhibit", parent=hall, exhibit={"title": "Vase"})
    assert set(refusal.violations) == {"exhibit_id"}


def test_rule_90_a_name_that_is_taken_already_exists_and_stays_as_it_is(
    api: Api, ann: str, parent: str
) -> None:
    request = {"story": {"title": "other", "author": ann}, "story_id": parent.removeprefix("stories/")}
    refusal = api.refused(Code.ALREADY_EXISTS, "CreateStory", **request)
    assert refusal.info.metadata["name"] == parent
    assert api.call("GetStory", name=parent).title == "t"


def test_rule_90_a_unique_value_that_is_taken_already_exists(halls: Api) -> None:
    badge = new_id("badge")
    halls.call("CreateHall", hall={"title": "one", "badge": badge})
    refusal = halls.refused(Code.ALREADY_EXISTS, "CreateHall", hall={"title": "two", "badge": badge})
    assert refusal.info.metadata["fields"] == "badge"
    other = halls.call("CreateHall", hall={"title": "two"})
    halls.refused(
        Code.ALREADY_EXISTS, "UpdateHall", hall={"name": other.name, "badge": badge}, update_mask="badge"
    )


def test_rule_90_a_duplicate_is_not_shown_to_who_may_not_create(halls: Api) -> None:
    taken = halls.call("CreateHall", hall={"title": "one"}, hall_id=new_id("hall"))
    request = {"hall": {"title": "two"}, "hall_id": taken.name.removeprefix("halls/")}
    halls.refused(Code.PERMISSION_DENIED, "CreateHall", STRANGER, **request)


def test_rule_91_a_missing_parent_is_not_found(api: Api, ann: str) -> None:
    comment = {"author": ann, "text": "c"}
    refusal = api.refused(Code.NOT_FOUND, "CreateComment", parent="stories/nothing", comment=comment)
    assert refusal.info.metadata["name"] == "stories/nothing"
    for wrong in ("", "stories/-", "users/x", "stories/a/comments/b"):
        refusal = api.refused(Code.INVALID_ARGUMENT, "CreateComment", parent=wrong, comment=comment)
        assert set(refusal.violations) == {"parent"}


def test_rule_92_the_name_of_a_deleted_record_is_still_taken(api: Api, ann: str, parent: str) -> None:
    api.call("DeleteStory", name=parent)
    request = {"story": {"title": "t", "author": ann}, "story_id": parent.removeprefix("stories/")}
    api.refused(Code.ALREADY_EXISTS, "CreateStory", **request)


def test_rule_93_a_batch_holds_requests_and_answers_with_the_records(api: Api, ann: str, parent: str) -> None:
    requests = [{"comment": {"author": ann, "text": text}, "comment_id": f"c{text}"} for text in "cab"]
    made = api.call("BatchCreateComments", parent=parent, requests=requests).comments
    assert [(c.name, c.text) for c in made] == [(f"{parent}/comments/c{text}", text) for text in "cab"]
    assert [api.call("GetComment", name=comment.name) for comment in made] == list(made)


def test_rule_94_a_batch_is_created_whole_or_not_at_all(api: Api, ann: str, parent: str) -> None:
    good = {"comment": {"author": ann, "text": "good"}, "comment_id": "good"}
    failing = [
        (Code.ALREADY_EXISTS, {**good, "comment_id": "taken"}),
        (Code.FAILED_PRECONDITION, {"comment": {"author": "users/nobody", "text": "c"}}),
        (Code.INVALID_ARGUMENT, {"comment": {"author": ann}}),
        (Code.INVALID_ARGUMENT, good),  # the same id twice
    ]
    api.call("CreateComment", parent=parent, **{**good, "comment_id": "taken"})
    for code, bad in failing:
        api.refused(code, "BatchCreateComments", parent=parent, requests=[good, bad])
        api.refused(Code.NOT_FOUND, "GetComment", name=f"{parent}/comments/good")


def test_rule_95_a_request_has_the_parent_of_its_batch_or_none(api: Api, ann: str, parent: str) -> None:
    other = api.call("CreateStory", story={"title": "t", "author": ann}).name
    comment = {"author": ann, "text": "c"}
    mixed = [
        {"comment": comment},
        {"parent": parent, "comment": comment},
        {"parent": other, "comment": comment},
    ]
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateComments", parent=parent, requests=mixed)
    assert set(refusal.violations) == {"requests[2].parent"}
    assert len(api.call("BatchCreateComments", parent=parent, requests=mixed[:2]).comments) == 2
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateComments", requests=mixed)
    assert set(refusal.violations) == {"requests[0].parent"}
    made = api.call("BatchCreateComments", requests=mixed[1:]).comments
    assert [comment.name.rpartition("/comments/")[0] for comment in made] == [parent, other]


def test_rule_95_a_batch_is_tried_out_whole_or_not_at_all(api: Api, halls: Api, ann: str) -> None:
    story = {"title": "t", "author": ann}
    requests = [{"story": story, "story_id": new_id("s"), "validate_only": dry} for dry in (True, False)]
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateStories", requests=requests)
    assert set(refusal.violations) == {"requests[1].validate_only"}
    tried = api.call("BatchCreateStories", requests=requests[:1]).stories[0]
    api.refused(Code.NOT_FOUND, "GetStory", name=tried.name)
    tried = halls.call("BatchCreateHalls", requests=[{"hall": {"title": "t"}}], validate_only=True).halls[0]
    halls.refused(Code.NOT_FOUND, "GetHall", name=tried.name)


def test_rule_96_a_batch_has_a_maximum_and_a_minimum(api: Api, ann: str) -> None:
    request = {"story": {"title": "t", "author": ann}}
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateStories", requests=[request] * 1001)
    assert "1000" in refusal.violations["requests"]
    assert "requests" in api.refused(Code.INVALID_ARGUMENT, "BatchCreateStories", requests=[]).violations


def test_rule_96_every_violation_of_a_batch_names_its_request(api: Api, ann: str) -> None:
    requests = [
        {"story": {"author": ann}},
        {"story": {"title": "t", "author": ann}, "story_id": "No"},
        {"story": {"title": "t", "author": "nobody"}, "request_id": "no uuid"},
    ]
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateStories", requests=requests)
    assert set(refusal.violations) == {
        "requests[0].story.title",
        "requests[1].story_id",
        "requests[2].story.author",
        "requests[2].request_id",
    }


def test_one_of_several_fields_is_kept_the_last_that_was_set(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall"}).name
    request = {"parent": hall, "exhibit_id": "vase"}
    made = halls.call("CreateExhibit", **request, exhibit={"title": "Vase", "giver": "Kim"})
    assert made.WhichOneof("origin") == "giver"
    sold = halls.call("UpdateExhibit", exhibit={"name": made.name, "price": "5"}, update_mask="giver,price")
    assert (sold.WhichOneof("origin"), sold.price) == ("price", 5)
    both = halls.refused(
        Code.INVALID_ARGUMENT,
        "UpdateExhibit",
        exhibit={"name": made.name, "giver": "Kim"},
        update_mask="giver",
    )
    assert set(both.violations) == {"origin"}
