"""The near cache on real servers: each race ends with the row, and without its rule it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.process import Process, advance, is_true
from tests.integration.cache.stage import ITEM, Stage, without

from entresol.cache import Entries, Session
from entresol.embedded import EmbeddedServers
from entresol.embedded.polling import until
from entresol.records import CACHE, NEAR, Demand
from entresol.schema.model import Consistency

Play = Callable[[Stage, Process], Awaitable[Demand]]
ANY = Demand()


async def _old(stage: Stage, process: Process) -> None:
    """Have the old row in Redis and, once read, in the process."""
    await stage.write("a", "old")
    await advance(stage, "a")
    await process.heard()
    await stage.cache("a")


async def _new(stage: Stage) -> int:
    """Have a new row in the database, and in Redis by another process; return where it was committed."""
    written = await stage.write("a", "new")
    await stage.put(written)
    return written.lsn


async def told_of_a_change(stage: Stage, process: Process) -> Demand:
    """Change the row: the relay tells."""
    await _old(stage, process)
    await process.copy("a")
    await _new(stage)
    await advance(stage, "a")
    await process.heard()
    return ANY


async def overtaken_reply(stage: Stage, process: Process) -> Demand:
    """Read the old entry, hear of a change of it, and only then be given the reply."""
    await _old(stage, process)
    async with process.held_reply("a"):
        await _new(stage)
        await advance(stage, "a")
        await process.heard()
    return ANY


async def reply_over_a_break(stage: Stage, process: Process) -> Demand:
    """Read the old entry, lose the connection over the change, follow again, and then be given the reply."""
    await _old(stage, process)
    async with process.held_reply("a"):
        process.near.lose()
        await _new(stage)
        await advance(stage, "a")
        await process.heard()
    return ANY


async def trimmed_stream(stage: Stage, process: Process) -> Demand:
    """Miss the record of a change, because the stream was trimmed before it was read."""
    await _old(stage, process)
    await process.copy("a")
    await _new(stage)
    await advance(stage, "a", then=[("XTRIM", stage.entries.layout.stream(0), "MAXLEN", 0)])
    await advance(stage)
    await process.heard()
    return ANY


async def new_generation(stage: Stage, process: Process) -> Demand:
    """Change more than can be told one by one."""
    await _old(stage, process)
    await process.copy("a")
    await stage.write("a", "new")
    await advance(stage, reset=True)
    await process.heard()
    return ANY


async def table_floor(stage: Stage, process: Process) -> Demand:
    """Change more of a table than can be named."""
    await _old(stage, process)
    await process.copy("a")
    written = await stage.write("a", "new")
    await advance(stage, floors={stage.entries.layout.floor("items"): written.lsn})
    await process.heard()
    return ANY


async def cut_connection(stage: Stage, process: Process) -> Demand:
    """Change the row while the process hears nothing."""
    await _old(stage, process)
    await process.copy("a")
    await process.cut()
    await _new(stage)
    await advance(stage, "a")
    return ANY


async def dead_relay(stage: Stage, process: Process) -> Demand:
    """Change the row after the relay's last word."""
    await _old(stage, process)
    await process.copy("a")
    await _new(stage)
    process.clock.advance(process.near.silence_s_max * 1.1)
    return ANY


async def too_old(stage: Stage, process: Process) -> Demand:
    """Change the row, with the relay at work on other things, until the copy has its age."""
    await _old(stage, process)
    await process.copy("a")
    await _new(stage)
    process.clock.advance(process.records.settings.near_age_max_s * 1.1)
    await stage.write("b", "")
    await advance(stage, "b")
    await process.heard()
    return ANY


async def failed_over(stage: Stage, process: Process) -> Demand:
    """Hear of a change, and read the entry that Redis has again after a failover, on behalf of who saw the change."""
    await _old(stage, process)
    copy = await stage.copy()
    seen = await _new(stage)
    await advance(stage, "a")
    await process.heard()
    await stage.fail_over(copy)
    assert await process.body("a") == b"old"  # as everybody is answered until the relay has seen to it
    return Demand(Session(seen, seen))


