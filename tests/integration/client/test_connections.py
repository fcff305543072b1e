"""Connections: who owns them, what closing does, and servers that go and come back."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from entresol_stories.v1 import AsyncStoryServiceClient, StoryServiceClient

from entresol_client import NEVER, AsyncConnection, CallCancelledError, Connection, Retry, UnavailableError


async def test_a_client_that_is_given_an_address_opens_and_closes_its_own(server: str) -> None:
    async with AsyncStoryServiceClient(server) as client:
        assert (await client.get_story("stories/1")).name == "stories/1"
    with pytest.raises(grpc.aio.UsageError):
        await client.get_story("stories/1")


async def test_a_blocking_client_that_is_given_an_address_opens_and_closes_its_own(server: str) -> None:
    with StoryServiceClient(server) as client:
        assert (await asyncio.to_thread(client.get_story, "stories/1")).name == "stories/1"
    with pytest.raises(ValueError, match="closed channel"):
        await asyncio.to_thread(client.get_story, "stories/1")


async def test_a_shared_connection_outlives_its_clients(server: str) -> None:
    async with AsyncConnection(server) as connection:
        async with AsyncStoryServiceClient(connection) as client:
            await client.get_story("stories/1")
        assert (await AsyncStoryServiceClient(connection).get_story("stories/2")).name == "stories/2"


async def test_a_channel_made_elsewhere_is_used_and_left_open(server: str) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        async with AsyncConnection(channel) as connection:
            await AsyncStoryServiceClient(connection).get_story("stories/1")
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_closing_ends_the_calls_in_flight(server: str, stories: Any) -> None:
    stories.hold = asyncio.Event()
    connection = AsyncConnection(server)
    call = asyncio.create_task(AsyncStoryServiceClient(connection).get_story("stories/1"))
    await stories.entered.wait()
    await connection.close()
    with pytest.raises(CallCancelledError, match="the connection was closed"):
        await call


async def test_closing_ends_the_calls_that_block(server: str, stories: Any) -> None:
    stories.hold = asyncio.Event()
    connection = Connection(server)
    call = asyncio.create_task(asyncio.to_thread(StoryServiceClient(connection).get_story, "stories/1"))
    await stories.entered.wait()
    connection.close()
    with pytest.raises(CallCancelledError):
        await call


async def test_a_cancelled_task_cancels_its_call(server: str, stories: Any) -> None:
    stories.hold = asyncio.Event()
    async with AsyncStoryServiceClient(server) as client:
        call = asyncio.create_task(client.get_story("stories/1"))
        await stories.entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_a_server_that_starts_late_is_waited_for(address: str, stories: Any, serve: Any) -> None:
    async with AsyncConnection(address, retry=Retry(attempts=1)) as connection:
        client = AsyncStoryServiceClient(connection)
        with pytest.raises(UnavailableError):
            await client.get_story("stories/1")
        patient = Retry(attempts=100, initial_s=0.05, multiplier=1.0)
        call = asyncio.create_task(client.get_story("stories/1", retry=patient, timeout=20))
        async with serve():
            assert (await call).name == "stories/1"


async def test_names_of_xds_are_grpcs_own_to_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GRPC_XDS_BOOTSTRAP", "GRPC_XDS_BOOTSTRAP_CONFIG"):
        monkeypatch.delenv(variable, raising=False)
    async with AsyncConnection("xds:///stories", retry=NEVER) as connection:
        with pytest.raises(UnavailableError, match="GRPC_XDS_BOOTSTRAP"):
            await AsyncStoryServiceClient(connection).get_story("stories/1")
