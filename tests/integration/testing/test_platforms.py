"""The fixture `platform`: it takes fields as `entresol call` does, and is as brief about what is wrong."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from entresol.errors import InvalidArgumentError
from entresol.service.status import CallFailedError
from entresol.testing.platforms import Platforms, ServedPlatform

STORIES = "stories.v1.StoryService"


@pytest.fixture(scope="module")
def platform(platforms: Platforms) -> Iterator[ServedPlatform]:
    with platforms.serve() as served:
        yield served


@pytest.fixture(scope="module")
def author(platform: ServedPlatform) -> str:
    return str(platform.call("stories.v1.UserService/CreateUser", user={"display_name": "Ann"}).name)


@pytest.fixture
def story(platform: ServedPlatform, author: str) -> Any:
    return platform.call(f"{STORIES}/CreateStory", story={"title": "One", "author": author})


@pytest.mark.parametrize(
    "mask",
    [
        "score,post_time",
        "score, postTime",
        FieldMask(paths=["score", "post_time"]),
    ],
    ids=str,
)
def test_a_mask_is_written_as_on_a_command_line(platform: ServedPlatform, story: Any, mask: Any) -> None:
    change = {"name": story.name, "title": "Two", "score": 3, "postTime": "2016-08-04T11:52:00Z"}
    changed = platform.call(f"{STORIES}/UpdateStory", story=change, update_mask=mask)
    assert (changed.title, changed.score, changed.post_time.seconds) == ("One", 3, 1470311520)


def test_fields_are_messages_lists_maps_and_json(platform: ServedPlatform, author: str, story: Any) -> None:
    fields = {"author": author, "tags": ["a", "b"], "annotations": {"k": "v"}, "url": None}
    requests = [{"story": {"title": title, **fields}} for title in "xy"]
    batch = platform.call(f"{STORIES}/BatchCreateStories", requests=[*requests, {"story": story}]).stories
    assert [made.title for made in batch] == ["x", "y", "One"]
    assert (list(batch[0].tags), dict(batch[0].annotations)) == (["a", "b"], {"k": "v"})
    story.title = "Two"
    changed = platform.call(f"{STORIES}/UpdateStory", story=story, update_mask="")
    assert changed.title == "Two"


WRONG = [
    ("GetStory", {"nam": "x"}, "nam: GetStoryRequest has no field 'nam'; did you mean name?"),
    (
        "CreateStory",
        {"story": {"titel": "x"}},
        "story.titel: Story has no field 'titel'; did you mean title?",
    ),
    (
        "BatchCreateStories",
        {"requests": [{}, {"story": {"titel": "x"}}]},
        "requests[1].story.titel: Story has no field 'titel'; did you mean title?",
    ),
    (
        "CreateStory",
        {"story": {"score": "many"}},
        "story.score: must be a whole number from -2147483648 to 2147483647",
    ),
    ("CreateStory", {"story": "x"}, "story: is a Story: write an object of name, "),
    ("BatchCreateStories", {"requests": ["x"]}, "requests[0]: is a CreateStoryRequest: write "),
    ("GetStori", {}, "stories.v1.StoryService has no method 'GetStori'; it has GetStory"),
]


@pytest.mark.parametrize(("method", "fields", "says"), WRONG, ids=[f"{one[0]} {one[1]}" for one in WRONG])
def test_what_is_wrong_is_told_in_one_sentence(
    platform: ServedPlatform, method: str, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        platform.call(f"{STORIES}/{method}", **fields)
    assert says in caught.value.message
    assert "\n" not in caught.value.message
    _is_of_the_test(caught.value)


def test_what_the_server_refuses_is_told_without_the_inside_of_the_client(platform: ServedPlatform) -> None:
    with pytest.raises(CallFailedError, match="stories/nothing does not exist") as caught:
        platform.call(f"{STORIES}/GetStory", name="stories/nothing")
    _is_of_the_test(caught.value)


def _is_of_the_test(error: Exception) -> None:
    """Require that pytest shows where the test called, and nothing below it."""
    assert error.__suppress_context__
    assert error.__cause__ is None
    here, called = traceback.extract_tb(error.__traceback__)
    assert here.filename == __file__
    assert called.name == "call"
