"""Updates of one record that share a commit: each caller is told of its own, and every cache ends with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.embedded.polling import until
from entresol.errors import Code
from entresol.records import NEAR
from entresol.schema.model import Resource
from entresol.service.status import CallFailedError
from entresol.storage.store import Committed
from entresol.testing.running import RunningPlatform
from entresol.transport.caller import Caller

CALLERS = 24


@pytest.fixture
def user(api: Api) -> Any:
    return api.call("CreateUser", user={"display_name": new_id(), "about": "before"})


@pytest.fixture
def other(stories: RunningPlatform) -> Iterator[RunningPlatform]:
    """Give a second server over the same database and cache."""
    with RunningPlatform(stories.settings, relay=False) as running:
        yield running


def users_of(running: RunningPlatform) -> Resource:
    return running.platform.model.by_message["stories.v1.User"]


async def until_near(running: RunningPlatform, name: str, message: bytes) -> bool:
    """Read until this server's own copy is what is expected."""
    records, users = running.platform.records, users_of(running)

    async def is_near() -> bool:
        found = await records.get_one(users, name)
        return (found.answered_by, found.message) == (NEAR, message)

    return await until(is_near, 10.0)


async def update_all(running: RunningPlatform, name: str) -> list[Committed | None]:
    """Update one record at one moment, so that all of it is one commit."""
    users = users_of(running)
    wanted = [users.message_class(name=name, about=f"about {number}") for number in range(CALLERS)]
    fields = (users.by_name["about"],)
    records = running.platform.records
    return await asyncio.gather(*(records.update(users, one, fields, version=None) for one in wanted))


async def cached(running: RunningPlatform, name: str) -> bytes | None:
    entries = running.platform.records.entries
    assert entries is not None
    (entry,) = await entries.get(users_of(running), [name])
    return entry.message if entry else None


def test_the_last_of_one_commit_is_what_the_cache_and_every_server_keep(
    stories: RunningPlatform, other: RunningPlatform, user: Any
) -> None:
    before = user.SerializeToString(deterministic=True)
    for running in (stories, other):
        assert running.run(until_near(running, user.name, before))
    done = stories.run(update_all(stories, user.name))
    assert None not in done
    assert len({committed.commit_lsn for committed in done if committed}) == 1
    versions = [committed.changes[0].version for committed in done if committed]
    assert versions == sorted(set(versions))
    last = done[-1].message if done[-1] else b""
    assert stories.run(cached(stories, user.name)) in (last, None)  # None: the relay is at it
    for running in (stories, other):
        assert running.run(until_near(running, user.name, last))
    assert stories.run(cached(stories, user.name)) == last


def test_each_caller_is_told_of_its_own_update_and_shown_nothing_older_anywhere(
    stories: RunningPlatform, other: RunningPlatform, stories_caller: Caller, user: Any
) -> None:
    model = stories.platform.model

    def write_and_read(number: int) -> tuple[Any, Any]:
        api = Api(stories_caller, model)
        wanted = {"name": user.name, "about": f"about {number}"}
        written = api.call("UpdateUser", user=wanted, update_mask="about")
        with Caller(other.address) as caller:
            elsewhere = Api(caller, model)
            elsewhere.session = api.session
            return written, elsewhere.call("GetUser", name=user.name)

    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(write_and_read, range(CALLERS)))
    assert [written.about for written, _ in answers] == [f"about {number}" for number in range(CALLERS)]
    assert len({written.etag for written, _ in answers}) == CALLERS
    assert all(read.etag >= written.etag for written, read in answers)
    last = max((written for written, _ in answers), key=lambda written: str(written.etag))
    for running in (stories, other):
        assert running.run(until_near(running, user.name, last.SerializeToString(deterministic=True)))


def test_a_second_update_with_the_same_etag_is_told_that_it_is_stale(
    stories: RunningPlatform, stories_caller: Caller, user: Any
) -> None:
    model = stories.platform.model

    def write(number: int) -> int:
        wanted = {"name": user.name, "about": f"about {number}", "etag": user.etag}
        try:
            Api(stories_caller, model).call("UpdateUser", user=wanted, update_mask="about")
        except CallFailedError as error:
            return error.status.code
        return 0

    with ThreadPoolExecutor(CALLERS) as threads:
        answers = list(threads.map(write, range(CALLERS)))
    assert sorted(answers) == [0, *[Code.ABORTED] * (CALLERS - 1)]
