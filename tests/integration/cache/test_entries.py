"""Hits, misses, batches, leases: what the entries do while everything is well."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.stage import ITEM, Row, Stage, without

from entresol.cache import Entries, Flights, Key, Rank, Session
from entresol.schema.model import CachePolicy


async def _calls(stage: Stage) -> dict[str, int]:
    """Return how often each command ran so far."""
    text = await stage.redis("INFO", "commandstats")
    assert isinstance(text, bytes)
    lines = [line.split(":calls=") for line in text.decode().splitlines() if ":calls=" in line]
    return {name.removeprefix("cmdstat_"): int(rest.split(",")[0]) for name, rest in lines}


async def _fill(entries: Entries, rows: dict[str, Row], position: int | None = None) -> None:
    fill = await entries.begin(ITEM, list(rows))
    await entries.fill(fill, rows, position)


async def test_what_was_filled_is_found_byte_for_byte(stage: Stage) -> None:
    message = bytes(range(256)) * 8
    await _fill(stage.entries, {"a": (7, message), "b": None})
    value, absent, missing = await stage.entries.get(ITEM, ["a", "b", "c"])
    assert value is not None
    assert (value.version, value.rank, value.message) == (7, Rank.VALUE, message)
    assert absent is not None
    assert (absent.version, absent.rank, absent.message) == (0, Rank.ABSENT, b"")
    assert missing is None


async def test_a_put_is_a_hit_and_the_relay_confirms_it(stage: Stage) -> None:
    async with stage.relaying():
        written = await stage.write("a", "body")
        assert await stage.put(written) in ("ok", "confirmed")
        await stage.applied()
        entry = await stage.look("a")
        assert entry is not None
        assert entry.message == b"body"
        assert entry.asof > written.position


@pytest.mark.parametrize("rule", [None, "put confirmed"])
async def test_a_put_enters_although_the_relay_was_quicker(open_stage: OpenStage, rule: str | None) -> None:
    async with open_stage(without(rule) if rule else None) as stage, stage.relaying():
        assert stage.relay is not None
        first = await stage.write("a", "first")
        await stage.relay.reached(first.lsn)
        assert await stage.put(first) == ("behind" if rule else "confirmed")
        second = await stage.write("a", "second")
        await stage.relay.reached(second.lsn)
        assert await stage.put(first) == "behind"
        assert await stage.put(second) == ("behind" if rule else "confirmed")
        assert (await stage.look("a") is None) is bool(rule)
        assert await stage.is_coherent("a")


async def test_the_puts_of_a_busy_row_survive_the_relay_that_is_behind(stage: Stage) -> None:
    for number in range(5):
        assert await stage.put(await stage.write("a", f"body {number}")) == "ok"
    async with stage.relaying():
        await stage.applied()
        entry = await stage.look("a")
        assert entry is not None
        assert entry.message == b"body 4"


async def test_an_older_put_is_refused(stage: Stage) -> None:
    older, newer = await stage.write("a", "one"), await stage.write("a", "two")
    assert await stage.put(newer) == "ok"
    assert await stage.put(older) == "older"


async def test_a_put_that_comes_too_late_takes_the_older_entry_along(stage: Stage) -> None:
    stage.settings = stage.with_settings(cache_buckets=1, cache_prefix="narrow")
    process = stage.another()
    async with stage.relaying():
        await stage.write("a", "old")
        await stage.applied()
        fill = await process.begin(ITEM, ["a"])
        await process.fill(fill, await stage.read("a"), None)
    new = await stage.write("a", "new")
    (entry,) = await process.get(ITEM, ["a"])
    assert entry is not None
    meta, place = process.layout.meta(0), process.layout.place("items", "a")
    await stage.redis("HSET", meta, place.bucket, f"{new.lsn:016x}")  # a later change of the same bucket
    assert await stage.put(new, process) == "behind"
    assert await process.get(ITEM, ["a"]) == [None]
    await process.close()


async def test_a_deletion_is_put_and_found(stage: Stage) -> None:
    await stage.put(await stage.write("a", "one"))
    assert await stage.put(await stage.write("a", None)) == "ok"
    entry = await stage.look("a")
    assert entry is not None
    assert entry.rank is Rank.ABSENT


async def test_the_first_put_of_a_process_is_taken(stage: Stage) -> None:
    process = stage.another()
    assert await stage.put(await stage.write("a", "one"), process) == "ok"
    await process.close()


async def test_all_gets_of_one_turn_are_two_commands(stage: Stage) -> None:
    await _fill(stage.entries, {f"n{number}": (1, b"x") for number in range(20)})
    before = await _calls(stage)
    found = await asyncio.gather(
        *(stage.entries.get(ITEM, [f"n{number % 20}", "gone"]) for number in range(50))
    )
    after = await _calls(stage)
    assert all(entry is not None and gone is None for entry, gone in found)
    assert after["hmget"] - before["hmget"] == 1
    assert after["mget"] - before["mget"] == 1


async def test_many_names_are_filled_and_found_over_several_partitions(stage: Stage) -> None:
    process = stage.another(cache_partitions=4, cache_prefix="four")
    stage.settings = replace(stage.settings, cache_partitions=4, cache_prefix="four")
    rows: dict[str, Row] = {f"n{number}": (number + 1, b"%d" % number) for number in range(1500)}
    await stage.primary.execute("SELECT setval('versions', 1500)")
    async with stage.relaying():
        await _fill(process, rows)
        entries = await process.get(ITEM, list(rows))
        assert [entry.message for entry in entries if entry] == [b"%d" % number for number in range(1500)]
        await stage.write("n7", "changed")
        await stage.applied()
        assert await process.get(ITEM, ["n7"]) == [None]
    await process.close()


async def test_entries_expire_a_little_before_their_time(stage: Stage) -> None:
    resource = replace(ITEM, cache=CachePolicy(ttl_s=1000, negative_ttl_s=10))
    fill = await stage.entries.begin(resource, ["a", "b"])
    await stage.entries.fill(fill, {"a": (1, b""), "b": None}, None)
    place = stage.entries.layout.place
    value_ms = await stage.redis("PTTL", place("items", "a").entry)
    absent_ms = await stage.redis("PTTL", place("items", "b").entry)
    assert isinstance(value_ms, int)
    assert isinstance(absent_ms, int)
    assert 890_000 < value_ms <= 1_000_000
    assert 8_900 < absent_ms <= 10_000


async def test_without_positions_nothing_is_filled_or_put(stage: Stage) -> None:
    await stage.redis("FLUSHDB")
    fill = await stage.entries.begin(ITEM, ["a"])
    assert not fill.spots
    await stage.entries.fill(fill, {"a": (1, b"")}, None)
    assert await stage.put(await stage.write("a", "one")) == "reborn" or await stage.look("a") is None
    assert await stage.look("a") is None


async def test_a_fill_confirms_what_is_there_up_to_its_position(stage: Stage) -> None:
    await _fill(stage.entries, {"a": (1, b"x")})
    first = await stage.look("a")
    assert first is not None
    await _fill(stage.entries, {"a": (1, b"x")}, first.asof + 1000)
    second = await stage.look("a")
    assert second is not None
    assert second.asof == first.asof + 1000
    await _fill(stage.entries, {"a": (2, b"y")}, first.asof + 1001)
    third = await stage.look("a")
    assert third is not None
    assert third.message == b"y"
    await _fill(stage.entries, {"a": (1, b"x")}, first.asof + 2000)
    assert (await stage.look("a")) == third


async def test_a_session_is_shown_its_own_write_and_nothing_older(stage: Stage) -> None:
    key = Key("items", "a")
    old = await stage.write("a", "old")
    await stage.put(old)
    before = await stage.look("a")
    new = await stage.write("a", "new")
    session = Session().wrote(key, new.version, new.rank, new.position, new.lsn)
    assert before is not None
    assert not session.satisfied_by(before, key)
    await stage.put(new)
    after = await stage.look("a")
    assert after is not None
    assert session.satisfied_by(after, key)
    async with stage.relaying():
        await stage.applied()
        applied = await stage.look("a")
        assert applied is not None
        assert applied.watermark >= new.lsn
        assert Session().after(new.lsn).satisfied_by(applied, key)


async def test_a_lease_has_one_owner_and_the_others_get_what_it_fills(stage: Stage) -> None:
    other = stage.another()
    mine = await stage.entries.begin(ITEM, ["a"])
    theirs = await other.begin(ITEM, ["a", "b"])
    assert mine.lost == ()
    assert theirs.lost == ("a",)
    waiting = asyncio.create_task(other.wait(ITEM, theirs.lost))
    await stage.entries.fill(mine, {"a": (1, b"x")}, None)
    (entry,) = await waiting
    assert entry is not None
    assert entry.message == b"x"
    await other.close()


async def test_nobody_waits_for_what_cannot_be_filled(stage: Stage) -> None:
    """Without a relay an empty cache has no positions: each reader reads for itself, at once."""
    other = stage.another()
    await stage.redis("FLUSHDB")
    mine, theirs = await stage.entries.begin(ITEM, ["a"]), await other.begin(ITEM, ["a"])
    assert (mine.spots, mine.lost, theirs.lost) == ({}, (), ())
    assert await stage.redis("EXISTS", stage.entries.layout.place("items", "a").lease) == 0
    await other.close()


async def test_a_lease_that_is_given_back_ends_the_wait(stage: Stage) -> None:
    other = stage.another()
    mine = await stage.entries.begin(ITEM, ["a"])
    theirs = await other.begin(ITEM, ["a"])
    waiting = asyncio.create_task(other.wait(ITEM, theirs.lost))
    await stage.entries.release(mine)
    assert await waiting == [None]
    again = await other.begin(ITEM, ["a"])
    assert again.lost == ()
    await other.release(theirs)  # the lease that it never had is not given back
    assert (await stage.entries.begin(ITEM, ["a"])).lost == ("a",)
    await other.close()


async def test_a_lease_whose_owner_died_is_waited_for_no_longer_than_it_lasts(stage: Stage) -> None:
    dead, other = stage.another(cache_lease_s=0.05), stage.another(cache_lease_s=0.05)
    await dead.begin(ITEM, ["a"])
    await dead.close()
    theirs = await other.begin(ITEM, ["a"])
    async with asyncio.timeout(5):
        assert await other.wait(ITEM, theirs.lost) == [None]
    await other.close()


async def test_a_thousand_cold_readers_in_four_processes_ask_the_database_once(stage: Stage) -> None:
    await stage.write("a", "body")
    processes = [stage.another() for _ in range(4)]
    flights: list[Flights[str, bytes]] = [Flights() for _ in processes]
    queries = 0

    async def load(entries: Entries) -> bytes:
        nonlocal queries
        fill = await entries.begin(ITEM, ["a"])
        if fill.lost:
            (entry,) = await entries.wait(ITEM, ["a"])
            if entry is not None:
                return entry.message
        queries += 1
        await asyncio.sleep(0.2)  # who has missed it by now comes before it is there
        rows = await stage.read("a")
        await entries.fill(fill, rows, None)
        assert rows["a"] is not None
        return rows["a"][1]

    async def read(number: int) -> bytes:
        entries, flight = processes[number % 4], flights[number % 4]
        (entry,) = await entries.get(ITEM, ["a"])
        return entry.message if entry is not None else await flight.join("a", lambda: load(entries))

    answers = await asyncio.gather(*(read(number) for number in range(1000)))
    assert set(answers) == {b"body"}
    assert queries == 1
    await asyncio.gather(*(process.close() for process in processes))


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
async def test_messages_of_any_size_are_kept(stage: Stage, size: int) -> None:
    await _fill(stage.entries, {"a": (1, b"\x00" * size)})
    entry = await stage.look("a")
    assert entry is not None
    assert entry.message == b"\x00" * size
