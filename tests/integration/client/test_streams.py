"""Streams from the server: in order, with errors at their end, and cut when nobody listens."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from entresol_stories.v1 import ListStoriesRequest

from entresol_client import FailedPreconditionError, trace


async def test_replies_come_in_order(client: Any, watch: Any) -> None:
    stream = client.connection.stream(watch, ListStoriesRequest(), {})
    assert [story.name for story in await client.items(stream)] == [
        f"stories/{number}" for number in range(1, 6)
    ]


async def test_a_stream_has_no_deadline_unless_it_is_given_one(client: Any, watch: Any, stories: Any) -> None:
    await client.items(client.connection.stream(watch, ListStoriesRequest(), {}))
    await client.items(client.connection.stream(watch, ListStoriesRequest(), {"timeout": 5.0}))
    assert stories.received[0].left_s is None
    assert stories.received[1].left_s == pytest.approx(5.0, abs=1.0)


async def test_an_error_ends_the_stream_and_is_not_repeated(
    client: Any, watch: Any, stories: Any, refusal: Any
) -> None:
    stories.refusals = [refusal(grpc.StatusCode.FAILED_PRECONDITION, "the marker is too old")]
    with pytest.raises(FailedPreconditionError, match="the marker is too old"):
        await client.items(client.connection.stream(watch, ListStoriesRequest(), {}))
    assert len(stories.received) == 1


async def test_closing_the_iterator_ends_the_call_on_the_server(
    client: Any, watch: Any, stories: Any
) -> None:
    stories.hold = asyncio.Event()
    stream = client.connection.stream(watch, ListStoriesRequest(), {})
    assert (await client.first(stream)).name == "stories/1"
    await client.end(stream)
    await asyncio.wait_for(stories.ended.wait(), 10)


async def test_a_stream_is_traced_when_it_ends(client: Any, watch: Any, stories: Any) -> None:
    stories.trailing = [("entresol-answered-by", "primary")]
    with trace() as calls:
        await client.items(client.connection.stream(watch, ListStoriesRequest(), {}))
    assert [call.answered_by for call in calls] == ["primary"]
