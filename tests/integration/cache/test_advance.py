"""ADVANCE by itself: what it answers, and that a batch of several calls is applied whole or again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.integration.cache.conftest import OpenStage
from tests.integration.cache.stage import Stage, without

from entresol.cache import Rank
from entresol.cache.batch import CHANGES_PER_CALL, Advance, Change
from entresol.cache.entry import hexed, stamp


class Partition:
    """The only partition of a stage, advanced by hand."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        layout = stage.entries.layout
        self.meta, self.fences = layout.meta(0), layout.fences(0)
        self.keys = self.meta, self.fences, layout.stream(0)
        self.floors: dict[bytes, int] = {}
        script = stage.entries.connection.scripts.advance
        self.advance = Advance(script, 100, 200, b"generate", "database", reset=True)

    async def begin(self) -> None:
        """Start a generation at 200, which the next batch continues."""
        assert await self.apply([]) == [(b"created", hexed(200))]
        self.advance = replace(self.advance, expected=200, newest=300, reset=False)

    def change(self, name: str, position: int, version: int = 0, rank: Rank = Rank.VALUE) -> Change:
        place = self.stage.entries.layout.place("items", name)
        return Change(place, position, stamp(version, rank) if version else b"")

    async def apply(self, changes: list[Change], calls: slice = slice(None)) -> list[tuple[bytes, bytes]]:
        """Run the calls of a batch, or some of them."""
        commands = self.advance.commands(self.keys, changes, self.floors)[calls]
        return [tuple(reply) for reply in await self.stage.entries.connection.execute(*commands)]

    async def field(self, name: str | bytes) -> object:
        return await self.stage.redis("HGET", self.meta, name)


@pytest.fixture
async def partition(stage: Stage) -> Partition:
    made = Partition(stage)
    await made.begin()
    return made


def _many(partition: Partition) -> list[Change]:
    return [partition.change(f"n{number}", 250) for number in range(2 * CHANGES_PER_CALL + 1)]


async def test_a_tick_moves_the_watermark_and_nothing_else(partition: Partition) -> None:
    before = await partition.stage.redis("HLEN", partition.meta)
    assert await partition.apply([]) == [(b"ok", hexed(200))]
    assert await partition.field("W") == hexed(300)
    assert await partition.stage.redis("HLEN", partition.meta) == before


async def test_the_watermark_and_the_buckets_never_go_back(partition: Partition) -> None:
    change = partition.change("a", 250)
    await partition.apply([change])
    partition.advance = replace(partition.advance, expected=0, newest=220)
    await partition.apply([partition.change("a", 210)])
    assert await partition.field("W") == hexed(300)
    assert await partition.field(change.place.bucket) == hexed(250)


async def test_a_batch_moves_the_watermark_with_its_last_call(partition: Partition) -> None:
    changes = _many(partition)
    await partition.apply(changes, slice(0, 2))
    assert await partition.field("W") == hexed(200)
    await partition.apply(changes, slice(2, None))
    assert await partition.field("W") == hexed(300)
    assert await partition.field("step") == b""


async def test_a_batch_whose_start_was_lost_is_refused_until_it_is_applied_again(
    partition: Partition,
) -> None:
    changes = _many(partition)
    copy = await partition.stage.copy()
    await partition.apply(changes, slice(0, 2))
    await partition.stage.fail_over(copy)
    assert await partition.apply(changes, slice(2, None)) == [(b"torn", hexed(200))]
    assert await partition.field("W") == hexed(200)
    assert [answer for answer, _ in await partition.apply(changes)] == [b"ok"] * 3
    assert await partition.field("W") == hexed(300)


async def test_positions_lost_within_a_batch_begin_where_it_ends(partition: Partition) -> None:
    changes = _many(partition)
    await partition.apply(changes, slice(0, 1))
    await partition.stage.redis("DEL", partition.meta)
    answers = await partition.apply(changes, slice(1, None))
    assert [answer for answer, _ in answers] == [b"created", b"ok"]
    assert await partition.field("base") == hexed(300)


async def test_a_watermark_behind_the_expected_is_told_and_nothing_is_applied(partition: Partition) -> None:
    partition.advance = replace(partition.advance, expected=201)
    change = partition.change("a", 250)
    assert await partition.apply([change]) == [(b"rewind", hexed(200))]
    assert await partition.field(change.place.bucket) is None


