"""The balancer sends a request again to another server only where that cannot act twice, and then it does."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from tests.haproxy import haproxy_or_skip

from entresol.codegen.protos import compile_protos
from entresol.embedded.haproxy import Haproxy
from entresol.embedded.postgres import free_port
from entresol.embedded.processes import Processes
from entresol.schema.load import load
from entresol.schema.model import Model
from entresol.topology import Endpoint, Listen, Platforms, Topology, configuration

ROOT = Path(__file__).resolve().parents[3]
CALLS = 12
TOO_LARGE = 30_000  # for the balancer to keep the whole request
SETTINGS = bytes.fromhex("000000040000000000")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, END_STREAM, END_HEADERS = 0, 1, 1, 4
HEAD = b"\x88\x0f\x10\x10application/grpc"
ANSWER = [
    (HEADERS, END_HEADERS, HEAD),
    (DATA, 0, bytes(5)),
    (HEADERS, END_HEADERS | END_STREAM, b"\x00\x0bgrpc-status\x010"),
]
READY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@pytest.fixture(scope="session")
def stories() -> Model:
    return load(compile_protos(ROOT / "protos"))


@dataclass
class Servers:
    """One server that answers whatever it is asked, and one that does so half of the times; both say they are ready."""

    answered: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    refuses: bool = False

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        async def answer(_request: bytes, context: Any) -> bytes:
            if self.refuses:
                await context.abort(grpc.StatusCode.NOT_FOUND, "there is none")
            self.answered[details.method] += 1
            return b""

        return grpc.unary_unary_rpc_method_handler(answer)

    async def die(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the first request of a connection and hang up on the second, as who is killed at work."""
        writer.write(SETTINGS)
        await reader.readexactly(len(PREFACE))
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for is_last in (False, True):
                stream = await _request(reader)
                if not is_last:
                    writer.write(b"".join(_frame(stream, *part) for part in ANSWER))
                    self.answered["first"] += 1
            self.dropped += 1
        writer.close()

    async def ready(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(READY)
        writer.close()


@dataclass
class Balanced:
    """The two behind a balancer."""

    servers: Servers
    channel: grpc.aio.Channel
    model: Model
    details: list[str] = field(default_factory=list)

    async def outcomes(
        self, path: str, compression: grpc.Compression | None = None, **fields: Any
    ) -> Counter[str]:
        """Return how many of several calls ended how."""
        found: Counter[str] = Counter()
        request = self.model.methods[path].input_class(**fields).SerializeToString()
        for _ in range(CALLS):
            try:
                await self.channel.unary_unary(path)(request, timeout=10, compression=compression)
                found["OK"] += 1
            except grpc.aio.AioRpcError as error:
                found[error.code().name] += 1
                self.details.append(error.details() or "")
        return found


async def _request(reader: asyncio.StreamReader) -> int:
    """Return the stream of the next request, when all of it is there."""
    while True:
        head = await reader.readexactly(9)
        kind, flags, stream = head[3], head[4], int.from_bytes(head[5:])
        await reader.readexactly(int.from_bytes(head[:3]))
        if kind == DATA and flags & END_STREAM:
            return stream


def _frame(stream: int, kind: int, flags: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return self._servers.service(handler_call_details)


@asynccontextmanager
async def _listening(handler: Any) -> AsyncIterator[int]:
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.fixture
async def balanced(stories: Model, tmp_path: Path) -> AsyncIterator[Balanced]:
    program, servers = haproxy_or_skip(), Servers()
    good = grpc.aio.server()
    good.add_generic_rpc_handlers([_Handler(servers)])
    good_port = good.add_insecure_port("127.0.0.1:0")
    await good.start()
    processes = Processes(None, [], tmp_path / "guard.log")
    ports = [free_port() for _ in range(2)]
    try:
        async with _listening(servers.die) as bad_port, _listening(servers.ready) as ready_port:
            behind = tuple(Endpoint("127.0.0.1", port) for port in (bad_port, good_port))
            topology = Topology(
                platforms=Platforms(behind, admin_port=ready_port),
                listen=Listen(platform=f"127.0.0.1:{ports[0]}", admin=f"127.0.0.1:{ports[1]}"),
            )
            text = configuration(topology, stories)
            balancer = Haproxy(program, text, ports[0], processes, tmp_path, tmp_path / "haproxy.log")
            await balancer.start()
            async with grpc.aio.insecure_channel(topology.listen.platform) as channel:
                yield Balanced(servers, channel, stories)
    finally:
        await processes.close()
        await good.stop(None)


CREATE, GET, VOTE = (f"/stories.v1.StoryService/{name}" for name in ("CreateStory", "GetStory", "VoteStory"))


async def test_reads_are_sent_again(balanced: Balanced) -> None:
    assert await balanced.outcomes(GET, name="stories/1") == {"OK": CALLS}
    assert balanced.servers.answered.total() == CALLS
    assert balanced.servers.dropped


async def test_a_write_with_a_request_id_is_sent_again(balanced: Balanced) -> None:
    request_id = "0b9a1c1e-7d0e-4d5e-9a51-2f0f5f9b9c11"
    assert await balanced.outcomes(CREATE, story={"title": "x"}, request_id=request_id) == {"OK": CALLS}
    assert balanced.servers.dropped


@pytest.mark.parametrize("why", ["no id", "an empty id", "compressed", "too large", "never has one"])
async def test_any_other_write_is_sent_once(balanced: Balanced, why: str) -> None:
    key = {"request_id": "0b9a1c1e-7d0e-4d5e-9a51-2f0f5f9b9c11"}
    match why:
        case "no id":
            found = await balanced.outcomes(CREATE, story={"title": "x"})
        case "an empty id":
            found = await balanced.outcomes(CREATE, story={"title": "x"}, request_id="")
        case "compressed":
            story = {"title": "x" * 200}
            found = await balanced.outcomes(CREATE, grpc.Compression.Gzip, story=story, **key)
        case "too large":
            found = await balanced.outcomes(CREATE, story={"title": "x" * TOO_LARGE}, **key)
        case _:
            found = await balanced.outcomes(VOTE, name="stories/1")
    assert set(found) == {"OK", "UNAVAILABLE"}, found
    assert balanced.servers.answered.total() == found["OK"]
    assert balanced.servers.dropped == found["UNAVAILABLE"]
    # Of REFUSED_STREAM, error 7, clients of Go and Java would believe that no server had seen the request.
    assert all("status: 502" in text for text in balanced.details), balanced.details


@pytest.mark.parametrize("path", [GET, CREATE, VOTE])
async def test_what_a_server_refuses_is_told_as_it_says(balanced: Balanced, path: str) -> None:
    balanced.servers.refuses = True
    found = await balanced.outcomes(path)
    assert set(found) <= {"OK", "UNAVAILABLE", "NOT_FOUND"}
    assert balanced.details.count("there is none") == found["NOT_FOUND"] > 0
