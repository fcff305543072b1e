"""Rules 58 to 71: List, its pages and its order."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id
from tests.integration.service.museum import STRANGER

from entresol.errors import Code
from entresol.service.call import CONSISTENCY_KEY
from entresol.testing.servers import Database


@pytest.fixture
def tag(api: Api, ann: str) -> str:
    """Give a tag that seven stories have, two of them with equal scores."""
    tag = new_id("tag")
    scores = [5, 1, 4, 4, 2, 7, 3]
    requests = [{"story": {"title": "t", "author": ann, "tags": [tag], "score": score}} for score in scores]
    api.call("BatchCreateStories", requests=requests)
    return tag


def tagged(tag: str) -> str:
    return f'tags:"{tag}"'


def names(pages: Iterable[Iterable[Any]]) -> list[str]:
    return [record.name for page in pages for record in page]


def test_rule_58_a_list_below_a_parent_needs_it(api: Api, ann: str) -> None:
    stories = [api.call("CreateStory", story={"title": "t", "author": ann}).name for _ in range(2)]
    made = [
        api.call("CreateComment", parent=story, comment={"author": ann, "text": "c"}).name
        for story in stories
    ]
    for story, comment in zip(stories, made, strict=True):
        assert names([api.call("ListComments", parent=story).comments]) == [comment]
    assert set(api.refused(Code.INVALID_ARGUMENT, "ListComments").violations) == {"parent"}
    assert not api.call("ListComments", parent="stories/nothing").comments


def test_rule_59_the_page_fields_are_never_needed(api: Api, tag: str) -> None:
    reply = api.call("ListStories", filter=tagged(tag))
    assert len(reply.stories) == 7
    assert reply.next_page_token == ""


def test_rule_60_a_page_has_the_default_size_for_0_and_never_more_than_the_maximum(halls: Api) -> None:
    title = new_id("title")
    halls.call("BatchCreateHalls", requests=[{"hall": {"title": title}} for _ in range(5)])
    listed = {
        size: len(halls.call("ListHalls", filter=f'title = "{title}"', page_size=size).halls)
        for size in (0, 1, 3, 1000)
    }
    assert listed == {0: 2, 1: 1, 3: 3, 1000: 3}
    assert "page_size" in halls.refused(Code.INVALID_ARGUMENT, "ListHalls", page_size=-1).violations


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8])
def test_rule_62_the_last_page_and_only_the_last_has_no_token(api: Api, tag: str, size: int) -> None:
    pages = api.pages("ListStories", "stories", filter=tagged(tag), page_size=size)
    assert [len(page) for page in pages] == [size] * (7 // size) + [7 % size] * (7 % size > 0)
    assert len(set(names(pages))) == 7


def test_rule_62_an_empty_list_has_no_token(api: Api) -> None:
    reply = api.call("ListStories", filter=tagged(new_id()))
    assert (list(reply.stories), reply.next_page_token) == ([], "")


def test_rule_63_a_token_tells_nothing_and_fits_a_url(api: Api, tag: str) -> None:
    reply = api.call("ListStories", filter=tagged(tag), page_size=1)
    token = reply.next_page_token
    assert token.replace("-", "").replace("_", "").isalnum()
    assert reply.stories[0].name.encode() not in base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


def test_rule_63_a_token_grants_nothing(halls: Api) -> None:
    halls.call("BatchCreateHalls", requests=[{"hall": {"title": "Hall"}} for _ in range(3)])
    token = halls.call("ListHalls", page_size=1).next_page_token
    halls.refused(Code.PERMISSION_DENIED, "ListHalls", STRANGER, page_size=1, page_token=token)


def test_rule_63_a_token_that_was_not_issued_is_refused(api: Api, tag: str) -> None:
    token = api.call("ListStories", filter=tagged(tag), page_size=1).next_page_token
    changed = ("A" if token[0] != "A" else "B") + token[1:]
    for wrong in ("x", "not a token", token[:10], token + "AAAA", "A" * len(token), changed):
        refusal = api.refused(Code.INVALID_ARGUMENT, "ListStories", filter=tagged(tag), page_token=wrong)
        assert refusal.info.reason == "INVALID_PAGE_TOKEN"
        assert "page_token" in refusal.violations


def test_rule_64_another_page_size_is_honoured(api: Api, tag: str) -> None:
    first = api.call("ListStories", filter=tagged(tag), page_size=1)
    rest = api.call("ListStories", filter=tagged(tag), page_size=10, page_token=first.next_page_token)
    assert (len(rest.stories), rest.next_page_token) == (6, "")


def test_rule_64_a_token_belongs_to_the_whole_query(api: Api, tag: str, ann: str) -> None:
    query: dict[str, Any] = {"filter": tagged(tag), "order_by": "score"}
    token = api.call("ListStories", **query, page_size=1).next_page_token
    others: list[dict[str, Any]] = [
        {**query, "filter": f"{tagged(tag)} AND score > 0"},
        {**query, "order_by": "score desc"},
        {**query, "order_by": ""},
        {**query, "show_deleted": True},
    ]
    for other in others:
        api.refused(Code.INVALID_ARGUMENT, "ListStories", **other, page_size=1, page_token=token)
    assert api.call("ListStories", **query, page_size=1, page_token=token).stories
    parent = api.call("CreateStory", story={"title": "t", "author": ann}).name
    for _ in range(2):
        api.call("CreateComment", parent=parent, comment={"author": ann, "text": "c"})
    token = api.call("ListComments", parent=parent, page_size=1).next_page_token
    api.refused(Code.INVALID_ARGUMENT, "ListComments", parent="stories/-", page_size=1, page_token=token)
    api.refused(Code.INVALID_ARGUMENT, "ListVotes", parent=parent, page_size=1, page_token=token)


def test_rule_64_a_page_goes_on_where_the_one_before_ended_whatever_was_written_between(
    api: Api, tag: str, ann: str
) -> None:
    query = {"filter": tagged(tag), "order_by": "score desc", "page_size": 3}
    first = api.call("ListStories", **query)
    api.call("CreateStory", story={"title": "t", "author": ann, "tags": [tag], "score": 9})
    api.call("DeleteStory", name=first.stories[2].name)
    second = api.call("ListStories", **query, page_token=first.next_page_token)
    assert [story.score for story in (*first.stories, *second.stories)] == [7, 5, 4, 4, 3, 2]


def test_rule_67_a_list_may_leave_out_some_and_beyond_the_end_is_empty(halls: Api) -> None:
    title = new_id("title")
    made = halls.call("BatchCreateHalls", requests=[{"hall": {"title": title}} for _ in range(5)]).halls
    wanted = sorted(hall.name for hall in made)
    query = {"filter": f'title = "{title}"', "page_size": 2}
    page = halls.call("ListHalls", **query, skip=1)
    assert names([page.halls]) == wanted[1:3]
    assert (
        names([halls.call("ListHalls", **query, skip=1, page_token=page.next_page_token).halls]) == wanted[4:]
    )
    beyond = halls.call("ListHalls", **query, skip=5)
    assert (list(beyond.halls), beyond.next_page_token) == ([], "")
    halls.refused(Code.INVALID_ARGUMENT, "ListHalls", skip=-1)


@pytest.mark.parametrize("order", ["score", " score  desc ", "score desc, name desc", "name", "name desc"])
def test_rule_68_pages_of_any_size_hold_every_record_once_in_order(api: Api, tag: str, order: str) -> None:
    whole = api.call("ListStories", filter=tagged(tag), order_by=order).stories
    pages = api.pages("ListStories", "stories", filter=tagged(tag), order_by=order, page_size=2)
    assert [record for page in pages for record in page] == list(whole)
    terms = [term.split() for term in order.split(",")]
    keys = [("name", False)] * (terms[-1][0] != "name") + [(t[0], t[-1] == "desc") for t in reversed(terms)]
    wanted = list(whole)
    for field, descending in keys:
        wanted.sort(key=lambda story: getattr(story, field), reverse=descending)
    assert list(whole) == wanted


@pytest.mark.parametrize(
    "order",
    ["no_such_field", "title", "comment_count", "score desc asc", "score,score", "score, title", "annotations.a",
     "etag", ",", "score desc nulls last", "name, score"],
)  # fmt: skip
def test_rule_68_an_order_that_no_index_serves_is_refused(api: Api, order: str) -> None:
    refusal = api.refused(Code.INVALID_ARGUMENT, "ListStories", order_by=order)
    assert set(refusal.violations) == {"order_by"}


CAPACITIES = [None, 3, None, 3, 0, 9, None]
HEIGHTS = [2.5, 1.0, 1.0, 2.0, 0.0, 1.5, 2.5]


@pytest.mark.parametrize(
    "order", ["capacity desc, height", "capacity, height desc", "capacity", "capacity desc"]
)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_rule_68_mixed_directions_and_unset_values_keep_their_place_over_pages(
    halls: Api, order: str, size: int
) -> None:
    title = new_id("title")
    values = [
        {"title": title, "height": height} | ({} if capacity is None else {"capacity": capacity})
        for capacity, height in zip(CAPACITIES, HEIGHTS, strict=True)
    ]
    halls.call("BatchCreateHalls", requests=[{"hall": hall} for hall in values])
    pages = halls.pages("ListHalls", "halls", filter=f'title = "{title}"', order_by=order, page_size=size)
    listed = [hall for page in pages for hall in page]
    wanted = sorted(listed, key=lambda hall: hall.name)
    for term in reversed(order.split(", ")):
        field, _, direction = term.partition(" ")
        # What is unset counts as the largest value.
        wanted.sort(
            key=lambda hall: (not hall.HasField("capacity") if field == "capacity" else False, getattr(hall, field)),
            reverse=bool(direction),
        )  # fmt: skip
    assert names([listed]) == names([wanted])
    assert len(listed) == 7


def test_rule_69_deleted_records_are_listed_only_when_asked_for(api: Api, tag: str) -> None:
    before = names(api.pages("ListStories", "stories", filter=tagged(tag)))
    api.call("DeleteStory", name=before[0])
    assert names(api.pages("ListStories", "stories", filter=tagged(tag))) == before[1:]
    shown = api.pages("ListStories", "stories", filter=tagged(tag), show_deleted=True, page_size=3)
    assert names(shown) == before
    assert [story.HasField("delete_time") for page in shown for story in page] == [True] + [False] * 6


def test_rule_70_every_caller_sees_the_same(halls: Api) -> None:
    title = new_id("title")
    halls.call("BatchCreateHalls", requests=[{"hall": {"title": title}} for _ in range(2)])
    seen = [
        names([halls.call("ListHalls", {"role": role}, filter=f'title = "{title}"').halls])
        for role in ("director", "visitor")
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2


def test_rule_71_a_dash_lists_across_parents_with_real_names(api: Api, tag: str, ann: str) -> None:
    parents = names(api.pages("ListStories", "stories", filter=tagged(tag)))[:3]
    text = new_id("text")
    made = {
        api.call("CreateComment", parent=parent, comment={"author": ann, "text": text}).name
        for parent in parents
    }
    for wildcard in ("stories/-", "-"):
        pages = api.pages("ListComments", "comments", parent=wildcard, filter=f'text = "{text}"', page_size=2)
        assert set(names(pages)) == made


def test_rule_71_a_dash_stands_in_every_place_or_in_none(halls: Api) -> None:
    hall = halls.call("CreateHall", hall={"title": "Hall"}).name
    exhibit = halls.call("CreateExhibit", parent=hall, exhibit={"title": "Vase"}, exhibit_id="vase").name
    remark = halls.call("CreateRemark", parent=exhibit, remark={"text": "nice"}).name
    assert remark in names(halls.pages("ListRemarks", "remarks", parent="halls/-/exhibits/-"))
    assert names(halls.pages("ListRemarks", "remarks", parent=exhibit)) == [remark]
    for mixed in (f"{hall}/exhibits/-", "halls/-/exhibits/vase"):
        assert "parent" in halls.refused(Code.INVALID_ARGUMENT, "ListRemarks", parent=mixed).violations


def test_every_violation_of_a_list_is_told_at_once(api: Api) -> None:
    refusal = api.refused(
        Code.INVALID_ARGUMENT, "ListStories", page_size=-1, filter="nothing = 1", order_by="nothing"
    )
    assert set(refusal.violations) == {"page_size", "filter", "order_by"}


def test_a_list_comes_from_a_replica_and_on_demand_from_the_primary(
    halls: Api, museum_database: Database
) -> None:
    title = new_id("title")
    halls.call("CreateHall", hall={"title": title})
    asyncio.run(museum_database.settle())
    halls.session = ""
    query = {"filter": f'title = "{title}"'}
    for consistency, source in (("eventual", "replica"), ("strong", "primary")):
        assert len(halls.call("ListHalls", {CONSISTENCY_KEY: consistency}, **query).halls) == 1
        assert halls.answered_by == source
