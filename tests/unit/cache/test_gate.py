"""Which transactions a snapshot shows, and how long the relay waits for them."""

from __future__ import annotations

import asyncio

import pytest

from entresol.cache import Snapshot
from entresol.cache.gate import wait_until_settled, wait_until_shown

EPOCH = 1 << 32


@pytest.mark.parametrize(
    ("text", "xid", "shown"),
    [
        ("100:100:", 99, True),
        ("100:100:", 100, False),
        ("100:110:105", 104, True),
        ("100:110:105", 105, False),
        ("100:110:105", 109, True),
        ("100:110:105,107", 107, False),
        (f"{EPOCH + 5}:{EPOCH + 5}:", EPOCH - 1, True),  # before the wrap-around
        (f"{EPOCH + 5}:{EPOCH + 5}:", 4, True),
        (f"{EPOCH + 5}:{EPOCH + 5}:", 5, False),
        (f"{EPOCH - 2}:{EPOCH - 2}:", 3, False),  # after it
        (f"{7 * EPOCH + 5}:{7 * EPOCH + 9}:{7 * EPOCH + 6}", 6, False),
        (f"{7 * EPOCH + 5}:{7 * EPOCH + 9}:{7 * EPOCH + 6}", 7, True),
    ],
)
def test_a_snapshot_shows_what_is_over(text: str, xid: int, shown: bool) -> None:
    assert Snapshot.parse(text, 0.0).shows(xid & 0xFFFFFFFF) is shown


async def test_the_gate_waits_for_every_transaction_of_the_batch() -> None:
    texts = iter(["10:20:12,15", "10:20:12", "10:20:12", "20:20:"])
    taken = []

    async def take() -> Snapshot:
        taken.append(Snapshot.parse(next(texts), 1.0))
        return taken[-1]

    snapshot = await wait_until_shown({12, 15, 16}, take)
    assert snapshot is taken[3]


async def test_settling_waits_for_what_runs_and_gives_up_in_time() -> None:
    texts = iter(["10:20:12", "15:22:15", "20:30:20,21"])

    async def take() -> Snapshot:
        return Snapshot.parse(next(texts), 0.0)

    assert await wait_until_settled(take, 5.0)

    async def stuck() -> Snapshot:
        return Snapshot.parse("10:20:12", 0.0)

    async with asyncio.timeout(5):
        assert not await wait_until_settled(stuck, 0.0)
