"""The handwritten peer: the stories service as a careful team writes it on grpc.aio, asyncpg and redis-py."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import uvloop
from tests.bench.peers.errors import InvalidError, StoryError
from tests.bench.peers.flags import Flags, parser
from tests.bench.peers.messages import CODES, changes, check_name, columns, messages, services, story_of
from tests.bench.peers.store import Codec, Stories, connected
from tests.bench.peers.stories import NAMES_MAX, name_of

STORIES = Codec(story_of, messages.Story.SerializeToString, messages.Story.FromString)

Method = Callable[["StoryService", Any, grpc.aio.ServicerContext], Awaitable[Any]]


def refusing(method: Method) -> Method:
    """Answer a StoryError with its code."""

    @functools.wraps(method)
    async def call(self: StoryService, request: Any, context: grpc.aio.ServicerContext) -> Any:
        try:
            return await method(self, request, context)
        except StoryError as error:
            return await context.abort(CODES[type(error)], str(error))

    return call


class StoryService(services.StoryServiceServicer):
    """The methods that the benchmarks call."""

    def __init__(self, stories: Stories[Any]) -> None:
        self._stories = stories

    @refusing
    async def GetStory(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the rpc's name
        check_name(request.name)
        return await self._stories.get(request.name)

    @refusing
    async def BatchGetStories(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        names = list(request.names)
        if not 0 < len(names) <= NAMES_MAX:
            raise InvalidError(f"names: must be 1 to {NAMES_MAX}")
        for name in names:
            check_name(name)
        return messages.BatchGetStoriesResponse(stories=await self._stories.batch_get(names))

    @refusing
    async def ListStories(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        if request.order_by not in ("", "name") or request.show_deleted:
            raise InvalidError("order_by, show_deleted: only by name, and only what is not deleted")
        found, token = await self._stories.list(request.page_size, request.page_token, request.filter)
        return messages.ListStoriesResponse(stories=found, next_page_token=token)

    @refusing
    async def CreateStory(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        return await self._stories.create(name_of(request.story_id), columns(request.story))

    @refusing
    async def UpdateStory(self, request: Any, context: grpc.aio.ServicerContext) -> Any:  # noqa: N802 - the same
        story = request.story
        return await self._stories.update(story.name, story.etag, changes(story, request.update_mask.paths))


async def serve(flags: Flags) -> None:
    """Serve until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with connected(flags, STORIES) as stories:
        server = grpc.aio.server()
        services.add_StoryServiceServicer_to_server(StoryService(stories), server)
        server.add_insecure_port(flags.listen)
        await server.start()
        await stop.wait()
        await server.stop(grace=5)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    uvloop.run(serve(Flags.of(parser(__doc__).parse_args())))
