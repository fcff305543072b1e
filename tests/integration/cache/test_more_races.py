"""Races whose rule is not a line of a script: the gate, the generation, the order of a read, the history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.stage import ITEM, Stage, without

from entresol.cache import Rank, Snapshot
from entresol.cache.batch import Batch
from entresol.cache.feed import Event
from entresol.storage.changes import Transaction


class NoGate(Snapshot):
    """A primary that is believed to show everything."""

    def shows(self, xid: int) -> bool:
        return True


async def _no_gate() -> Snapshot:
    return NoGate(0, 0, frozenset(), 0.0)


@pytest.mark.parametrize("gated", [True, False])
async def test_5_a_change_that_the_primary_does_not_show_yet_waits_at_the_gate(
    stage: Stage, gated: bool
) -> None:
    await stage.write("a", "old")
    settings = await stage.connect()
    async with stage.relaying(take_snapshot=None if gated else _no_gate) as relay:
        await stage.applied()
        await settings.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await settings.execute("SELECT pg_reload_conf()")
        try:
            writer = await stage.connect()
            writing = stage.in_background(stage.write("a", "new", writer))
            await stage.until_waiting()
            position = await stage.primary.fetchval(
                "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
            )
            if not gated:
                await relay.reached(position)
            fill = await stage.entries.begin(ITEM, ["a"])
            row = await stage.read("a")
            assert row["a"] is not None
            assert row["a"][1] == b"old"
            await stage.entries.fill(fill, row, None)
            assert (await stage.look("a")) is not None
            if gated:
                assert relay.progress.applied < position
        finally:
            await settings.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await settings.execute("SELECT pg_reload_conf()")
        await writing
        await stage.applied()
    assert await stage.is_coherent("a") is gated


@pytest.mark.parametrize("renewed", [True, False])
async def test_8_positions_lost_over_a_stale_copy_start_a_new_generation(stage: Stage, renewed: bool) -> None:
    meta = stage.entries.layout.meta(0)
    generation = await stage.redis("HGET", meta, "g")
    assert isinstance(generation, bytes)
    async with stage.relaying(new_generation=None if renewed else lambda: generation):
        await stage.write("a", "old")
        await stage.applied()
        await stage.cache("a")
        copy = await stage.copy()
        await stage.write("a", "new")
        await stage.applied()
        del copy[meta]
        await stage.fail_over(copy)
        await stage.applied()
    assert await stage.is_coherent("a") is renewed


@pytest.mark.parametrize("in_order", [True, False])
async def test_9_a_position_taken_after_the_row_was_read_says_too_much(stage: Stage, in_order: bool) -> None:
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        if in_order:
            fill = await stage.entries.begin(ITEM, ["a"])
        old = await stage.read("a")
        await stage.write("a", "new")
        await stage.applied()
        if not in_order:
            fill = await stage.entries.begin(ITEM, ["a"])
        await stage.entries.fill(fill, old, None)
    assert await stage.is_coherent("a") is in_order


@pytest.mark.parametrize("rule", [None, "replay"])
async def test_10_what_the_relay_applies_twice_drops_nothing_newer(
    open_stage: OpenStage, rule: str | None
) -> None:
    async with open_stage(without(rule) if rule else None) as stage:
        await stage.write("a", "old")
        await stage.put(await stage.write("a", "new"))
        async with stage.relaying():
            await stage.applied()
            assert (await stage.look("a")) is not None
        async with stage.relaying():  # the slot is retained, so this one begins with the same changes
            await stage.applied()
        assert ((await stage.look("a")) is not None) is (rule is None)
        assert await stage.is_coherent("a")


async def test_13_an_entry_of_another_schema_revision_is_a_miss_and_may_be_replaced(stage: Stage) -> None:
    newer = replace(ITEM, revision="00000002")
    async with stage.relaying():
        written = await stage.write("a", "body")
        assert await stage.put(written) in ("ok", "confirmed")
        assert (await stage.look("a")) is not None
        assert (await stage.look("a", newer)) is None
        # What the relay comes to between `begin` and `fill` would refuse the fill, rightly.
        await stage.applied()
        fill = await stage.entries.begin(newer, ["a"])
        await stage.entries.fill(fill, {"a": (written.version, b"body of the new schema")}, None)
        entry = await stage.look("a", newer)
        assert entry is not None
        assert entry.message == b"body of the new schema"
        assert (await stage.look("a")) is None


@pytest.mark.parametrize("rule", [None, "put generation"])
async def test_a_commit_that_a_promotion_lost_is_not_put(open_stage: OpenStage, rule: str | None) -> None:
    async with open_stage(without(rule) if rule else None) as stage:
        mark = await stage.entries.mark()
        written = await stage.write("a", "lost")
        await stage.write("a", None)  # the new primary never had it
        async with stage.relaying(database="promoted/2"):
            await stage.applied()
            answer = await stage.entries.put(
                ITEM, "a", written.version, Rank.VALUE, 1 << 60, b"lost", mark=mark
            )
            assert (answer == "reborn") is (rule is None)
            assert await stage.is_coherent("a") is (rule is None)


@pytest.mark.parametrize("rule", [None, "fill generation"])
async def test_a_row_that_a_promotion_lost_is_not_filled(open_stage: OpenStage, rule: str | None) -> None:
    async with open_stage(without(rule) if rule else None) as stage:
        fill = await stage.entries.begin(ITEM, ["a"])
        async with stage.relaying(database="promoted/2"):
            await stage.applied()
            await stage.entries.fill(fill, {"a": (1, b"lost")}, 1 << 60)
            assert await stage.is_coherent("a") is (rule is None)


async def test_entries_of_another_history_are_not_read(stage: Stage) -> None:
    async with stage.relaying():
        await stage.write("a", "body")
        await stage.applied()
        await stage.cache("a")
    async with stage.relaying(database="promoted/2"):
        await stage.applied()
        assert await stage.look("a") is None


def _one_by_one(events: Sequence[Event]) -> list[Event]:
    """Return the events as if each change were all that its transaction did."""
    return [
        replace(event, changes=(change,)) if isinstance(event, Transaction) else event
        for event in events
        for change in (event.changes if isinstance(event, Transaction) else (None,))
    ]


@pytest.mark.parametrize("last_first", [False, True])
async def test_36_of_two_puts_of_one_commit_the_later_version_stays(stage: Stage, last_first: bool) -> None:
    await stage.write("a", "old")
    first, last = await stage.write_together("a", "first", "last")
    assert first.position < last.position
    answers = [await stage.put(one) for one in ((last, first) if last_first else (first, last))]
    assert answers == (["ok", "older"] if last_first else ["ok", "ok"])
    entry = await stage.look("a")
    assert entry is not None
    assert entry.message == b"last"
    async with stage.relaying():
        await stage.applied()
        assert await stage.look("a") is not None  # what was put is the change itself
        assert [await stage.put(one) for one in (first, last)] == ["behind", "behind"]
    assert await stage.is_coherent("a")


@pytest.mark.parametrize("last_counts", [True, False])
async def test_36_a_put_of_what_its_own_commit_changed_again_ends_with_the_relay(
    stage: Stage, last_counts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not last_counts:
        of = Batch.of
        monkeypatch.setattr(Batch, "of", lambda events, *rest: of(_one_by_one(events), *rest))
    await stage.write("a", "old")
    first, last = await stage.write_together("a", "first", "last")
    await stage.put(last)
    await stage.evict("a")
    assert await stage.put(first) == "ok"
    async with stage.relaying():
        await stage.applied()
    assert await stage.is_coherent("a") is last_counts
