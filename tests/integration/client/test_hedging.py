"""A read that waits for too long is sent once more, by both clients; the answer that comes first ends the other."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
import pytest_asyncio

from entresol_client import AbortedError, CallCancelledError, NotFoundError, trace

SOON_S, NEVER_S = 0.02, 60.0


@pytest_asyncio.fixture(params=[SOON_S])
async def hedged(request: pytest.FixtureRequest, client: Any, server: str) -> Any:
    """Give a connection of the client's kind that hedges after the time of the parameter."""
    kind = type(client.connection)
    made = kind(server, hedge_after_s=request.param)
    yield made
    closed = made.close()
    if asyncio.iscoroutine(closed):
        await closed


async def held(stories: Any, call: Any) -> Any:
    """Hold the first attempt back for good, and return what becomes of the call."""
    stories.hold, stories.holds_one = asyncio.Event(), True
    return await call


async def test_the_second_attempt_answers_and_the_first_is_given_up(
    client: Any, hedged: Any, stories: Any
) -> None:
    with trace() as calls:
        story = await held(stories, client.call("get_story", "stories/1", connection=hedged))
    assert story.name == "stories/1"
    await asyncio.wait_for(stories.cancelled.wait(), 10)
    assert [(call.attempts, call.hedges) for call in calls] == [(1, 1)]
    first, second = stories.received
    assert first.request == second.request


@pytest.mark.parametrize("hedged", [NEVER_S], indirect=True)
async def test_a_read_that_is_answered_in_time_is_sent_once(client: Any, hedged: Any, stories: Any) -> None:
    await client.call("get_story", "stories/1", connection=hedged)
    assert len(stories.received) == 1


async def test_a_write_is_never_sent_to_two(client: Any, hedged: Any, stories: Any) -> None:
    stories.hold = asyncio.Event()
    call = asyncio.create_task(client.call("delete_story", "stories/1", connection=hedged))
    await stories.entered.wait()
    with pytest.raises(TimeoutError):  # in the time in which a read would be sent again, several times over
        await asyncio.wait_for(stories.cancelled.wait(), 5 * SOON_S)
    assert len(stories.received) == 1
    stories.hold.set()
    await call


async def test_an_error_is_an_answer(client: Any, hedged: Any, stories: Any, refusal: Any) -> None:
    stories.refusals = [refusal(grpc.StatusCode.NOT_FOUND)]
    with pytest.raises(NotFoundError):
        await held(stories, client.call("get_story", "stories/1", connection=hedged))


@pytest.mark.parametrize("hedged", [NEVER_S], indirect=True)
async def test_a_server_that_is_away_is_asked_again_as_ever(
    client: Any, hedged: Any, stories: Any, away: Any
) -> None:
    stories.refusals = [away(), away()]
    with trace() as calls:
        await client.call("get_story", "stories/1", connection=hedged)
    assert [(call.attempts, call.hedges) for call in calls] == [(3, 0)]


@pytest.mark.parametrize("hedged", [NEVER_S], indirect=True)
async def test_an_error_that_ends_a_call_is_raised_whole(
    client: Any, hedged: Any, stories: Any, refusal: Any
) -> None:
    stories.refusals = [refusal(grpc.StatusCode.ABORTED, "changed meanwhile")]
    with pytest.raises(AbortedError, match="changed meanwhile"):
        await client.call("get_story", "stories/1", connection=hedged)


@pytest.mark.parametrize("hedged", [NEVER_S], indirect=True)
async def test_closing_ends_a_hedged_call(client: Any, hedged: Any, stories: Any) -> None:
    stories.hold = asyncio.Event()
    call = asyncio.create_task(client.call("get_story", "stories/1", connection=hedged))
    await stories.entered.wait()
    closed = hedged.close()
    if asyncio.iscoroutine(closed):
        await closed
    with pytest.raises(CallCancelledError):
        await call