async def test_another_database_begins_anew(partition: Partition) -> None:
    partition.advance = replace(partition.advance, database="other", generation=b"renewed!")
    assert await partition.apply([]) == [(b"created", hexed(300))]
    assert await partition.field("g") == b"renewed!"


async def test_a_floor_is_raised_and_a_new_generation_forgets_it(partition: Partition) -> None:
    partition.floors = {b"f:items": 260}
    await partition.apply([])
    assert await partition.field("f:items") == hexed(260)
    partition.advance = replace(partition.advance, reset=True)
    await partition.apply([])
    assert await partition.field("f:items") is None


@pytest.mark.parametrize("rule", [None, "floor never falls"])
async def test_a_floor_that_is_applied_again_does_not_fall(open_stage: OpenStage, rule: str | None) -> None:
    async with open_stage(without(rule) if rule else None) as stage:
        partition = Partition(stage)
        await partition.begin()
        for position in (270, 260):
            partition.floors = {b"f:items": position}
            await partition.apply([])
        assert await partition.field("f:items") == hexed(270 if rule is None else 260)


@pytest.mark.parametrize("rule", [None, "floor drops"])
async def test_a_change_does_not_lift_an_entry_over_its_floor(
    open_stage: OpenStage, rule: str | None
) -> None:
    """A large transaction deletes a row (version 7), which another that drew its version before inserts again."""
    async with open_stage(without(rule) if rule else None) as stage:
        partition = Partition(stage)
        await partition.begin()
        change = partition.change("a", 270, 6)
        deleted = b"generate" + stamp(7, Rank.ABSENT) + b"d" + hexed(210) + b"00000001" + bytes(20)
        await stage.redis("SET", change.place.entry, deleted, "PX", 50_000)
        partition.floors = {b"f:items": 260}
        await partition.apply([change])
        assert (await stage.look("a") is None) is (rule is None)


@pytest.mark.parametrize(
    ("old", "source", "new", "left"),
    [
        ((7, Rank.VALUE), b"d", (7, Rank.VALUE), b"c"),
        ((7, Rank.VALUE), b"d", (8, Rank.VALUE), None),
        ((7, Rank.VALUE), b"d", (7, Rank.ABSENT), None),
        ((7, Rank.VALUE), b"d", (6, Rank.VALUE), b"d"),
        ((7, Rank.VALUE), b"c", (6, Rank.VALUE), None),
        ((7, Rank.ABSENT), b"d", (7, Rank.ABSENT), b"c"),
        ((0, Rank.ABSENT), b"d", (6, Rank.VALUE), None),
        ((7, Rank.VALUE), b"d", (0, Rank.VALUE), None),
    ],
)
async def test_an_entry_is_confirmed_kept_or_dropped(
    partition: Partition, old: tuple[int, Rank], source: bytes, new: tuple[int, Rank], left: bytes | None
) -> None:
    change = partition.change("a", 250, *new)
    data = b"generate" + stamp(*old) + source + hexed(210) + b"00000001body"
    await partition.stage.redis("SET", change.place.entry, data, "PX", 50_000)
    await partition.apply([change])
    expected = b"generate" + stamp(*old) + left + hexed(250) + b"00000001body" if left else None
    assert await partition.stage.redis("GET", change.place.entry) == expected
    assert await partition.stage.redis("PTTL", change.place.entry) != -1


async def test_new_list_scopes_make_stale_whatever_lacks_a_change_that_was_applied_without_them(
    partition: Partition,
) -> None:
    await partition.apply([])
    assert await partition.field("lists") is None
    # A relay that starts again reads from before the watermark.
    partition.advance = replace(partition.advance, expected=100, newest=250, scopes=b"others")
    await partition.apply([])
    assert (await partition.field("scopes"), await partition.field("lists")) == (b"others", hexed(300))
    partition.advance = replace(partition.advance, expected=250, newest=400, scopes=b"again")
    await partition.apply([])
    assert await partition.field("lists") == hexed(400)
    await partition.apply([])
    assert (await partition.field("W"), await partition.field("lists")) == (hexed(400), hexed(400))


async def test_a_list_scope_moves_its_stamp_and_drops_nothing(partition: Partition) -> None:
    place = partition.stage.entries.layout.scope("items", ("owner=ann",))
    await partition.apply([Change(place, 250, b""), partition.change("a", 240)])
    assert await partition.field(place.bucket) == hexed(250)
    await partition.apply([Change(place, 230, b"")])
    assert await partition.field(place.bucket) == hexed(250)
