"""An entry that is about to end is read again by one reader, while all are shown what is there."""

from __future__ import annotations

import asyncio

import pytest
from tests.integration.service.api import Api

from entresol.clock import Clock
from entresol.embedded.polling import until
from entresol.testing.running import RunningPlatform

READERS = 50
LEFT_MS = 20_000


class ClockAhead(Clock):
    """A clock by which every entry has ended."""

    def now_s(self) -> float:
        return super().now_s() + 1e6


def test_one_of_many_readers_reads_again_and_all_hit(
    stories: RunningPlatform, api: Api, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = api.call("CreateStory", story={"title": "Busy", "author": ann})
    story = api.read_until_cached("GetStory", name=made.name)
    records = stories.platform.records
    entries, resource = records.entries, stories.platform.model.by_message["stories.v1.Story"]
    assert entries is not None
    key = entries.layout.place(resource.table, story.name).entry
    reads: list[str] = []
    real = records.store.get

    async def counted(*arguments: object, **options: object) -> object:
        reads.append(story.name)
        return await real(*arguments, **options)

    async def left_ms() -> int:
        (left,) = await entries.connection.execute(("PTTL", key))
        return int(left)

    async def play() -> None:
        await entries.connection.execute(("PEXPIRE", key, LEFT_MS))
        found = await asyncio.gather(*(records.get_one(resource, story.name) for _ in range(READERS)))
        assert {item.answered_by for item in found} == {"cache"}

        async def is_renewed() -> bool:
            return await left_ms() > LEFT_MS

        assert await until(is_renewed, 5)

    monkeypatch.setattr(records.store, "get", counted)
    monkeypatch.setattr(records.hits, "clock", ClockAhead())
    monkeypatch.setattr(records.hits, "near", None)  # every reader looks into the cache
    stories.run(play())
    assert reads == [story.name]
