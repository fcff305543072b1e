"""Table floors on real servers: what a truncation, or a very large transaction, makes of its table and of no other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.stage import ITEM, Stage, without

from entresol.cache import batch

OTHER = replace(ITEM, type="test/Other", table="others")
MANY = 500


async def _fill_other(stage: Stage) -> None:
    fill = await stage.entries.begin(OTHER, ["x"])
    await stage.entries.fill(fill, {"x": (1, b"other")}, None)
    assert await stage.look("x", OTHER) is not None


async def _holds_anything(stage: Stage, name: str) -> bool:
    """Tell whether there is an entry, visible or not."""
    return await stage.redis("EXISTS", stage.entries.layout.place("items", name).entry) == 1


async def test_truncate_hides_the_entries_of_its_table_and_keeps_those_of_others(stage: Stage) -> None:
    async with stage.relaying():
        generation = await stage.redis("HGET", stage.entries.layout.meta(0), "g")
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        await _fill_other(stage)
        await stage.primary.execute("TRUNCATE items")
        await stage.applied()
        assert await stage.look("a") is None
        assert await stage.look("x", OTHER) is not None
        assert await stage.redis("HGET", stage.entries.layout.meta(0), "g") == generation
        fill = await stage.entries.begin(ITEM, ["a"])
        assert not fill.found
        await stage.entries.fill(fill, await stage.read("a"), None)
        assert await stage.look("a") is not None
        assert await stage.is_coherent("a")


async def test_who_does_not_look_at_the_floor_sees_what_was_truncated(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        await stage.primary.execute("TRUNCATE items")
        await stage.applied()
        assert await stage.is_coherent("a")
        blind = stage.another()
        blind.layout.floor = lambda _table: b"f:nothing"
        assert await blind.get(ITEM, ["a"]) != [None]
        await blind.close()


@pytest.mark.parametrize("rule", [None, "floor hides"])
async def test_an_entry_below_the_floor_is_in_nobodys_way(open_stage: OpenStage, rule: str | None) -> None:
    async with open_stage(without(rule) if rule else None) as stage, stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        await stage.primary.execute("TRUNCATE items")
        await stage.applied()
        fill = await stage.entries.begin(ITEM, ["a"])
        await stage.entries.fill(fill, {"a": None}, None)
        assert (await stage.look("a") is not None) is (rule is None)


@pytest.mark.parametrize("rule", [None, "floor admits"])
async def test_what_is_below_the_floor_does_not_enter(open_stage: OpenStage, rule: str | None) -> None:
    async with open_stage(without(rule) if rule else None) as stage, stage.relaying():
        slow = await stage.write("a", "old")
        await stage.write("b", "old")
        await stage.applied()
        fill = await stage.entries.begin(ITEM, ["b"])
        old = await stage.read("b")
        await stage.evict("a")
        await stage.primary.execute("TRUNCATE items")
        await stage.applied()
        await stage.entries.fill(fill, old, None)
        assert await stage.put(slow) == ("behind" if rule is None else "confirmed")
        assert [await _holds_anything(stage, name) for name in ("a", "b")] == [rule is not None] * 2
        assert await stage.is_coherent("a")
        assert await stage.is_coherent("b")


async def test_a_large_transaction_raises_the_floor_of_one_table(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "CHANGES_MAX", MANY - 1)
    names = [f"n{number}" for number in range(MANY)]
    await stage.primary.execute(
        f"INSERT INTO items SELECT 'n' || i, 'old' FROM generate_series(0, {MANY - 1}) AS i"
    )
    async with stage.relaying():
        await stage.applied()
        await _fill_other(stage)
        fill = await stage.entries.begin(ITEM, names)
        await stage.entries.fill(fill, dict.fromkeys(names, (1, b"old")), None)
        assert all(await stage.entries.get(ITEM, names))
        await stage.primary.execute("UPDATE items SET body = 'new'")
        await stage.applied()
        assert not any(await stage.entries.get(ITEM, names))
        assert await stage.look("x", OTHER) is not None
        fields = await stage.redis("HLEN", stage.entries.layout.meta(0))
        assert isinstance(fields, int)
        assert fields < MANY  # no bucket of theirs moved
        assert (await stage.cache("n1")).message == b"new"


async def test_a_floor_that_was_lost_in_a_failover_is_raised_again(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        copy = await stage.copy()
        await stage.primary.execute("TRUNCATE items")
        await stage.applied()
        await stage.fail_over(copy)
        assert await stage.look("a") is not None
        await stage.applied()
        assert await stage.is_coherent("a")
