"""The load generator: a process of its own that keeps calls in flight and measures each one.

It reads one JSON request per line, `{"method", "story_numbers", "round"}`, makes those calls and answers with
one JSON line of what it saw. Its own CPU is not counted: it runs beside the stores, off the server's core. It speaks
HTTP/2 itself, because grpcio's client costs several times what the servers do and would be what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import uvloop
import zttp
from tests.bench.rows import name_of

messages = grpc.protos("tests/bench/peers/stories.proto")

CONNECTIONS = 4
STREAMS_MAX = 3000  # of one connection; the engine ends it at 4096
CONNECT_S = 30.0
RUN_S = 280.0
ANSWERED_BY = b"entresol-answered-by"
CODES = {str(code.value[0]).encode(): code.name for code in grpc.StatusCode}


def get_request(number: int, _round: str) -> bytes:
    return bytes(messages.GetStoryRequest(name=name_of(number)).SerializeToString())


def update_request(number: int, round_name: str) -> bytes:
    request = messages.UpdateStoryRequest(
        story=messages.Story(name=name_of(number), title=f"Title of story {number} in round {round_name}")
    )
    request.update_mask.paths.append("title")
    return bytes(request.SerializeToString())


REQUESTS: dict[str, Callable[[int, str], bytes]] = {"GetStory": get_request, "UpdateStory": update_request}


@dataclass(slots=True)
class Call:
    """One call in flight."""

    caller: int
    name: bytes  # what the reply must hold
    started_s: float
    body: bytes = b""
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """One connection. `done` hears of every call that is over."""

    def __init__(self, done: Callable[[Call, str], None], authority: bytes) -> None:
        self.engine = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
        self.calls: dict[int, Call] = {}
        self.opened = 0
        self.leaving = False
        self._done = done
        self._authority = authority
        self._transport: asyncio.Transport | None = None
        self._planned = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.engine.initiate_connection()
        self.flush()

    def connection_lost(self, error: Exception | None) -> None:
        self.leaving = True
        for call in list(self.calls.values()):
            self._done(call, "LOST")
        self.calls.clear()

    def call(self, path: bytes, request: bytes, call: Call) -> None:
        """Begin a call."""
        self.opened += 1
        if self.opened >= STREAMS_MAX:
            self.leaving = True
        headers = [
            (b"host", self._authority),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"entresol-bench"),
            (b"grpc-timeout", b"10S"),
        ]
        stream = self.engine.send_request(b"POST", path, b"2", headers)
        stream.send_data(b"\x00" + len(request).to_bytes(4) + request)
        stream.end_message()
        self.calls[stream.stream_id] = call
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what is to be sent."""
        self._planned = False
        if self._transport is not None and (data := self.engine.data_to_send()):
            self._transport.write(data)
        if self.leaving and not self.calls and self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        engine = self.engine
        engine.receive_data(data)
        while (event := engine.next_event()) is not zttp.NEED_DATA:
            kind: Any = type(event)
            if kind is zttp.Data:
                self.calls[event.stream_id].body += event.data
            elif kind is zttp.Response:
                self.calls[event.stream_id].fields += event.headers
            elif kind is zttp.EndOfMessage:
                self._end(event)
            elif kind is zttp.GoAway:
                self.leaving = True
            elif kind is zttp.RstStream and (call := self.calls.pop(event.stream_id, None)):
                self._done(call, "RESET")
        self.flush()

    def _end(self, event: Any) -> None:
        call = self.calls.pop(event.stream_id)
        call.fields += event.trailers
        status = dict(call.fields).get(b"grpc-status", b"")
        code = CODES.get(status, "NO_STATUS")
        if code == "OK" and call.name not in call.body:
            code = "WRONG_ANSWER"
        self._done(call, code)


class Run:
    """Some calls of one method, a fixed number of them in flight."""

    def __init__(self, load: Load, path: bytes, requests: Sequence[tuple[bytes, bytes]]) -> None:
        self._load = load
        self._path = path
        self._requests: Iterator[tuple[bytes, bytes]] = iter(requests)
        self._left = len(requests)
        self._over = asyncio.get_running_loop().create_future()
        self.latencies_s: list[float] = []
        self.codes: Counter[str] = Counter()
        self.answered_by: Counter[str] = Counter()

    async def run(self, in_flight: int) -> float:
        """Make the calls and return the seconds they took."""
        start_s = time.perf_counter()
        for caller in range(in_flight):
            self._next(caller)
        async with asyncio.timeout(RUN_S):
            await self._over
        return time.perf_counter() - start_s

    def done(self, call: Call, code: str) -> None:
        """Take the end of a call, and begin the next."""
        self.latencies_s.append(time.perf_counter() - call.started_s)
        self.codes[code] += 1
        for key, value in call.fields:
            if key == ANSWERED_BY:
                self.answered_by[value.partition(b":")[0].decode()] += 1
        self._left -= 1
        if not self._left:
            self._over.set_result(None)
        self._next(call.caller)

    def _next(self, caller: int) -> None:
        request, name = next(self._requests, (None, b""))
        if request is not None:
            connection = self._load.connection(caller)
            connection.call(self._path, request, Call(caller, name, time.perf_counter()))


class Load:
    """The connections to one server."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connections: list[Connection] = []
        self._spare: list[Connection] = []
        self.running: Run | None = None

    async def open(self) -> None:
        """Connect, as soon as the server answers."""
        async with asyncio.timeout(CONNECT_S):
            while len(self._connections) < CONNECTIONS:
                try:
                    self._connections.append(await self._connect())
                except OSError:
                    await asyncio.sleep(0.05)

    async def renew(self) -> None:
        """Replace, between two runs, the connections that carry no more calls."""
        for index, connection in enumerate(self._connections):
            if connection.leaving or connection.opened > STREAMS_MAX // 2:
                connection.leaving = True
                connection.flush()
                self._connections[index] = await self._connect()
        self._spare = [await self._connect() for _ in range(2 * CONNECTIONS)]

    def connection(self, caller: int) -> Connection:
        """Return the connection of a caller, a new one in place of one that is told to leave."""
        index = caller % len(self._connections)
        if self._connections[index].leaving:
            self._connections[index] = self._spare.pop()
        return self._connections[index]

    async def _connect(self) -> Connection:
        host, _, port = self._address.rpartition(":")
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: Connection(self._done, self._address.encode()), host, int(port)
        )
        return connection

    def _done(self, call: Call, code: str) -> None:
        assert self.running is not None
        self.running.done(call, code)


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of the sorted values does not exceed."""
    return values[min(len(values) - 1, int(len(values) * share))]


async def serve(address: str, in_flight: int) -> None:
    """Answer requests from standard input until it ends."""
    load = Load(address)
    await load.open()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked = json.loads(line)
        path = f"/stories.v1.StoryService/{asked['method']}".encode()
        requests = [
            (REQUESTS[asked["method"]](number, asked["round"]), name_of(number).encode())
            for number in asked["story_numbers"]
        ]
        await load.renew()
        run = load.running = Run(load, path, requests)
        elapsed_s = await run.run(min(in_flight, len(requests)))
        latencies_s = sorted(run.latencies_s)
        answer = {
            "calls": len(latencies_s),
            "elapsed_s": elapsed_s,
            "p50_ms": percentile(latencies_s, 0.5) * 1000,
            "p99_ms": percentile(latencies_s, 0.99) * 1000,
            "codes": run.codes,
            "answered_by": run.answered_by,
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", required=True)
    parser.add_argument("--in-flight", type=int, default=32)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.address, arguments.in_flight))
