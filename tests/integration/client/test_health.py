"""Which servers a connection asks: those that say they serve, where there may be several; else whoever is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
import pytest_asyncio
from entresol_stories.v1 import Story
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tests.integration.client.conftest import Asynchronous, Blocking, Stories, handlers

from entresol_client import NEVER, UnavailableError, trace

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class Server:
    """A server of one story on a port of its own, with a health of its own."""

    def __init__(self) -> None:
        self.stories = Stories({"stories/1": Story()})
        self.health = health.aio.HealthServicer()
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((handlers(self.stories),))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    async def start(self) -> None:
        await self.says(SERVING)
        await self._server.start()

    async def says(self, status: Any) -> None:
        await self.health.set("", status)

    async def stop(self) -> None:
        await self._server.stop(None)


@pytest_asyncio.fixture
async def pair() -> AsyncIterator[tuple[Server, Server]]:
    first, second = Server(), Server()
    for server in (first, second):
        await server.start()
    yield first, second
    for server in (first, second):
        await server.stop()


@pytest_asyncio.fixture(params=[Blocking, Asynchronous])
async def clients(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Make clients of a target, of one kind in each run; they are closed in the end."""
    made: list[Any] = []

    def make(target: Any, **choices: Any) -> Any:
        made.append(request.param(target, **choices))
        return made[-1]

    yield make
    for client in made:
        await client.close()


async def asked(client: Any, server: Server) -> None:
    """Call until the server is asked."""
    server.stories.received.clear()
    async with asyncio.timeout(20):
        while not server.stories.received:
            await client.call("get_story", "stories/1")


async def test_a_server_that_says_it_does_not_serve_is_left_out_until_it_does(
    pair: tuple[Server, Server], clients: Any
) -> None:
    first, second = pair
    client = clients([first.address, second.address])
    await asked(client, first)
    await asked(client, second)
    await first.says(NOT_SERVING)
    async with asyncio.timeout(20):
        while True:  # until it is heard
            first.stories.received.clear()
            for _ in range(10):
                await client.call("get_story", "stories/1")
            if not first.stories.received:
                break
    await first.says(SERVING)
    await asked(client, first)


async def test_one_address_is_asked_whatever_it_says_unless_it_is_told_to_look(
    pair: tuple[Server, Server], clients: Any
) -> None:
    server, _ = pair
    await server.says(NOT_SERVING)
    await clients(server.address).call("get_story", "stories/1")
    with pytest.raises(UnavailableError):
        await clients(server.address, health_checks=True, retry=NEVER).call("get_story", "stories/1")
    assert len(server.stories.received) == 1


async def test_a_hedged_read_that_one_server_refuses_goes_to_the_other_at_once(
    pair: tuple[Server, Server], clients: Any, away: Any
) -> None:
    client = clients([server.address for server in pair], hedge_after_s=60.0)
    pair[0].stories.refusals = [away()]
    with trace() as calls:
        await client.call("get_story", "stories/1")
    assert [(call.attempts, call.hedges) for call in calls] == [(1, 1)]
    assert [len(server.stories.received) for server in pair] == [1, 1]
