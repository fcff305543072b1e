"""A real gRPC server of stories in the test's process, and both clients behind one way to call them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import pytest_asyncio
from entresol_stories.v1 import (
    AsyncStoryServiceClient,
    CreateStoryRequest,
    DeleteStoryRequest,
    GetStoryRequest,
    ListStoriesRequest,
    ListStoriesResponse,
    Story,
    StoryServiceClient,
    VoteStoryRequest,
)
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from entresol.transport.calls import pushback
from entresol_client import AsyncConnection, Connection, Method, Retry

SERVICE = "stories.v1.StoryService"
WATCH = Method(f"/{SERVICE}/WatchStories", ListStoriesRequest, Story, server_streaming=True)
RETRY = Retry(attempts=4, initial_s=0.001)


@dataclass
class Refusal:
    """What the server answers instead of a reply."""

    code: grpc.StatusCode
    message: str = "refused"
    details: tuple[Message, ...] = ()

    def metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            packed = Packed()
            packed.Pack(detail)
            status.details.append(packed)
        return (("grpc-status-details-bin", status.SerializeToString()), *pushback(status))


@dataclass
class Received:
    """One attempt as the server saw it."""

    request: Any
    metadata: list[tuple[str, str]]
    left_s: float | None

    def values(self, key: str) -> list[str]:
        return [value for found, value in self.metadata if found == key]


@dataclass
class Stories:
    """Handlers that keep stories in a dictionary, and do what the test tells them to."""

    stories: dict[str, Story] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)  # for the next attempts, in order
    trailing: list[tuple[str, str]] = field(default_factory=list)  # of each reply
    stamps: bool = False  # each Create answers with its story's id as the session's token
    received: list[Received] = field(default_factory=list)
    hold: asyncio.Event | None = None  # replies wait for it
    holds_one: bool = False  # only the first of them
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)  # somebody gave up who was held
    ended: asyncio.Event = field(default_factory=asyncio.Event)  # a stream ended, however it did

    async def enter(self, request: Any, context: Any) -> None:
        metadata = [(key, value) for key, value in context.invocation_metadata()]
        self.received.append(Received(request, metadata, context.time_remaining()))
        self.entered.set()
        hold = self.hold
        if self.holds_one:
            self.hold = None
        if hold is not None:
            try:
                await hold.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        if self.refusals:
            refusal = self.refusals.pop(0)
            context.set_trailing_metadata((*refusal.metadata(), *self.trailing))
            await context.abort(refusal.code, refusal.message)
        context.set_trailing_metadata(tuple(self.trailing))

    async def get(self, request: GetStoryRequest, context: Any) -> Story:
        await self.enter(request, context)
        return self.stories[request.name]

    async def list(self, request: ListStoriesRequest, context: Any) -> ListStoriesResponse:
        await self.enter(request, context)
        names = sorted(self.stories)
        start, size = int(request.page_token or 0), request.page_size or 50
        rest = str(start + size) if start + size < len(names) else ""
        found = [self.stories[name] for name in names[start : start + size]]
        return ListStoriesResponse(stories=found, next_page_token=rest)

    async def create(self, request: CreateStoryRequest, context: Any) -> Story:
        await self.enter(request, context)
        if self.stamps:
            context.set_trailing_metadata((("entresol-session", request.story_id),))
        story = Story()
        story.CopyFrom(request.story)
        story.name = f"stories/{request.story_id}"
        return self.stories.setdefault(story.name, story)

    async def delete(self, request: DeleteStoryRequest, context: Any) -> Story:
        await self.enter(request, context)
        return self.stories.pop(request.name)

    async def vote(self, request: VoteStoryRequest, context: Any) -> Story:
        await self.enter(request, context)
        return self.stories[request.name]

    async def watch(self, request: ListStoriesRequest, context: Any) -> AsyncIterator[Story]:
        try:
            for name in sorted(self.stories):
                yield self.stories[name]
            await self.enter(request, context)
        finally:
            self.ended.set()


def handlers(stories: Stories) -> grpc.GenericRpcHandler:
    unary: dict[str, tuple[Callable[..., Awaitable[Message]], type[Message]]] = {
        "GetStory": (stories.get, GetStoryRequest),
        "ListStories": (stories.list, ListStoriesRequest),
        "CreateStory": (stories.create, CreateStoryRequest),
        "DeleteStory": (stories.delete, DeleteStoryRequest),
        "VoteStory": (stories.vote, VoteStoryRequest),
    }
    methods = {
        name: grpc.unary_unary_rpc_method_handler(
            handler,
            request_deserializer=kind.FromString,
            response_serializer=lambda reply: reply.SerializeToString(),
        )
        for name, (handler, kind) in unary.items()
    }
    methods["WatchStories"] = grpc.unary_stream_rpc_method_handler(
        stories.watch,
        request_deserializer=ListStoriesRequest.FromString,
        response_serializer=lambda reply: reply.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(SERVICE, methods)


@pytest.fixture
def stories() -> Stories:
    names = [f"stories/{number}" for number in range(1, 6)]
    return Stories({name: Story(name=name, title=f"Title of {name}") for name in names})


@pytest.fixture
def address(tmp_path: Path) -> str:
    return f"unix:{tmp_path}/grpc.sock"


@pytest.fixture
def serve(stories: Stories, address: str) -> Callable[[], AbstractAsyncContextManager[str]]:
    """Make a server of the stories at the address; entering starts it."""

    @asynccontextmanager
    async def start() -> AsyncIterator[str]:
        served = grpc.aio.server()
        served.add_generic_rpc_handlers((handlers(stories),))
        served.add_insecure_port(address)
        await served.start()
        try:
            yield address
        finally:
            await served.stop(None)

    return start


@pytest_asyncio.fixture
async def server(serve: Callable[[], AbstractAsyncContextManager[str]]) -> AsyncIterator[str]:
    """Serve the stories; the value is the address."""
    async with serve() as address:
        yield address


class Blocking:
    """The blocking client, each call in a thread so that the server's loop goes on."""

    def __init__(self, target: Any, **choices: Any) -> None:
        self.connection: Any = Connection(target, **{"retry": RETRY, **choices})
        self.stories: Any = StoryServiceClient(self.connection)

    async def call(self, method: str, *arguments: Any, connection: Any = None, **options: Any) -> Any:
        client = StoryServiceClient(connection) if connection else self.stories
        return await asyncio.to_thread(getattr(client, method), *arguments, **options)

    async def items(self, iterable: Any) -> list[Any]:
        return await asyncio.to_thread(list, iterable)

    async def page(self, pager: Any) -> Any:
        return await asyncio.to_thread(pager.page)

    async def first(self, iterator: Iterator[Any]) -> Any:
        return await asyncio.to_thread(next, iterator)

    async def end(self, iterator: Any) -> None:
        await asyncio.to_thread(iterator.close)

    async def close(self) -> None:
        self.connection.close()


