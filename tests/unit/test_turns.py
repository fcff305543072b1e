"""One turn of the event loop is one piece of work, whoever asked."""

from __future__ import annotations

import asyncio

import pytest

from entresol.errors import ResourceExhaustedError
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


class Gated:
    """Work that ends when it is let go, and tells what it was given."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.go.wait()
        return items


async def test_what_comes_while_all_work_is_under_way_waits_and_is_one_batch() -> None:
    work = Gated()
    turn = Turn(work, running_max=2)
    futures = []
    for number in range(5):
        futures.append(turn.submit(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert work.batches == [[0], [1]]
    work.go.set()
    assert await asyncio.gather(*futures) == [0, 1, 2, 3, 4]
    assert work.batches == [[0], [1], [2, 3, 4]]


async def test_one_too_many_is_refused_at_once_and_told_when_to_come_again() -> None:
    work = Gated()
    turn = Turn(work, running_max=1, waiting_max=2)
    first = turn.submit(0)
    await asyncio.sleep(0)
    waiting = [turn.submit(number) for number in (1, 2)]
    with pytest.raises(ResourceExhaustedError) as error:
        await turn.submit(3)
    assert error.value.retry_after_s
    work.go.set()
    assert await asyncio.gather(first, *waiting) == [0, 1, 2]
    assert await turn.submit(4) == 4


async def test_who_leaves_while_waiting_is_not_worked_for() -> None:
    work = Gated()
    turn = Turn(work, running_max=1)
    first = turn.submit(0)
    await asyncio.sleep(0)
    waiting = [turn.submit(number) for number in range(1, 4)]
    waiting[0].cancel()
    closing = asyncio.create_task(turn.close())
    work.go.set()
    await closing
    assert [await first, *[await future for future in waiting[1:]]] == [0, 2, 3]
    assert work.batches == [[0], [2, 3]]


async def test_items_of_one_key_share_a_batch_or_wait_for_each_other() -> None:
    work = Gated()
    turn = Turn(work, running_max=2, key=lambda item: item % 10)
    futures = [turn.submit(number) for number in (1, 11, 2)]
    await asyncio.sleep(0)
    futures += [turn.submit(number) for number in (21, 3, 31)]  # 1 is under way, and 3 need not wait for it
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    futures += [turn.submit(number) for number in (41, 4)]
    assert work.batches == [[1, 11, 2], [3]]
    work.go.set()
    assert await asyncio.gather(*futures) == [1, 11, 2, 21, 3, 31, 41, 4]
    assert work.batches == [[1, 11, 2], [3], [21, 31, 41, 4]]


async def test_what_waits_for_its_key_keeps_nobody_else_waiting() -> None:
    work = Gated()
    turn = Turn(work, running_max=2, key=lambda item: item % 10)
    first = turn.submit(1)
    await asyncio.sleep(0)
    second = turn.submit(11)
    for _ in range(3):
        await asyncio.sleep(0)
    third = turn.submit(2)
    for _ in range(3):
        await asyncio.sleep(0)
    assert work.batches == [[1], [2]]
    work.go.set()
    assert await asyncio.gather(first, second, third) == [1, 11, 2]
    assert work.batches == [[1], [2], [11]]


async def test_items_count_as_much_as_they_weigh() -> None:
    batches: list[list[int]] = []
    go = asyncio.Event()

    async def note(items: list[int]) -> list[int]:
        batches.append(items)
        await go.wait()
        return items

    turn = Turn(note, size_max=10, running_max=1, waiting_max=30, weight=lambda item: item)
    results = [turn.submit(weight) for weight in (4, 6, 1, 12, 9)]
    assert isinstance(turn.submit(1).exception(), ResourceExhaustedError)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert batches == [[4, 6]]
    later = turn.submit(1)  # what is worked on waits no more
    go.set()
    assert await asyncio.gather(*results, later) == [4, 6, 1, 12, 9, 1]
    assert batches == [[4, 6], [1], [12], [9, 1]]
