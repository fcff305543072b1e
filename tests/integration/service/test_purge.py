"""A deletion by filter through the records: the cache shows none of what is gone, whoever writes meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.clock import Clock
from entresol.errors import NotFoundError
from entresol.records import Demand, Purged, Records
from entresol.schema.model import Resource
from entresol.service.call import ANSWERED_BY_KEY, PRIMARY, SESSION_KEY, Call
from entresol.service.registry import Context
from entresol.testing.running import RunningPlatform

COUNT = 60


@pytest.fixture
def users(api: Api) -> tuple[str, list[str]]:
    """Give a text that stands in `about` of some users and nowhere else, and their names, all of them cached."""
    about = new_id("about")
    requests = [{"user": {"about": about}, "user_id": new_id("u")} for _ in range(COUNT)]
    names = sorted(user.name for user in api.call("BatchCreateUsers", requests=requests).users)
    api.call("BatchGetUsers", names=names)
    return f'about = "{about}"', names


def records_of(stories: RunningPlatform) -> tuple[Records, Resource]:
    platform = stories.platform
    return platform.records, platform.model.by_message["stories.v1.User"]


async def found(records: Records, resource: Resource, names: list[str]) -> list[str]:
    answers = await records.get(resource, names)
    return [name for name, answer in zip(names, answers, strict=True) if answer.message is not None]


def test_the_cache_shows_nothing_of_a_batch_once_it_is_told(
    stories: RunningPlatform, users: tuple[str, list[str]]
) -> None:
    filter_, names = users
    records, resource = records_of(stories)

    async def work() -> list[Purged]:
        batches = []
        async for purged in records.delete_where(resource, filter_, batch=7):
            assert await found(records, resource, names) == names[purged.count :]
            batches.append(purged)
        return batches

    batches = stories.run(work())
    assert [purged.count for purged in batches] == [*range(7, COUNT, 7), COUNT]
    assert [purged.last for purged in batches] == [*names[6::7], names[-1]]


def test_what_is_written_meanwhile_so_that_it_does_not_match_is_kept_by_all(
    stories: RunningPlatform, users: tuple[str, list[str]]
) -> None:
    filter_, names = users
    records, resource = records_of(stories)
    about = resource.by_name["about"]

    async def spare(name: str) -> str | None:
        try:
            async with records.transaction() as transaction:
                await transaction.update(
                    resource, resource.message_class(name=name, about="kept"), [about], version=None
                )
        except NotFoundError:
            return None
        return name

    async def purge() -> int:
        count = 0
        async for purged in records.delete_where(resource, filter_, batch=3):
            count = purged.count
            await asyncio.sleep(0)
        return count

    async def work() -> tuple[int, set[str], list[str]]:
        count, *spared = await asyncio.gather(purge(), *map(spare, names[::-2]))
        return count, {name for name in spared if name}, await found(records, resource, names)

    count, spared, left = stories.run(work())
    assert spared
    assert set(left) == spared
    assert count == COUNT - len(spared)
    assert stories.run(works_again(records, resource, filter_)) == 0


async def works_again(records: Records, resource: Resource, filter_: str) -> int:
    return sum([1 async for _ in records.delete_where(resource, filter_)])


def test_one_that_ends_between_two_batches_goes_on_when_it_is_begun_again(
    stories: RunningPlatform, users: tuple[str, list[str]]
) -> None:
    filter_, names = users
    records, resource = records_of(stories)

    async def work() -> None:
        async for purged in records.delete_where(resource, filter_, batch=20):
            assert purged.count == 20
            break
        assert await found(records, resource, names) == names[20:]
        assert [purged.count async for purged in records.delete_where(resource, filter_)] == [COUNT - 20]
        assert await found(records, resource, names) == []

    stories.run(work())


def test_a_filter_that_matches_nothing_deletes_nothing(stories: RunningPlatform) -> None:
    records, resource = records_of(stories)
    assert stories.run(works_again(records, resource, 'about = "nobody has this"')) == 0


def test_a_custom_method_deletes_by_filter_and_its_caller_sees_that_it_did(
    stories: RunningPlatform, users: tuple[str, list[str]], lagging: Any
) -> None:
    filter_, names = users
    records, resource = records_of(stories)
    call = Call(next(iter(stories.platform.model.methods.values())), {}, Clock())
    call.deadline_s = call.clock.monotonic_s() + 20.0
    context = Context(call, records, stories.platform.model)

    async def work() -> list[str]:
        assert await context.delete_where("stories.v1.User", filter_, limit=COUNT - 1) == COUNT - 1
        # Without the entries, only the caller's session keeps a replica that is behind from answering.
        assert records.entries is not None
        keys = [records.entries.layout.place(resource.table, name).entry for name in names]
        await records.entries.connection.execute(("DEL", *keys))
        demand = Demand(records.tokens.decode(call.trailing[SESSION_KEY]))
        answers = await records.get(resource, names, demand)
        return [name for name, item in zip(names, answers, strict=True) if item.message is not None]

    with lagging():
        assert stories.run(work()) == names[-1:]
    assert call.trailing[ANSWERED_BY_KEY] == PRIMARY