async def own_write(stage: Stage, process: Process) -> Demand:
    """Write through the process that has a copy."""
    await _old(stage, process)
    await process.copy("a")
    async with process.records.transaction() as transaction:
        await transaction.write("a", "new")
    return ANY


async def own_read(stage: Stage, process: Process) -> Demand:
    """Read the row itself, because Redis has no entry that is new enough, beside a copy."""
    await _old(stage, process)
    await process.copy("a")
    written = await stage.write("a", "new")
    assert await process.body("a", Demand(Session(written.lsn, written.lsn))) == b"new"
    await stage.evict("a")
    return ANY


@dataclass(frozen=True)
class Race:
    """A race, and the rule that wins it."""

    play: Play
    rule: str

    def __str__(self) -> str:
        return self.play.__name__


RACES = (
    Race(overtaken_reply, "placeholder"),
    Race(reply_over_a_break, "view"),
    Race(trimmed_stream, "number"),
    Race(new_generation, "number"),
    Race(cut_connection, "lost"),
    Race(dead_relay, "silence"),
    Race(too_old, "age"),
    Race(failed_over, "watermark"),
    Race(own_write, "own"),
    Race(own_read, "own"),
)


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_a_race_ends_with_the_row(race: Race, open_stage: OpenStage) -> None:
    async with open_stage() as stage, Process.open(stage) as process:
        demand = await race.play(stage, process)
        assert await is_true(process, "a", demand)


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_without_its_rule_the_race_is_lost(race: Race, open_stage: OpenStage) -> None:
    async with open_stage() as stage, Process.open(stage, rule=race.rule) as process:
        demand = await race.play(stage, process)
        assert not await is_true(process, "a", demand)


@pytest.mark.parametrize(("play", "rule"), [(told_of_a_change, "told"), (table_floor, "floors told")])
@pytest.mark.parametrize("is_told", [True, False])
async def test_what_the_relay_changes_is_told(
    open_stage: OpenStage, play: Play, rule: str, is_told: bool
) -> None:
    async with open_stage(None if is_told else without(rule)) as stage, Process.open(stage) as process:
        demand = await play(stage, process)
        assert await is_true(process, "a", demand) is is_told


async def test_a_copy_is_not_shown_to_who_has_seen_more(stage: Stage) -> None:
    async with Process.open(stage) as process:
        await _old(stage, process)
        await process.copy("a")
        seen = await _new(stage)  # and the relay is behind
        found = await process.get("a", Demand(Session(seen, seen)))
        assert (found.message, found.answered_by) == (b"new", "primary")
        await _old(stage, process)
        await process.copy("a")
        seen = await _new(stage)
        found = await process.get("a", Demand(Session(seen, seen), Consistency.EVENTUAL))
        assert (found.message, found.answered_by) == (b"old", NEAR)
        found = await process.get("a", Demand(consistency=Consistency.STRONG))
        assert (found.message, found.answered_by) == (b"new", "primary")


async def test_who_is_promised_more_than_a_copy_can_keep_is_shown_none(stage: Stage) -> None:
    strong = replace(ITEM, consistency=Consistency.STRONG)
    punctual = replace(ITEM, cache=replace(ITEM.cache, staleness_s_max=5.0))
    async with Process.open(stage) as process:
        await _old(stage, process)
        await process.copy("a")
        for resource, source in ((ITEM, NEAR), (strong, CACHE), (punctual, CACHE)):
            (found,) = await process.records.get(resource, ["a"])
            assert found.answered_by == source


async def test_a_copy_is_as_new_as_what_was_heard_last(stage: Stage) -> None:
    async with Process.open(stage) as process:
        await _old(stage, process)
        await process.copy("a")
        seen = (await stage.write("b", "")).lsn
        found = await process.get("a", Demand(Session(seen, seen)))
        assert found.answered_by == "primary"
        await process.copy("a")
        seen = (await stage.write("b", "")).lsn
        await advance(stage, "b")
        await process.heard()
        found = await process.get("a", Demand(Session(seen, seen)))
        assert (found.message, found.answered_by) == (b"old", NEAR)


