"""A link does to connections what it is told to, and works again when it is healed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from tests.chaos.network import Link, Network, Target, at_port


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)
    writer.close()


@pytest.fixture
async def link() -> AsyncIterator[Link]:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        network = Network({"echo": Target(at_port(server.sockets[0].getsockname()[1]))})
        yield await network.link("test", "echo")
        await network.close()


class Caller:
    """A connection through a link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, link: Link) -> Caller:
        return cls(*await asyncio.open_connection("127.0.0.1", link.port))

    async def ask(self, word: bytes) -> bytes:
        """Return the echo; nothing when the connection broke."""
        try:
            self._writer.write(word)
            async with asyncio.timeout(0.5):
                return await self._reader.read(1000)
        except ConnectionError:
            return b""

    def close(self) -> None:
        self._writer.transport.abort()


async def test_what_is_cut_breaks_and_can_be_made_again(link: Link) -> None:
    first = await Caller.of(link)
    assert await first.ask(b"one") == b"one"
    link.cut()
    assert await first.ask(b"two") == b""
    second = await Caller.of(link)
    assert await second.ask(b"three") == b"three"
    for caller in (first, second):
        caller.close()


async def test_what_is_refused_breaks_until_it_is_healed(link: Link) -> None:
    link.refuse()
    refused = await Caller.of(link)
    assert await refused.ask(b"one") == b""
    link.heal()
    healed = await Caller.of(link)
    assert await healed.ask(b"two") == b"two"
    for caller in (refused, healed):
        caller.close()


async def test_what_is_silent_stays_open_and_answers_nothing(link: Link) -> None:
    before = await Caller.of(link)
    assert await before.ask(b"one") == b"one"
    link.silence()
    during = await Caller.of(link)
    for caller in (before, during):
        with pytest.raises(TimeoutError):
            await caller.ask(b"two")
    link.heal()
    assert await before.ask(b"three") == b""
    for caller in (before, during):
        caller.close()


async def test_what_is_slow_arrives_late_and_in_order(link: Link) -> None:
    caller = await Caller.of(link)
    link.delay_s = 0.05
    began_s = time.monotonic()
    assert await caller.ask(b"one") == b"one"
    assert time.monotonic() - began_s >= 0.1
    link.heal()
    assert await caller.ask(b"two") == b"two"
    caller.close()
