"""Lists: lazy, whole, and page by page."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from entresol_stories.v1 import ListStoriesRequest

from entresol_client import PermissionDeniedError

NAMES = [f"stories/{number}" for number in range(1, 6)]


async def test_items_come_from_every_page(client: Any, stories: Any) -> None:
    pager = await client.call("list_stories", page_size=2, filter="score > 1")
    assert [story.name for story in await client.items(pager)] == NAMES
    assert [page.request.page_token for page in stories.received] == ["", "2", "4"]
    assert {page.request.filter for page in stories.received} == {"score > 1"}


async def test_nothing_is_asked_for_before_it_is_needed(client: Any, stories: Any) -> None:
    pager = await client.call("list_stories", page_size=2)
    assert stories.received == []
    assert (await client.first(aiter_or_iter(pager))).name == "stories/1"
    assert len(stories.received) == 1


async def test_iterating_again_begins_anew(client: Any) -> None:
    pager = await client.call("list_stories", page_size=3)
    assert [len(await client.items(pager)) for _ in range(2)] == [5, 5]


async def test_pages_have_all_their_fields(client: Any) -> None:
    pages = await client.items((await client.call("list_stories", page_size=2)).pages())
    assert [page.next_page_token for page in pages] == ["2", "4", ""]
    assert [len(page.stories) for page in pages] == [2, 2, 1]


async def test_one_page_can_be_asked_for_by_its_token(client: Any, stories: Any) -> None:
    page = await client.page(await client.call("list_stories", page_size=2, page_token="2"))
    assert [story.name for story in page.stories] == NAMES[2:4]
    assert page.next_page_token == "4"
    assert len(stories.received) == 1


async def test_a_whole_request_is_accepted_and_stays_as_it_was(client: Any) -> None:
    request = ListStoriesRequest(page_size=2)
    assert len(await client.items(await client.call("list_stories", request))) == 5
    assert request == ListStoriesRequest(page_size=2)


async def test_each_page_is_repeated_on_its_own(client: Any, stories: Any, away: Any) -> None:
    stories.refusals = [away(), away(), away()]
    assert len(await client.items(await client.call("list_stories", page_size=2))) == 5
    assert len(stories.received) == 6


async def test_an_error_ends_the_list(client: Any, stories: Any, refusal: Any) -> None:
    stories.refusals = [refusal(grpc.StatusCode.PERMISSION_DENIED)]
    with pytest.raises(PermissionDeniedError):
        await client.items(await client.call("list_stories"))


def aiter_or_iter(pager: Any) -> Any:
    return aiter(pager) if hasattr(pager, "__aiter__") else iter(pager)
