"""grpcio's own retries, told what to repeat by the generated service config: what any gRPC client of ours gets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from entresol_stories.v1 import CreateStoryRequest, GetStoryRequest, Story, VoteStoryRequest

from entresol.codegen.protos import compile_protos
from entresol.codegen.service_config import service_config
from entresol.schema.load import load
from entresol.schema.model import Model

ROOT = Path(__file__).resolve().parents[3]
SERVICE = "/stories.v1.StoryService"
KEY = "c9b1f7a4-6a3c-4f0e-9d0b-0d3e7a4b8f11"
TIMEOUT_S = 20.0

Open = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture(scope="module")
def model() -> Model:
    return load(compile_protos(ROOT / "protos"))


@pytest.fixture
def opened(model: Model, server: str) -> Open:
    """Open a plain channel of grpcio with the config, and give what calls a method."""

    @asynccontextmanager
    async def open_(**choices: Any) -> AsyncIterator[Any]:
        config = service_config(model, **choices)
        options = [("grpc.service_config", json.dumps(config))]
        async with grpc.aio.insecure_channel(server, options=options) as channel:

            async def call(method: str, request: Any) -> Any:
                serialize = type(request).SerializeToString
                stub = channel.unary_unary(f"{SERVICE}/{method}", serialize, Story.FromString)
                return await stub(request, timeout=TIMEOUT_S)

            yield call

    return open_


async def test_a_read_is_repeated_until_a_server_answers(opened: Open, stories: Any, away: Any) -> None:
    stories.refusals = [away(), away(delay_ms=5)]
    async with opened() as call:
        assert (await call("GetStory", GetStoryRequest(name="stories/1"))).name == "stories/1"
    assert len(stories.received) == 3


@pytest.mark.parametrize("keyed", [False, True])
async def test_a_write_without_a_key_is_sent_once(opened: Open, stories: Any, away: Any, keyed: bool) -> None:
    stories.refusals = [away()]
    async with opened(keyed=keyed) as call:
        with pytest.raises(grpc.RpcError) as caught:
            await call("VoteStory", VoteStoryRequest(name="stories/1"))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(stories.received) == 1


async def test_a_write_with_a_key_is_repeated_with_the_same(opened: Open, stories: Any, away: Any) -> None:
    request = CreateStoryRequest(story_id="new", request_id=KEY)
    async with opened(keyed=True) as call:
        stories.refusals = [away(), away()]
        assert (await call("CreateStory", request)).name == "stories/new"
    assert [received.request.request_id for received in stories.received] == [KEY] * 3
    stories.received.clear()
    async with opened() as call:
        stories.refusals = [away()]
        with pytest.raises(grpc.RpcError):
            await call("CreateStory", request)
    assert len(stories.received) == 1


@pytest.mark.parametrize(("delay_ms", "attempts"), [(5, 2), (None, 1)])
async def test_an_exhausted_server_is_asked_again_only_when_it_names_a_delay(
    opened: Open, stories: Any, away: Any, delay_ms: int | None, attempts: int
) -> None:
    stories.refusals = [away(grpc.StatusCode.RESOURCE_EXHAUSTED, delay_ms)]
    async with opened() as call:
        request = GetStoryRequest(name="stories/1")
        if delay_ms is None:
            with pytest.raises(grpc.RpcError):
                await call("GetStory", request)
        else:
            await call("GetStory", request)
    assert len(stories.received) == attempts


async def test_where_too_much_fails_nothing_is_repeated(opened: Open, stories: Any, away: Any) -> None:
    stories.refusals = [away() for _ in range(1000)]
    request = GetStoryRequest(name="stories/1")
    async with opened() as call:
        reads = (call("GetStory", request) for _ in range(100))
        assert all(
            isinstance(error, grpc.RpcError) for error in await asyncio.gather(*reads, return_exceptions=True)
        )
        stories.received.clear()
        with pytest.raises(grpc.RpcError):
            await call("GetStory", request)
    assert len(stories.received) == 1


async def test_grpcio_takes_a_config_that_hedges_and_repeats_no_reads_by_it(
    opened: Open, stories: Any, away: Any
) -> None:
    stories.refusals = [away()]
    async with opened(hedge_after_s=0.01) as call:
        with pytest.raises(grpc.RpcError):
            await call("GetStory", GetStoryRequest(name="stories/1"))
    assert len(stories.received) == 1, "it hedges by now: let it do so in Python clients, too"
