"""Many who miss at once cost the database one query: within a process, and over several."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from tests.integration.service.api import Api, new_id

from entresol.testing.running import RunningPlatform

READERS = 250
PROCESSES = 4
STORY = "stories.v1.Story"


@pytest.fixture
def processes(stories: RunningPlatform) -> Iterator[list[RunningPlatform]]:
    """Give platforms with pools, connections and leases of their own, over the same database and cache."""
    with ExitStack() as stack:
        others = [RunningPlatform(stories.settings, relay=False) for _ in range(PROCESSES - 1)]
        yield [stories, *(stack.enter_context(other) for other in others)]


def test_a_thousand_cold_readers_over_four_processes_cost_one_query(
    processes: list[RunningPlatform], api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = api.call("CreateUser", user={"display_name": "Ada"}, user_id=new_id("u"))
    made = api.call("CreateStory", story={"title": "Cold", "author": user.name}, story_id=new_id("s"))
    story = api.read_until_cached("GetStory", name=made.name)  # so the relay and the replicas know it
    forget(processes[0], story.name)
    queries: list[str] = []
    for process in processes:
        spy(process, queries, monkeypatch)

    async def read(process: RunningPlatform) -> set[bytes]:
        records = process.platform.records
        resource = process.platform.model.by_message[STORY]
        found = await asyncio.gather(*(records.get_one(resource, story.name) for _ in range(READERS)))
        return {item.message for item in found}

    with ThreadPoolExecutor(PROCESSES) as threads:
        answers = list(threads.map(lambda process: process.run(read(process)), processes))
    assert set.union(*answers) == {story.SerializeToString(deterministic=True)}
    assert queries == [story.name]


def test_a_strong_read_is_answered_by_the_primary_though_the_cache_has_the_record(
    stories: RunningPlatform, api: Api
) -> None:
    user = api.call("CreateUser", user={"display_name": "Ada"}, user_id=new_id("u"))
    api.read_until_cached("GetUser", name=user.name)
    api.session = ""  # one that has seen nothing: any entry would do
    api.call("GetUser", {"entresol-consistency": "strong"}, name=user.name)
    assert api.answered_by == "primary"


def spy(process: RunningPlatform, queries: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Note the names that this process asks the database for."""
    store = process.platform.records.store
    real = store.get

    async def get(resource: Any, names: Any, **options: Any) -> Any:
        queries.extend(names)
        return await real(resource, names, **options)

    monkeypatch.setattr(store, "get", get)


def forget(process: RunningPlatform, name: str) -> None:
    """Evict the entry, as a full Redis does, and the copy of the process that has read it."""
    entries, near = process.platform.records.entries, process.platform.records.near
    assert entries is not None
    assert near is not None
    near.drop("stories", [name])
    process.run(entries.connection.execute(("DEL", entries.layout.place("stories", name).entry)))
