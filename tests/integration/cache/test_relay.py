"""The relay: who works, what it applies, what it lets the slot forget, and how it comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.integration.cache.stage import ITEM, Stage

from entresol.cache import Rank


async def _confirmed(stage: Stage) -> int:
    """Return where the slot starts."""
    sql = (
        "SELECT (confirmed_flush_lsn - '0/0'::pg_lsn)::bigint FROM pg_replication_slots WHERE slot_name = $1"
    )
    position = await stage.primary.fetchval(sql, stage.database.name)
    assert isinstance(position, int)
    return position


async def test_what_psql_changes_is_gone_from_the_cache(stage: Stage) -> None:
    async with stage.relaying():
        for name in ("a", "b", "c"):
            await stage.write(name, "body")
        await stage.applied()
        for name in ("a", "b", "c"):
            await stage.cache(name)
        await stage.database.psql(
            "UPDATE items SET body = 'by hand' WHERE name IN ('a', 'b'); DELETE FROM items"
        )
        await stage.applied()
        assert await stage.entries.get(ITEM, ["a", "b", "c"]) == [None, None, None]


async def test_a_rename_drops_both_names(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        await stage.cache("b")
        await stage.primary.execute("UPDATE items SET name = 'b' WHERE name = 'a'")
        await stage.applied()
        assert await stage.entries.get(ITEM, ["a", "b"]) == [None, None]


async def test_truncate_drops_everything(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
        fill = await stage.entries.begin(ITEM, ["b"])
        await stage.primary.execute("TRUNCATE items")
        await stage.applied()
        await stage.entries.fill(fill, {"b": (1, b"gone")}, None)
        assert await stage.entries.get(ITEM, ["a", "b"]) == [None, None]


async def test_a_transaction_of_thousands_of_rows_is_applied_whole(stage: Stage) -> None:
    names = [f"n{number}" for number in range(3000)]
    async with stage.relaying():
        await stage.primary.execute(
            "INSERT INTO items SELECT 'n' || i, 'old' FROM generate_series(0, 2999) AS i"
        )
        await stage.applied()
        fill = await stage.entries.begin(ITEM, names)
        await stage.entries.fill(
            fill, {name: (number + 1, b"old") for number, name in enumerate(names)}, None
        )
        assert None not in await stage.entries.get(ITEM, names)
        await stage.primary.execute("UPDATE items SET body = 'new'")
        await stage.applied()
        assert set(await stage.entries.get(ITEM, names)) == {None}


async def test_a_relay_that_was_away_applies_what_it_missed(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
    await stage.write("a", "new")
    assert not await stage.is_coherent("a")
    async with stage.relaying():
        await stage.applied()
        assert await stage.look("a") is None


async def test_one_relay_works_and_the_other_stands_by(stage: Stage) -> None:
    async with stage.relaying() as first, stage.relaying() as second:
        assert first.progress.is_active
        assert not second.progress.is_active
        stage.relay = first
        await stage.applied()


async def test_the_one_that_stood_by_takes_over(stage: Stage) -> None:
    async with AsyncExitStack() as first:
        await first.enter_async_context(stage.relaying())
        async with stage.relaying() as second:
            assert not second.progress.is_active
            await first.aclose()
            written = await stage.write("a", "body")
            async with asyncio.timeout(20):
                await second.reached(written.lsn)
            assert second.progress.is_active


async def test_a_relay_whose_connection_is_cut_goes_on(stage: Stage) -> None:
    async with stage.relaying() as relay:
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
        sql = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = $1"
        assert await stage.primary.fetchval(sql, stage.database.name)
        written = await stage.write("a", "new")
        async with asyncio.timeout(20):
            await relay.reached(written.lsn)
        assert await stage.look("a") is None


async def test_a_lost_slot_starts_a_new_generation(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
    await stage.primary.execute("SELECT pg_drop_replication_slot($1)", stage.database.name)
    await stage.write("a", "new")
    async with stage.relaying():
        await stage.applied()
        assert await stage.look("a") is None


async def test_the_slot_stays_behind_for_as_long_as_redis_may_forget(stage: Stage) -> None:
    start = await _confirmed(stage)
    async with stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
    assert await _confirmed(stage) == start
    stage.settings = stage.with_settings(relay_retain_s=0.0)
    async with stage.relaying():
        written = await stage.write("a", "body")
        await stage.applied()
        await stage.applied()
    assert await _confirmed(stage) > written.position


async def test_a_copy_of_redis_older_than_the_slot_starts_a_new_generation(stage: Stage) -> None:
    stage.settings = stage.with_settings(relay_retain_s=0.0)
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
        copy = await stage.copy()
        await stage.write("a", "new")
        await stage.applied()
    await stage.fail_over(copy)
    async with stage.relaying():
        await stage.applied()
        assert await stage.look("a") is None


async def test_everybody_can_read_how_far_the_relay_is(stage: Stage) -> None:
    async with stage.relaying() as relay:
        written = await stage.write("a", "body")
        await relay.reached(written.lsn)
        await stage.applied()
        applied, lag_s = await stage.redis("HMGET", stage.entries.layout.relay, "applied", "lag_s")
        assert int(applied, 16) >= written.lsn
        assert 0 <= float(lag_s) < 5


async def test_an_entry_that_the_relay_drops_can_be_put_again(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "one")
        await stage.applied()
        await stage.cache("a")
        second = await stage.write("a", "two")
        mark = await stage.entries.mark()
        put = stage.entries.put(ITEM, "a", second.version, Rank.VALUE, second.position, b"two", mark=mark)
        assert await put in ("ok", "confirmed", "behind")
        await stage.applied()
        assert await stage.is_coherent("a")
