"""What the relay dropped is read again once, a few at a time, and never more than was settled."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from entresol.cache import refill
from entresol.cache.keys import Layout
from entresol.cache.refill import NAMES_MAX, WAITING_MAX, Read, Refill
from entresol.embedded.polling import until

LAYOUT = Layout("entresol", 2, 16)


def entries(*names: str, table: str = "items") -> list[bytes]:
    return [LAYOUT.place(table, name).entry for name in names]


class Reader:
    """Notes what is read; fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.read: list[tuple[str, list[str]]] = []
        self.opened = 0
        self._failures = failures
        self.enough = asyncio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Read]:
        self.opened += 1
        yield self._read

    async def _read(self, table: str, names: Sequence[str]) -> None:
        if self._failures:
            self._failures -= 1
            raise OSError("no database")
        self.read.append((table, list(names)))
        self.enough.set()

    async def run(self, refilling: Refill) -> None:
        task = asyncio.create_task(refilling.run())
        async with asyncio.timeout(20):
            await self.enough.wait()
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refill, "AFTER_S", 0.01)
    monkeypatch.setattr(refill, "PAUSE_S", 0.01)


async def test_what_is_dropped_twice_is_read_once_and_strange_keys_never() -> None:
    reader = Reader()
    refilling = Refill(LAYOUT, reader.open)
    refilling.note([*entries("a", "b", "a"), b"strange", *entries("a")])
    await reader.run(refilling)
    assert reader.read == [("items", ["a", "b"])]
    assert reader.opened == 1


async def test_nothing_is_opened_before_there_is_something_to_read() -> None:
    reader = Reader()
    refilling = Refill(LAYOUT, reader.open)
    refilling.note([])
    task = asyncio.create_task(refilling.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert reader.opened == 0


async def test_what_is_too_much_is_left_out_and_the_rest_is_read_a_few_at_a_time() -> None:
    reader = Reader()
    refilling = Refill(LAYOUT, reader.open)
    refilling.note(entries(*(str(number) for number in range(WAITING_MAX + 100))))
    task = asyncio.create_task(refilling.run())
    async with asyncio.timeout(20):
        while sum(len(names) for _, names in reader.read) < WAITING_MAX:
            reader.enough.clear()
            await reader.enough.wait()
    task.cancel()
    await asyncio.wait([task])
    assert {len(names) for _, names in reader.read} == {NAMES_MAX}
    assert [name for _, names in reader.read for name in names] == [
        str(number) for number in range(WAITING_MAX)
    ]


async def test_a_failure_is_logged_and_what_is_dropped_later_is_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader = Reader(failures=1)

    async def has_failed() -> bool:
        return bool(caplog.records)

    refilling = Refill(LAYOUT, reader.open)
    refilling.note(entries("a"))
    task = asyncio.create_task(refilling.run())
    assert await until(has_failed, 20.0)
    refilling.note(entries("b", table="things"))
    async with asyncio.timeout(20):
        await reader.enough.wait()
    task.cancel()
    await asyncio.wait([task])
    assert reader.read == [("things", ["b"])]
    assert reader.opened == 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