async def test_a_hot_record_costs_redis_no_command(stage: Stage) -> None:
    async with Process.open(stage) as process:
        await _old(stage, process)
        assert (await process.get("a")).answered_by == CACHE
        before = await _commands(stage)
        found = [await process.get("a") for _ in range(100)]
        assert await _commands(stage) == before + 1  # which is the first of these two
        assert {item.answered_by for item in found} == {NEAR}


async def _commands(stage: Stage) -> int:
    """Return how many commands this server has run, the one that asks aside."""
    info = await stage.redis("INFO", "stats")
    assert isinstance(info, bytes)
    (line,) = [line for line in info.decode().splitlines() if line.startswith("total_commands_processed:")]
    return int(line.partition(":")[2])


async def test_that_there_is_no_record_is_near_too(stage: Stage) -> None:
    async with Process.open(stage) as process:
        assert await process.body("none") is None
        assert (await process.get("none")).answered_by == CACHE
        assert (await process.get("none")).answered_by == NEAR
        await stage.write("none", "now")
        await advance(stage, "none")
        await process.heard()
        assert await process.body("none") == b"now"


async def test_nothing_is_kept_before_the_first_word_and_after_the_last(stage: Stage) -> None:
    async with Process.open(stage) as process:
        await _old(stage, process)
        await process.cut()
        for _ in range(3):
            assert (await process.get("a")).answered_by == CACHE


async def test_with_the_relay_at_work_every_partition_is_heard(stage: Stage) -> None:
    stage.settings = stage.with_settings(cache_partitions=4, cache_prefix="parts")
    entries, stage.entries = stage.entries, Entries.open(stage.settings)
    await entries.close()
    names = [f"n{number}" for number in range(16)]
    async with stage.relaying(), Process.open(stage) as process:
        for body in ("old", "new"):
            for name in names:
                await stage.write(name, body)
            await stage.applied()
            await process.heard()
            assert {await process.body(name) for name in names} == {body.encode()}
            await process.records.get(ITEM, names)
            found = await process.records.get(ITEM, names)
            assert {item.answered_by for item in found} == {NEAR}


async def test_a_tail_whose_server_was_away_follows_again(
    stage: Stage, own_servers: EmbeddedServers, caplog: pytest.LogCaptureFixture
) -> None:
    async with stage.relaying(), Process.open(stage) as process:
        await stage.write("a", "old")
        await stage.applied()
        await process.heard()
        await process.copy("a")
        await own_servers.redis.kill()
        written = await stage.write("a", "new")
        await own_servers.redis.start()
        assert stage.relay is not None
        await stage.relay.reached(written.lsn)
        await stage.until_back()
        await process.hears()
        assert await process.body("a") == b"new"
        await process.get("a")

        async def is_near() -> bool:
            return (await process.get("a")).answered_by == NEAR

        assert await until(is_near, 10.0)
        assert "the near cache is off" in caplog.text


async def test_a_relay_that_falls_silent_is_told(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async with Process.open(stage):

        async def is_told() -> bool:
            return "no word from the relay" in caplog.text

        assert await until(is_told, 10.0)


async def test_while_a_changed_record_is_read_again_only_one_reader_waits(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Process.open(stage) as process:
        await _old(stage, process)
        await process.copy("a")
        lsn = (await stage.write("a", "new")).lsn
        await advance(stage, "a")
        await process.heard()
        reads, gate, real = asyncio.Event(), asyncio.Event(), process.records.store.get
        connection = asyncio.Lock()  # the stage has one, for one query at a time

        async def held(*arguments: Any, **options: Any) -> Any:
            reads.set()
            await gate.wait()
            async with connection:
                return await real(*arguments, **options)

        monkeypatch.setattr(process.records.store, "get", held)
        first = asyncio.create_task(process.get("a"))
        await reads.wait()
        others = await asyncio.gather(*(process.get("a") for _ in range(20)))
        assert {(item.message, item.answered_by) for item in others} == {(b"old", NEAR)}
        wanted = asyncio.create_task(process.get("a", Demand(Session().after(lsn))))
        gate.set()
        assert (await first).message == b"new"
        assert (await wanted).message == b"new"
        assert await process.body("a") == b"new"