class Asynchronous:
    """The asynchronous client."""

    def __init__(self, target: Any, **choices: Any) -> None:
        self.connection: Any = AsyncConnection(target, **{"retry": RETRY, **choices})
        self.stories: Any = AsyncStoryServiceClient(self.connection)

    async def call(self, method: str, *arguments: Any, connection: Any = None, **options: Any) -> Any:
        client = AsyncStoryServiceClient(connection) if connection else self.stories
        found = getattr(client, method)(*arguments, **options)
        return await found if asyncio.iscoroutine(found) else found

    async def items(self, iterable: Any) -> list[Any]:
        return [item async for item in iterable]

    async def page(self, pager: Any) -> Any:
        return await pager.page()

    async def first(self, iterator: AsyncIterator[Any]) -> Any:
        return await anext(iterator)

    async def end(self, iterator: Any) -> None:
        await iterator.aclose()

    async def close(self) -> None:
        await self.connection.close()


@pytest_asyncio.fixture(params=[Blocking, Asynchronous])
async def client(request: pytest.FixtureRequest, server: str) -> AsyncIterator[Blocking | Asynchronous]:
    """Run the test once with each client."""
    made = request.param(server)
    yield made
    await made.close()


def retry_info(delay_ms: int) -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(delay_ms)
    return info


@pytest.fixture
def away() -> Callable[..., Refusal]:
    """Make the refusal of a server that is away, or another code, with a delay when one is given."""

    def make(code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE, delay_ms: int | None = None) -> Refusal:
        return Refusal(code, details=() if delay_ms is None else (retry_info(delay_ms),))

    return make


@pytest.fixture
def refusal() -> type[Refusal]:
    return Refusal


@pytest.fixture
def watch() -> Any:
    return WATCH
