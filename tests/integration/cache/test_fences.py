"""Races of STRONG records on real servers: with each rule of R9 no acknowledged write is hidden, without it one is.

The relay is away wherever a race does not need it: what holds then is held by the fences alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import asyncpg
import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.stage import ITEM, LSN, Stage, Written, without

from entresol.cache import Entries, Rank
from entresol.cache.fences import Fences
from entresol.embedded import EmbeddedServers
from entresol.embedded.polling import until
from entresol.errors import ConfigurationError, UnavailableError
from entresol.schema.model import CachePolicy, Consistency, Resource, UnfencedWrites
from entresol.storage.writer import Change
from entresol.testing import ManualClock

STRONG = replace(ITEM, consistency=Consistency.STRONG)
QUICK = {"cache_lease_s": 0.05, "cache_fence_s": 0.1}  # a fence that a test can outwait
PATIENT = {"cache_lease_s": 5.0, "cache_fence_s": 20.0}
AWAY = "redis://127.0.0.1:1/0"


class Writing:
    """A write of a STRONG record: its row is written, and locked, until it commits."""

    def __init__(self, entries: Entries, connection: asyncpg.Connection, resource: Resource) -> None:
        self.entries = entries
        self.resource = resource
        self.fences: Fences = entries.fences()
        self._connection = connection
        self._transaction = connection.transaction()

    async def write(self, name: str, body: str | None) -> Written:
        await self._transaction.start()
        if body is None:
            sql = f"DELETE FROM items WHERE name = $1 RETURNING row_version, {LSN} AS position"
            row = await self._connection.fetchrow(sql, name)
        else:
            sql = (
                "INSERT INTO items (name, body) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET body = $2 "
                f"RETURNING row_version, {LSN} AS position"
            )
            row = await self._connection.fetchrow(sql, name, body)
        rank = Rank.ABSENT if body is None else Rank.VALUE
        self.written = Written(name, row["row_version"], rank, row["position"], 0, (body or "").encode())
        return self.written

    async def fence(self) -> None:
        written = self.written
        row = written if written.rank is Rank.VALUE else None
        change = Change(self.resource, written.name, written.version, row, written.position)
        await self.fences.before_commit([change])

    async def commit(self) -> None:
        await self._transaction.commit()

    async def acknowledge(self) -> bool:
        return await self.fences.after_commit(0)

    async def roll_back(self) -> None:
        await self._transaction.rollback()

    async def put(self) -> str:
        mark = await self.entries.mark()
        written = self.written
        return await self.entries.put(
            STRONG, written.name, written.version, written.rank, written.position, written.body, mark=mark
        )


@asynccontextmanager
async def writing(
    stage: Stage, name: str, body: str | None, entries: Entries | None = None, *, fenced: bool = True
) -> AsyncIterator[Writing]:
    """Give a write that is fenced when the block begins, and acknowledged when it ends."""
    made = Writing(entries or stage.entries, await stage.connect(), STRONG)
    await made.write(name, body)
    if fenced:
        await made.fence()
    yield made
    await made.commit()
    await made.acknowledge()


async def write(stage: Stage, name: str, body: str | None, entries: Entries | None = None) -> Writing:
    async with writing(stage, name, body, entries) as made:
        return made


async def has_expired(stage: Stage, name: str) -> bool:
    """Tell whether the fence before this record stands no more, by the server's clock."""
    layout = stage.entries.layout
    place = layout.place(ITEM.table, name)
    fence = await stage.redis("HGET", layout.fences(0), place.entry)
    now = await stage.redis("TIME")
    assert isinstance(now, list)
    milliseconds = int(now[0]) * 1000 + int(now[1]) // 1000
    return not isinstance(fence, bytes) or int(fence[33:]) < milliseconds


async def until_expired(stage: Stage, name: str) -> None:
    assert await until(lambda: has_expired(stage, name), 10.0)


async def fill_between_fence_and_commit(stage: Stage) -> None:
    """Read the old row after the fence and before the commit, and fill it."""
    await stage.write("a", "old")
    async with writing(stage, "a", "new"):
        fill = await stage.entries.begin(STRONG, ["a"])
        await stage.entries.fill(fill, await stage.read("a"), None)


