"""Rule 29: a request that is sent again with its `request_id` does not act again."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.integration.service.api import TOKENS, Api, new_id

from entresol.errors import Code
from entresol.testing.running import RunningPlatform


@pytest.fixture
def request_id() -> str:
    return str(uuid.uuid4())


def count(api: Api, tag: str) -> int:
    return len(api.call("ListStories", filter=f"tags:{tag}", show_deleted=True).stories)


def test_rule_29_the_same_request_is_answered_with_its_first_reply(
    api: Api, ann: str, request_id: str
) -> None:
    tag = new_id("tag")
    request = {"story": {"title": "t", "author": ann, "tags": [tag]}, "request_id": request_id}
    first = api.call("CreateStory", **request)
    api.call("UpdateStory", story={"name": first.name, "title": "other"})
    assert api.call("CreateStory", **request) == first
    assert api.call("CreateStory", **{**request, "request_id": request_id.upper()}) == first
    assert count(api, tag) == 1


def test_rule_29_the_same_id_with_another_request_is_refused(api: Api, ann: str, request_id: str) -> None:
    tag = new_id("tag")
    story = {"title": "t", "author": ann, "tags": [tag]}
    api.call("CreateStory", story=story, request_id=request_id)
    for other in ({**story, "title": "other"}, {**story, "score": 1}):
        refusal = api.refused(Code.INVALID_ARGUMENT, "CreateStory", story=other, request_id=request_id)
        assert set(refusal.violations) == {"request_id"}
    assert count(api, tag) == 1


def test_rule_29_each_method_has_ids_of_its_own(api: Api, ann: str, request_id: str) -> None:
    story = api.call("CreateStory", story={"title": "t", "author": ann}, request_id=request_id)
    change = {"name": story.name, "title": "other"}
    changed = api.call("UpdateStory", story=change, request_id=request_id)
    deleted = api.call("DeleteStory", name=story.name, request_id=request_id)
    back = api.call("UndeleteStory", name=story.name, request_id=request_id)
    assert api.call("UpdateStory", story=change, request_id=request_id) == changed
    assert api.call("DeleteStory", name=story.name, request_id=request_id) == deleted
    assert api.call("UndeleteStory", name=story.name, request_id=request_id) == back
    assert api.call("GetStory", name=story.name) == back


def test_rule_29_the_same_request_at_the_same_time_acts_once(api: Api, ann: str, request_id: str) -> None:
    tag = new_id("tag")
    request = {"story": {"title": "t", "author": ann, "tags": [tag]}, "request_id": request_id}
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: api.call("CreateStory", **request), range(16)))
    assert {reply.name for reply in replies} == {replies[0].name}
    assert count(api, tag) == 1


def test_rule_29_a_failure_is_not_remembered(api: Api, ann: str, request_id: str) -> None:
    author = f"users/{new_id('late')}"
    request = {"story": {"title": "t", "author": author}, "request_id": request_id}
    api.refused(Code.FAILED_PRECONDITION, "CreateStory", **request)
    api.call("CreateUser", user={"displayName": "Late"}, user_id=author.removeprefix("users/"))
    made = api.call("CreateStory", **request)
    assert api.call("GetStory", name=made.name) == made


def test_rule_29_a_trial_is_not_remembered(api: Api, ann: str, request_id: str) -> None:
    request = {"story": {"title": "t", "author": ann}, "request_id": request_id}
    tried = api.call("CreateStory", **request, validate_only=True)
    made = api.call("CreateStory", **request)
    assert made.name != tried.name
    assert api.call("GetStory", name=made.name) == made


def test_rule_29_an_id_is_a_uuid4(api: Api, ann: str) -> None:
    for wrong in ("1", "not-a-uuid", str(uuid.uuid1()), uuid.uuid4().hex):
        refusal = api.refused(
            Code.INVALID_ARGUMENT, "CreateStory", story={"title": "t", "author": ann}, request_id=wrong
        )
        assert set(refusal.violations) == {"request_id"}


def test_rule_29_who_repeats_a_write_sees_it(api: Api, ann: str, request_id: str, lagging: Any) -> None:
    """The first reply was lost, and with it the token."""
    story = api.call("CreateStory", story={"title": "t", "author": ann}).name
    request = {"parent": story, "click": {"referrer": "r"}, "request_id": request_id}
    with lagging():
        first = api.call("CreateClick", **request)
        api.session = ""
        assert api.call("CreateClick", **request) == first
        assert TOKENS.decode(api.session).lsn
        assert api.call("GetClick", name=first.name) == first


def test_rule_29_a_reply_is_kept_for_its_time_and_no_longer(
    api: Api, stories: RunningPlatform, ann: str, request_id: str
) -> None:
    tag = new_id("tag")
    request = {"story": {"title": "t", "author": ann, "tags": [tag]}, "request_id": request_id}
    first = api.call("CreateStory", **request)

    async def expire() -> list[Any]:
        async with stories.platform.records.transaction() as transaction:
            return await transaction.fetch(
                "UPDATE entresol.requests SET expire_time = now() WHERE request_id = $1 RETURNING caller", request_id
            )  # fmt: skip

    assert len(stories.run(expire())) == 1
    assert api.call("CreateStory", **request).name != first.name
    assert count(api, tag) == 2


def test_rule_29_replies_that_nobody_can_ask_for_any_more_go(
    api: Api, stories: RunningPlatform, ann: str
) -> None:
    async def expired(*, expire: bool = False) -> int:
        async with stories.platform.records.transaction() as transaction:
            if expire:
                await transaction.execute("UPDATE entresol.requests SET expire_time = now()")
            (row,) = await transaction.fetch(
                "SELECT count(*) FROM entresol.requests WHERE expire_time <= now()"
            )
            return int(row[0])

    for _ in range(3):
        api.call("CreateStory", story={"title": "t", "author": ann}, request_id=str(uuid.uuid4()))
    left = stories.run(expired(expire=True))
    assert left >= 3
    while left:
        api.call("CreateStory", story={"title": "t", "author": ann}, request_id=str(uuid.uuid4()))
        before, left = left, stories.run(expired())
        assert left == max(0, before - 2)


def test_rule_29_a_batch_remembers_each_of_its_requests(api: Api, ann: str) -> None:
    tag = new_id("tag")
    requests = [
        {"story": {"title": title, "author": ann, "tags": [tag]}, "request_id": str(uuid.uuid4())}
        for title in "abc"
    ]
    alone = api.call("CreateStory", **requests[1])
    first = api.call("BatchCreateStories", requests=requests).stories
    assert first[1] == alone
    again = api.call("BatchCreateStories", requests=requests[::-1]).stories
    assert list(again) == list(first)[::-1]
    assert api.call("CreateStory", **requests[2]) == first[2]
    assert count(api, tag) == 3


def test_rule_29_a_batch_names_no_request_twice(api: Api, ann: str, request_id: str) -> None:
    request = {"story": {"title": "t", "author": ann}, "request_id": request_id}
    refusal = api.refused(Code.INVALID_ARGUMENT, "BatchCreateStories", requests=[request, request])
    assert set(refusal.violations) == {"requests[1].request_id"}


def test_rule_29_a_batch_may_have_an_id_of_its_own(halls: Api, request_id: str) -> None:
    title = new_id("title")
    batch = {"requests": [{"hall": {"title": title}}, {"hall": {"title": title}}], "request_id": request_id}
    assert halls.call("BatchCreateHalls", **batch) == halls.call("BatchCreateHalls", **batch)
    assert len(halls.call("ListHalls", filter=f'title = "{title}"', page_size=3).halls) == 2
