"""Calls of both clients against a real server: requests, errors, retries, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from entresol_stories.v1 import CreateStoryRequest, GetStoryRequest, Story, StoryName, Vote
from google.rpc import error_details_pb2

from entresol_client import (
    NEVER,
    AbortedError,
    CallCancelledError,
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnavailableError,
    UnimplementedError,
)


@pytest.mark.parametrize("name", ["stories/1", StoryName("1"), GetStoryRequest(name="stories/1")])
async def test_a_call_takes_fields_names_or_the_whole_request(client: Any, name: object) -> None:
    story = await client.call("get_story", name)
    assert isinstance(story, Story)
    assert story.title == "Title of stories/1"


async def test_a_created_story_is_returned(client: Any, stories: Any) -> None:
    story = await client.call("create_story", Story(title="New"), story_id="new")
    assert story == Story(name="stories/new", title="New")
    assert stories.received[0].request.story_id == "new"


async def test_an_error_carries_what_the_server_says(client: Any, stories: Any, refusal: Any) -> None:
    info = error_details_pb2.ErrorInfo(
        reason="RESOURCE_NOT_FOUND", domain="d", metadata={"name": "stories/9"}
    )
    stories.refusals = [refusal(grpc.StatusCode.NOT_FOUND, "stories/9 does not exist", (info,))]
    with pytest.raises(
        NotFoundError, match=r"^NOT_FOUND: stories/9 does not exist \[RESOURCE_NOT_FOUND\]$"
    ) as caught:
        await client.call("get_story", "stories/9")
    assert caught.value.metadata == {"name": "stories/9"}


async def test_violations_arrive_together(client: Any, stories: Any, refusal: Any) -> None:
    bad = error_details_pb2.BadRequest()
    for name in ("story.title", "story.author"):
        bad.field_violations.add(field=name, description="must not be empty", reason="REQUIRED")
    stories.refusals = [refusal(grpc.StatusCode.INVALID_ARGUMENT, "wrong", (bad,))]
    with pytest.raises(InvalidArgumentError) as caught:
        await client.call("create_story", Story())
    assert [found.field for found in caught.value.violations] == ["story.title", "story.author"]


async def test_a_method_that_the_server_does_not_have_is_an_error(client: Any) -> None:
    with pytest.raises(UnimplementedError):
        await client.call("undelete_story", "stories/1")


async def test_reads_are_repeated_until_the_server_is_back(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away(), away()]
    assert (await client.call("get_story", "stories/1")).name == "stories/1"
    assert len(stories.received) == 3


async def test_every_attempt_of_a_write_has_the_same_request_id(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away(), away()]
    whole = CreateStoryRequest(story=Story(title="New"), story_id="new")
    await client.call("create_story", whole)
    identifiers = {attempt.request.request_id for attempt in stories.received}
    assert len(stories.received) == 3
    assert len(identifiers) == 1
    assert identifiers != {""}
    assert whole.request_id == ""


async def test_a_write_without_a_request_id_is_sent_once(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away()]
    with pytest.raises(UnavailableError):
        await client.call("vote_story", "stories/1", "users/1", Vote.DIRECTION_UP)
    assert len(stories.received) == 1


async def test_attempts_are_bounded(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away() for _ in range(9)]
    with pytest.raises(UnavailableError):
        await client.call("get_story", "stories/1")
    assert len(stories.received) == 4


async def test_a_call_may_be_told_never_to_repeat(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away()]
    with pytest.raises(UnavailableError):
        await client.call("get_story", "stories/1", retry=NEVER)
    assert len(stories.received) == 1


async def test_an_exhausted_server_that_names_a_delay_is_asked_again(
    client: Any, stories: Any, away: Any
) -> None:
    stories.refusals = [away(grpc.StatusCode.RESOURCE_EXHAUSTED, delay_ms=1)]
    assert (await client.call("get_story", "stories/1")).name == "stories/1"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.RESOURCE_EXHAUSTED, ResourceExhaustedError),
        (grpc.StatusCode.ABORTED, AbortedError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceededError),
        (grpc.StatusCode.CANCELLED, CallCancelledError),
    ],
)
async def test_other_errors_are_final(client: Any, stories: Any, away: Any, code: Any, error: Any) -> None:
    stories.refusals = [away(code)]
    with pytest.raises(error):
        await client.call("get_story", "stories/1")
    assert len(stories.received) == 1


async def test_a_call_that_is_never_answered_ends_at_its_deadline(client: Any, stories: Any) -> None:
    stories.hold = asyncio.Event()
    with pytest.raises(DeadlineExceededError):
        await client.call("get_story", "stories/1", timeout=0.05)


async def test_the_server_is_told_the_deadline(client: Any, stories: Any) -> None:
    await client.call("get_story", "stories/1")
    await client.call("get_story", "stories/1", timeout=3.0)
    first, second = stories.received
    assert first.left_s == pytest.approx(15.0, abs=1.0)
    assert second.left_s == pytest.approx(3.0, abs=1.0)


async def test_a_delay_beyond_the_deadline_is_not_waited_for(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away(delay_ms=60_000)]
    with pytest.raises(UnavailableError) as caught:
        await client.call("get_story", "stories/1", timeout=10.0)
    assert caught.value.retry_after_s == 60.0


async def test_an_option_that_does_not_exist_is_refused(client: Any, stories: Any) -> None:
    with pytest.raises(TypeError, match="'readmask' is neither a field"):
        await client.call("get_story", "stories/1", readmask="title")
    assert stories.received == []


async def test_a_server_that_is_away_is_unavailable_and_found_again(
    client: Any, stories: Any, away: Callable[..., Any]
) -> None:
    stories.refusals = [away() for _ in range(4)]
    with pytest.raises(UnavailableError):
        await client.call("get_story", "stories/1")
    assert (await client.call("get_story", "stories/1")).name == "stories/1"