async def fill_after_the_fence_expired(stage: Stage) -> None:
    """Read the old row before the fence, and fill it when the fence stands no more and the relay lags."""
    entries = stage.another(**QUICK)
    reader = stage.another(**PATIENT)
    await stage.write("a", "old")
    fill = await reader.begin(STRONG, ["a"])
    old = await stage.read("a")
    await write(stage, "a", "new", entries)
    await until_expired(stage, "a")
    await reader.fill(fill, old, None)
    await entries.close()
    await reader.close()


async def commit_that_takes_long(stage: Stage) -> None:
    """Read the old row when the fence has expired and the commit is still under way, and fill it after that."""
    entries = stage.another(**QUICK)
    reader = stage.another(**PATIENT)
    await stage.write("a", "old")
    async with writing(stage, "a", "new", entries):
        await until_expired(stage, "a")
        fill = await reader.begin(STRONG, ["a"])
        old = await stage.read("a")
    await until_expired(stage, "a")
    await reader.fill(fill, old, None)
    await entries.close()
    await reader.close()


async def slow_put(stage: Stage) -> None:
    """Put late: a newer write was acknowledged, its fence has expired, and its entry was evicted."""
    entries = stage.another(**QUICK)
    first = await write(stage, "a", "first")
    await write(stage, "a", "second", entries)
    await until_expired(stage, "a")
    await first.put()
    await entries.close()


async def slow_put_that_the_relay_confirms(stage: Stage) -> None:
    """Put late a change that the relay has just applied, when a newer write was acknowledged and its fence expired."""
    entries = stage.another(**QUICK)
    async with stage.relaying() as relay:
        first = await write(stage, "a", "first")
        await stage.applied()
        assert relay.progress.applied
    await write(stage, "a", "second", entries)
    await until_expired(stage, "a")
    await first.put()
    await entries.close()


async def fence_lifted_by_the_change_before(stage: Stage) -> None:
    """Let the relay apply the change before the fenced one, then read the old row and fill it."""
    await write(stage, "a", "old")
    async with writing(stage, "a", "new"):
        async with stage.relaying():
            await stage.applied()
        fill = await stage.entries.begin(STRONG, ["a"])
        await stage.entries.fill(fill, await stage.read("a"), None)


async def fence_that_comes_late(stage: Stage) -> None:
    """Fence late, for a write that went on without: a newer one has fenced meanwhile."""
    async with writing(stage, "a", "old", fenced=False) as first:
        pass
    async with writing(stage, "a", "new"):
        await first.fence()
        fill = await stage.entries.begin(STRONG, ["a"])
        await stage.entries.fill(fill, await stage.read("a"), None)


@dataclass(frozen=True)
class Race:
    """A race, and the rule in the scripts that wins it."""

    play: Callable[[Stage], Awaitable[None]]
    rule: str

    def __str__(self) -> str:
        return self.play.__name__


RACES = (
    Race(fill_between_fence_and_commit, "fill fence"),
    Race(fill_after_the_fence_expired, "fill lease"),
    Race(commit_that_takes_long, "fill lease"),
    Race(slow_put, "put fence"),
    Race(slow_put_that_the_relay_confirms, "put fence"),
    Race(fence_lifted_by_the_change_before, "fence lifts"),
    Race(fence_that_comes_late, "fence order"),
)


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_no_hit_is_older_than_an_acknowledged_write(race: Race, open_stage: OpenStage) -> None:
    async with open_stage() as stage:
        await race.play(stage)
        assert await stage.is_coherent("a")


@pytest.mark.parametrize("race", RACES, ids=str)
async def test_without_its_rule_an_acknowledged_write_is_hidden(race: Race, open_stage: OpenStage) -> None:
    async with open_stage(without(race.rule)) as stage:
        await race.play(stage)
        assert not await stage.is_coherent("a")


async def test_a_commit_that_takes_long_is_fenced_again_before_it_is_acknowledged(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_self: Fences, _lsn: int) -> None: ...

    monkeypatch.setattr(Fences, "after_commit", nothing)
    await commit_that_takes_long(stage)
    assert not await stage.is_coherent("a")


