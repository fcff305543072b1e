"""Each race of the protocol on real servers: it ends with the row, and without its rule it does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.stage import ITEM, LSN, Stage, without

from entresol.cache import Rank


async def stale_set(stage: Stage) -> None:
    """Load the old row, commit another, let the relay apply it, fill the old one."""
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        fill = await stage.entries.begin(ITEM, ["a"])
        old = await stage.read("a")
        await stage.write("a", "new")
        await stage.applied()
        await stage.entries.fill(fill, old, None)


async def commit_then_crash(stage: Stage) -> None:
    """Die between commit and put."""
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
        await stage.write("a", "new")
        await stage.applied()


async def replica_refill(stage: Stage) -> None:
    """Refill from a replica that lags, once the entry is gone."""
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.database.settle()
        replica = await stage.connect(stage.database.read_urls[0])
        await replica.execute("SELECT pg_wal_replay_pause()")
        try:
            fill = await stage.entries.begin(ITEM, ["a"])
            position = await replica.fetchval(
                f"SELECT {LSN.replace('current_wal_insert', 'last_wal_replay')}"
            )
            await stage.write("a", "new")
            await stage.applied()
            await stage.entries.fill(fill, await stage.read("a", replica), position)
        finally:
            await replica.execute("SELECT pg_wal_replay_resume()")


async def sleeping_writer(stage: Stage) -> None:
    """Put late: a newer change was applied meanwhile, and its entry evicted."""
    async with stage.relaying():
        first = await stage.write("a", "first")
        await stage.put(await stage.write("a", "second"))
        await stage.applied()
        await stage.evict("a")
        await stage.put(first)


async def stale_not_found(stage: Stage) -> None:
    """Find no row, insert it, fill that there is none."""
    async with stage.relaying():
        fill = await stage.entries.begin(ITEM, ["a"])
        none = await stage.read("a")
        await stage.write("a", "new")
        await stage.applied()
        await stage.entries.fill(fill, none, None)


async def ghost_row(stage: Stage) -> None:
    """Load a row, delete it, fill it."""
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        fill = await stage.entries.begin(ITEM, ["a"])
        old = await stage.read("a")
        await stage.write("a", None)
        await stage.applied()
        await stage.entries.fill(fill, old, None)


async def lost_invalidation(stage: Stage) -> None:
    """Fail Redis over to a copy that has the entry and not the change that dropped it."""
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
        copy = await stage.copy()
        await stage.write("a", "new")
        await stage.applied()
        await stage.fail_over(copy)
        await stage.applied()


async def reinsertion(stage: Stage) -> None:
    """Insert a row again with a version smaller than the one it was deleted with."""
    await stage.write("a", "old")
    other = await stage.connect()
    transaction = other.transaction()
    await transaction.start()
    await other.execute("DELETE FROM items WHERE name = 'a'")
    inserting = stage.in_background(stage.write("a", "new"))
    await stage.until_waiting()
    await other.execute("INSERT INTO items (name, body) VALUES ('a', 'between')")
    sql = f"DELETE FROM items WHERE name = 'a' RETURNING row_version, {LSN}"
    deleted = await other.fetchrow(sql)
    await transaction.commit()
    mark = await stage.entries.mark()
    assert await stage.entries.put(ITEM, "a", deleted[0], Rank.ABSENT, deleted[1], mark=mark) == "ok"
    inserted = await inserting
    assert inserted.version < deleted[0]
    assert await stage.put(inserted) == "older"
    async with stage.relaying():
        await stage.applied()


@dataclass(frozen=True)
class Race:
    """A race, and the rule in the scripts that wins it."""

    number: int
    play: Callable[[Stage], Awaitable[None]]
    rule: str

    def __str__(self) -> str:
        return f"{self.number}-{self.play.__name__}"


RACES = (
    Race(1, stale_set, "fill admission"),
    Race(2, commit_then_crash, "drop"),
    Race(3, replica_refill, "fill admission"),
    Race(4, sleeping_writer, "put admission"),
    Race(6, stale_not_found, "bucket moves"),
    Race(6, ghost_row, "fill admission"),
    Race(7, lost_invalidation, "rewind"),
    Race(11, reinsertion, "source"),
)


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_a_race_ends_with_the_row(race: Race, open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        await race.play(stage)
        assert await stage.is_coherent("a")


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_without_its_rule_the_race_is_lost(race: Race, open_stage: OpenStage) -> None:
    async with open_stage(without(race.rule)) as stage:
        await race.play(stage)
        assert not await stage.is_coherent("a")
