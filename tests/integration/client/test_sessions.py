"""What travels beside requests and replies: sessions, masks, consistency, routing, and who answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from entresol_stories.v1 import Story

from entresol_client import Consistency, Session, UnavailableError, trace

SESSION = "entresol-session"


async def test_a_session_needs_nobody_to_ask_for_it(client: Any, stories: Any) -> None:
    stories.trailing = [(SESSION, "token-1")]
    await client.call("create_story", Story(), story_id="a")
    stories.trailing = []
    await client.call("get_story", "stories/1")
    await client.call("get_story", "stories/2")
    assert [attempt.values(SESSION) for attempt in stories.received] == [[], ["token-1"], ["token-1"]]


async def test_of_two_writes_at_once_both_are_remembered(client: Any, stories: Any) -> None:
    stories.hold, stories.stamps = asyncio.Event(), True
    writes = [asyncio.create_task(client.call("create_story", Story(), story_id=name)) for name in ("a", "b")]
    while len(stories.received) < 2:
        stories.entered.clear()
        await stories.entered.wait()
    stories.hold.set()
    await asyncio.gather(*writes)
    await client.call("create_story", Story(), story_id="c")
    assert sorted(stories.received[-1].values(SESSION)) == ["a", "b"]
    assert client.connection.session.tokens == ("c",)


async def test_one_connection_serves_many_sessions(client: Any, stories: Any) -> None:
    ann, bob = client.connection.with_session(Session("of-ann")), client.connection.with_session(Session())
    stories.trailing = [(SESSION, "of-bob")]
    await client.call("create_story", Story(), story_id="a", connection=bob)
    stories.trailing = []
    for connection in (ann, bob, None):
        await client.call("get_story", "stories/1", connection=connection)
    assert [attempt.values(SESSION) for attempt in stories.received[1:]] == [["of-ann"], ["of-bob"], []]
    assert bob.session.token == "of-bob"


async def test_a_token_of_a_failed_call_counts_too(client: Any, stories: Any, away: Any) -> None:
    stories.refusals, stories.trailing = [away()], [(SESSION, "half-done")]
    with pytest.raises(UnavailableError, match="refused"):
        await client.call("vote_story", "stories/1", "users/1")
    assert client.connection.session.token == "half-done"


async def test_masks_consistency_and_routing_are_sent(client: Any, stories: Any) -> None:
    await client.call("get_story", "stories/1", read_mask=["title", "score"], consistency=Consistency.STRONG)
    (attempt,) = stories.received
    assert attempt.values("entresol-read-mask") == ["title,score"]
    assert attempt.values("entresol-consistency") == ["strong"]
    assert attempt.values("x-goog-request-params") == ["name=stories%2F1"]


async def test_a_trace_tells_who_answered(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away()]
    stories.trailing = [("entresol-answered-by", "replica:db-2"), ("entresol-trace", "t7")]
    with trace() as calls:
        await client.call("get_story", "stories/1")
    (call,) = calls
    assert (call.method, call.attempts) == ("/stories.v1.StoryService/GetStory", 2)
    assert (call.answered_by, call.trace_id) == ("replica:db-2", "t7")
    assert call.duration_s > 0


async def test_clients_of_one_connection_share_its_session(client: Any, stories: Any) -> None:
    stories.trailing = [(SESSION, "token-1")]
    await client.call("create_story", Story(), story_id="a")
    await client.call("get_story", "stories/a", connection=client.connection)
    assert stories.received[-1].values(SESSION) == ["token-1"]
