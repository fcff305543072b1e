"""Requests: made of fields, names, masks and times, or given whole; and what is never silently accepted."""

from __future__ import annotations

import datetime
import uuid

import pytest
from entresol_stories.v1 import (
    BatchGetStoriesRequest,
    BatchGetStoriesResponse,
    Comment,
    CreateStoryRequest,
    GetStoryRequest,
    ListStoriesRequest,
    ListStoriesResponse,
    Story,
    StoryName,
    UpdateStoryRequest,
)
from google.protobuf.field_mask_pb2 import FieldMask

from entresol_client import Method, PagedMethod

GET = Method("/s/Get", GetStoryRequest, Story, first="name", idempotent=True, routing=("name",))
BATCH_GET = Method("/s/BatchGet", BatchGetStoriesRequest, BatchGetStoriesResponse, first="names")
CREATE = Method("/s/Create", CreateStoryRequest, Story, first="story", request_id="request_id")
UPDATE = Method("/s/Update", UpdateStoryRequest, Story, first="story", routing=("story.name",))
LIST = PagedMethod("/s/List", ListStoriesRequest, ListStoriesResponse, items=lambda page: page.stories)


def test_names_may_be_values_or_text() -> None:
    assert GET.request(StoryName("1")) == GET.request("stories/1") == GetStoryRequest(name="stories/1")
    names = BATCH_GET.request([StoryName("1"), "stories/2"]).names
    assert list(names) == ["stories/1", "stories/2"]


@pytest.mark.parametrize("mask", ["title, url", ["title", "url"], FieldMask(paths=["title", "url"])])
def test_masks_may_be_text_paths_or_messages(mask: object) -> None:
    assert list(UPDATE.request(Story(), update_mask=mask).update_mask.paths) == ["title", "url"]


def test_times_may_be_pythons() -> None:
    noon = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
    assert Story(post_time=noon).post_time.ToDatetime(datetime.UTC) == noon


def test_a_whole_request_is_copied_and_stays_as_it_was() -> None:
    whole = CreateStoryRequest(story_id="a")
    request = CREATE.request(whole, story_id=None)
    assert request.story_id == "a"
    assert request.request_id
    assert whole.request_id == ""


def test_a_request_id_is_made_when_there_is_none() -> None:
    made = CREATE.request(Story()).request_id
    assert uuid.UUID(made).version == 4
    assert CREATE.request(Story(), request_id="mine").request_id == "mine"


def test_reads_and_requests_with_an_id_may_be_repeated() -> None:
    assert GET.repeatable(GetStoryRequest())
    assert CREATE.repeatable(CREATE.request(Story()))
    assert not CREATE.repeatable(CreateStoryRequest())
    assert not UPDATE.repeatable(UPDATE.request(Story()))


@pytest.mark.parametrize(
    ("request_", "header"),
    [
        (GET.request("stories/ü"), "name=stories%2F%C3%BC"),
        (UPDATE.request(Story(name="stories/1")), None),
        (GET.request(""), None),
    ],
)
def test_fields_of_the_path_become_the_routing_header(request_: object, header: str | None) -> None:
    expected = [("x-goog-request-params", header)] if header else []
    assert GET.metadata(request_) == expected if isinstance(request_, GetStoryRequest) else True


def test_fields_of_a_message_in_the_path_are_routed_by_too() -> None:
    request = UPDATE.request(Story(name="stories/1"))
    assert UPDATE.metadata(request) == [("x-goog-request-params", "story.name=stories%2F1")]


def test_a_request_with_an_id_tells_proxies_that_it_may_be_sent_again() -> None:
    request = CREATE.request(Story())
    assert CREATE.metadata(request) == [("x-idempotency-key", request.request_id)]
    assert CREATE.metadata(CreateStoryRequest()) == []


def test_the_next_page_is_asked_for_with_its_token_and_all_else_as_it_was() -> None:
    request = ListStoriesRequest(filter="score > 1", page_size=2)
    following = LIST.following(request, ListStoriesResponse(next_page_token="t"))
    assert following == ListStoriesRequest(filter="score > 1", page_size=2, page_token="t")
    assert LIST.following(request, ListStoriesResponse()) is None


def test_a_request_and_fields_together_are_refused() -> None:
    with pytest.raises(TypeError, match="story_id: give either a CreateStoryRequest or its fields, not both"):
        CREATE.request(CreateStoryRequest(), story_id="a")


def test_a_name_alone_is_no_list_of_names() -> None:
    with pytest.raises(TypeError, match="names: must be a list, not 'stories/1' alone"):
        BATCH_GET.request("stories/1")


def test_another_message_is_refused() -> None:
    with pytest.raises(TypeError, match="the first argument must be a ListStoriesRequest"):
        LIST.request("stories/1")
    with pytest.raises(TypeError):
        CREATE.request(Comment())