@pytest.mark.parametrize("obeys", [True, False])
async def test_who_fenced_again_does_not_put(stage: Stage, obeys: bool) -> None:
    """A newer write was acknowledged while the first one slept, and its fence has expired when that fences again."""
    entries = stage.another(**QUICK)
    first = Writing(entries, await stage.connect(), STRONG)
    await first.write("a", "first")
    await first.fence()
    await first.commit()
    await write(stage, "a", "second", entries)
    await until_expired(stage, "a")
    may_put = await first.acknowledge()
    assert not may_put
    if not obeys:
        await first.put()
    assert await stage.is_coherent("a") is obeys
    await entries.close()


async def test_a_late_commit_that_cannot_be_fenced_again_is_not_acknowledged(
    stage: Stage, own_servers: EmbeddedServers
) -> None:
    clock = ManualClock()
    entries = Entries.open(stage.with_settings(cache_timeout_s=0.1), clock=clock)
    fences = entries.fences()
    await fences.before_commit([Change(STRONG, "a", 1, None, 1)])
    assert await fences.after_commit(0)
    fences = entries.fences()
    await fences.before_commit([Change(STRONG, "a", 2, None, 2)])
    clock.advance(stage.settings.cache_fence_s)
    await own_servers.redis.pause()
    try:
        with pytest.raises(UnavailableError, match="the change was made"):
            await fences.after_commit(0)
    finally:
        await own_servers.redis.resume()
    await entries.close()


async def test_an_entry_goes_with_the_fence_and_comes_back_with_the_put(stage: Stage) -> None:
    fill = await stage.entries.begin(STRONG, ["a"])
    await stage.write("a", "old")
    await stage.entries.fill(fill, await stage.read("a"), None)
    assert await stage.look("a") is not None
    async with writing(stage, "a", "new") as made:
        assert await stage.look("a") is None
    assert await made.put() == "ok"
    entry = await stage.look("a")
    assert entry is not None
    assert entry.message == b"new"
    async with stage.relaying():
        await stage.applied()
        assert await stage.redis("HLEN", stage.entries.layout.fences(0)) == 0
        assert await stage.look("a") is not None


async def test_what_was_fenced_may_be_filled_by_readers_at_once(stage: Stage) -> None:
    await write(stage, "a", "new")
    fill = await stage.entries.begin(STRONG, ["a"])
    await stage.entries.fill(fill, await stage.read("a"), None)
    entry = await stage.look("a")
    assert entry is not None
    assert entry.message == b"new"


async def test_a_deletion_is_fenced_and_known_at_once(stage: Stage) -> None:
    await write(stage, "a", "old")
    gone = await write(stage, "a", None)
    assert await gone.put() == "ok"
    entry = await stage.look("a")
    assert entry is not None
    assert entry.rank is Rank.ABSENT


async def test_after_a_writer_died_before_its_commit_fills_work_again(stage: Stage) -> None:
    entries = stage.another(**QUICK)
    await stage.write("a", "old")
    dead = Writing(entries, await stage.connect(), STRONG)
    await dead.write("a", "never")
    await dead.fence()
    await dead.roll_back()
    fill = await stage.entries.begin(STRONG, ["a"])
    await stage.entries.fill(fill, await stage.read("a"), None)
    assert await stage.look("a") is None
    await until_expired(stage, "a")
    fill = await stage.entries.begin(STRONG, ["a"])
    await stage.entries.fill(fill, await stage.read("a"), None)
    entry = await stage.look("a")
    assert entry is not None
    assert entry.message == b"old"
    await entries.close()


async def test_the_relay_sweeps_fences_that_expired_and_no_others(stage: Stage) -> None:
    entries = stage.another(**QUICK)
    for made in [Writing(e, await stage.connect(), STRONG) for e in (entries, stage.entries)]:
        await made.write("dead" if made.entries is entries else "alive", "never")
        await made.fence()
        await made.roll_back()
    await until_expired(stage, "dead")
    place = stage.entries.layout.place

    async def is_swept() -> bool:
        return await stage.redis("HKEYS", stage.entries.layout.fences(0)) == [place("items", "alive").entry]

    async with stage.relaying():
        assert await until(is_swept, 10.0)
    await entries.close()


