"""One turn of the event loop is one piece of work, whoever asked."""

from __future__ import annotations

import asyncio

import pytest

from entresol.turns import Turn


async def test_what_is_asked_in_one_turn_is_worked_on_together() -> None:
    batches: list[list[int]] = []

    async def double(items: list[int]) -> list[int]:
        batches.append(items)
        return [2 * item for item in items]

    turn = Turn(double)
    assert await asyncio.gather(*(turn.submit(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert await turn.submit(9) == 18
    assert batches == [[0, 1, 2, 3, 4], [9]]


async def test_a_large_turn_is_cut() -> None:
    sizes: list[int] = []

    async def note(items: list[int]) -> list[int]:
        sizes.append(len(items))
        return items

    turn = Turn(note, size_max=4)
    assert await asyncio.gather(*(turn.submit(number) for number in range(10))) == list(range(10))
    assert sizes == [4, 4, 2]


async def test_an_error_reaches_every_caller() -> None:
    async def fail(items: list[int]) -> list[int]:
        raise ValueError("no")

    turn = Turn(fail)
    results = await asyncio.gather(*(turn.submit(number) for number in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["no"] * 3


async def test_a_caller_that_leaves_disturbs_nobody() -> None:
    started = asyncio.Event()
    go = asyncio.Event()

    async def wait(items: list[int]) -> list[int]:
        started.set()
        await go.wait()
        return items

    turn = Turn(wait)
    first, second = turn.submit(1), turn.submit(2)
    await started.wait()
    first.cancel()
    go.set()
    assert await second == 2


async def test_work_that_nobody_waits_for_is_cancelled() -> None:
    started = asyncio.Event()
    cancelled = asyncio.Event()

    async def wait(items: list[int]) -> list[int]:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        return items

    turn = Turn(wait)
    futures = [turn.submit(1), turn.submit(2)]
    await started.wait()
    for future in futures:
        future.cancel()
    await asyncio.wait_for(cancelled.wait(), 5)
    with pytest.raises(asyncio.CancelledError):
        await futures[0]
