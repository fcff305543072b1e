"""What has been applied, and what the slot may forget."""

from __future__ import annotations

import asyncio

from entresol.cache.progress import Progress
from entresol.testing import ManualClock


async def test_what_is_applied_is_retained_for_its_time() -> None:
    clock = ManualClock()
    progress = Progress(clock, 60.0)
    await progress.move(10, 0.0)
    assert progress.retained() is None
    clock.advance(30)
    await progress.move(20, 0.0)
    clock.advance(30)
    assert progress.retained() == 10
    assert progress.retained() is None
    clock.advance(30)
    assert progress.retained() == 20


async def test_a_feed_that_begins_again_forgets_what_was_applied_after_it() -> None:
    clock = ManualClock()
    progress = Progress(clock, 60.0)
    await progress.move(100, 0.0)
    progress.begin(50)
    clock.advance(100)
    assert progress.retained() is None
    assert progress.applied == 50


async def test_samples_are_bounded() -> None:
    clock = ManualClock()
    progress = Progress(clock, 60.0)
    for number in range(10_000):
        await progress.move(number, 0.0)
        clock.advance(0.01)
        progress.retained()
    assert len(progress._samples) < 100


async def test_who_waits_is_told() -> None:
    progress = Progress(ManualClock(), 60.0)
    waiting = asyncio.create_task(progress.reached(10))
    await progress.move(9, 0.0)
    await asyncio.sleep(0)
    assert not waiting.done()
    await progress.move(11, 0.5)
    await waiting
    await progress.ready()
    assert progress.lag_s == 0.5


async def test_a_silent_feed_is_as_old_as_its_last_word() -> None:
    clock = ManualClock()
    progress = Progress(clock, 60.0)
    progress.begin(1)
    clock.advance(3)
    await progress.move(1, 0.0)
    assert progress.lag_s == 3
    progress.hear(["a keepalive"])
    await progress.move(1, 0.5)
    assert progress.lag_s == 0.5


async def test_who_stands_by_is_ready() -> None:
    progress = Progress(ManualClock(), 60.0)
    progress.stand_by()
    await progress.ready()
    assert not progress.is_active