async def test_a_write_whose_fence_was_lost_with_redis_is_not_put(stage: Stage) -> None:
    await stage.write("a", "old")
    copy = await stage.copy()
    async with writing(stage, "a", "new") as made:
        await stage.fail_over(copy)
    assert await made.put() == "fenced"
    assert await stage.look("a") is None


async def test_rows_of_a_replica_do_not_enter_and_give_back_their_leases(stage: Stage) -> None:
    written = await stage.write("a", "body")
    fill = await stage.entries.begin(STRONG, ["a"])
    await stage.entries.fill(fill, await stage.read("a"), written.lsn + 1_000_000)
    assert await stage.look("a") is None
    assert not (await stage.entries.begin(STRONG, ["a"])).lost


async def test_a_reader_without_a_lease_fills_nothing(stage: Stage) -> None:
    await stage.write("a", "body")
    fill = await stage.entries.begin(STRONG, ["a"], lease=False)
    await stage.entries.fill(fill, await stage.read("a"), None)
    assert await stage.look("a") is None


async def test_a_hundred_readings_at_once_are_all_filled(stage: Stage) -> None:
    names = [f"n{number}" for number in range(100)]
    fill = await stage.entries.begin(STRONG, names)
    await stage.entries.fill(fill, dict.fromkeys(names, (1, b"body")), None)
    assert all(await stage.entries.get(STRONG, names))


async def test_many_records_of_one_transaction_are_all_fenced(stage: Stage) -> None:
    changes = [Change(STRONG, f"n{number}", 1, None, 1) for number in range(3000)]
    await stage.entries.fences().before_commit(changes)
    assert await stage.redis("HLEN", stage.entries.layout.fences(0)) == 3000


async def test_a_change_without_a_name_raises_the_floor_of_its_table_to_its_commit(stage: Stage) -> None:
    await stage.write("a", "old")
    fill = await stage.entries.begin(STRONG, ["a"])
    await stage.entries.fill(fill, await stage.read("a"), None)
    assert await stage.look("a") is not None
    ahead = fill.spots["a"].watermark + 1000
    fences = stage.entries.fences()
    await fences.before_commit([Change(STRONG, "", 0, None, ahead)])
    assert await stage.look("a") is None
    await fences.after_commit(ahead + 1000)
    assert await stage.redis("HGET", stage.entries.layout.meta(0), "f:items") == b"%016x" % (ahead + 1000)
    fill = await stage.entries.begin(STRONG, ["a"])
    assert fill.spots["a"].reflected < ahead < fill.hint  # a floor is no word of the relay's
    await stage.entries.fill(fill, await stage.read("a"), None)
    assert await stage.look("a") is None


async def test_what_is_not_strong_is_not_fenced(stage: Stage) -> None:
    await stage.entries.fences().before_commit([Change(ITEM, "a", 1, None, 1)])
    assert await stage.redis("EXISTS", stage.entries.layout.fences(0)) == 0


async def test_a_fence_that_leases_could_outlive_is_refused(stage: Stage) -> None:
    with pytest.raises(ConfigurationError, match="cache_fence_s: 1 is less than twice cache_lease_s"):
        stage.another(cache_fence_s=1.0, cache_lease_s=0.6)


async def test_without_redis_a_write_is_refused_or_goes_on_as_its_resource_says(stage: Stage) -> None:
    entries = stage.another(cache_url=AWAY)
    with pytest.raises(UnavailableError, match="UNFENCED_WRITES_ALLOW") as refused:
        await entries.fences().before_commit([Change(STRONG, "a", 1, None, 1)])
    assert refused.value.retry_after_s > 0
    allowing = replace(STRONG, cache=CachePolicy(unfenced_writes=UnfencedWrites.ALLOW))
    fences = entries.fences()
    await fences.before_commit([Change(allowing, "a", 1, None, 1)])
    await fences.after_commit(0)
    await entries.close()
