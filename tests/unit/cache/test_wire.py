"""One connection for many callers: order, failures, silence, noise."""

from __future__ import annotations

import asyncio

import pytest

from entresol.cache.failure import CacheError
from entresol.cache.wire import PENDING_MAX, Wire


class Line(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self._wire = wire

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        asyncio.get_running_loop().call_soon(self._wire.connection_lost, None)


def _connected(timeout_s: float = 5.0) -> tuple[Wire, Line]:
    wire = Wire(timeout_s)
    line = Line(wire)
    wire.connection_made(line)
    return wire, line


async def test_what_is_sent_in_one_turn_is_one_write_and_answered_in_order() -> None:
    wire, line = _connected()
    first, second = wire.send([("GET", b"a"), ("GET", b"b")]), wire.send([("PING",)])
    await asyncio.sleep(0)
    assert line.writes == [
        b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n*2\r\n$3\r\nGET\r\n$1\r\nb\r\n*1\r\n$4\r\nPING\r\n"
    ]
    wire.data_received(b"$1\r\nx\r\n$-1\r\n+PO")
    assert await first == [b"x", None]
    assert not second.done()
    wire.data_received(b"NG\r\n")
    assert await second == [b"PONG"]
    wire.close()
    await wire.ended()


async def test_an_error_fails_its_batch_and_no_other() -> None:
    wire, _ = _connected()
    first, second = wire.send([("A",), ("B",)]), wire.send([("C",)])
    wire.data_received(b"-ERR no\r\n+OK\r\n+OK\r\n")
    with pytest.raises(CacheError, match="ERR no"):
        await first
    assert await second == [b"OK"]
    assert wire.is_open
    wire.close()


@pytest.mark.parametrize(
    "text", ["READONLY You can't write", "NOSCRIPT No matching script", "LOADING Redis is"]
)
async def test_an_error_of_the_server_closes_the_connection(text: str) -> None:
    wire, _ = _connected()
    first, second = wire.send([("A",)]), wire.send([("B",)])
    wire.data_received(f"-{text}\r\n".encode())
    for future in (first, second):
        with pytest.raises(CacheError, match=text.split(" ")[0]):
            await future
    assert not wire.is_open


async def test_a_batch_that_cannot_be_sent_leaves_the_others_in_order() -> None:
    wire, line = _connected()
    with pytest.raises(TypeError):
        wire.send([("A",), ("B", None)])
    good = wire.send([("C",)])
    await asyncio.sleep(0)
    assert line.writes == [b"*1\r\n$1\r\nC\r\n"]
    wire.data_received(b"+OK\r\n")
    assert await good == [b"OK"]
    wire.close()


async def test_a_cancelled_batch_is_read_and_thrown_away() -> None:
    wire, _ = _connected()
    first, second = wire.send([("A",)]), wire.send([("B",)])
    first.cancel()
    wire.data_received(b"+one\r\n+two\r\n")
    assert await second == [b"two"]
    wire.close()


async def test_silence_closes_the_connection() -> None:
    wire, _ = _connected(timeout_s=0.01)
    with pytest.raises(CacheError, match="no reply within"):
        await wire.send([("A",)])
    assert not wire.is_open
    with pytest.raises(CacheError, match="closed"):
        wire.send([("A",)])


async def test_a_lost_connection_fails_what_waits() -> None:
    wire, _ = _connected()
    future = wire.send([("A",)])
    wire.connection_lost(ConnectionResetError("cut"))
    with pytest.raises(CacheError, match="cut"):
        await future


@pytest.mark.parametrize("noise", [b"HTTP/1.1 400\r\n", b"+nobody asked\r\n"])
async def test_noise_closes_the_connection(noise: bytes) -> None:
    wire, _ = _connected()
    wire.data_received(noise)
    assert not wire.is_open


async def test_what_waits_is_bounded() -> None:
    wire, _ = _connected()
    futures = [wire.send([("A",)]) for _ in range(PENDING_MAX)]
    with pytest.raises(CacheError, match="wait"):
        wire.send([("A",)])
    wire.close()
    for future in futures:
        assert isinstance(future.exception(), CacheError)
