"""The quota link: more calls at once than the server can carry are refused at the door, not queued."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any

from entresol.config import Settings
from entresol.errors import ResourceExhaustedError
from entresol.service.call import Answer, Call, Handler, Link, Reply, is_awaitable, replies


def quota(settings: Settings) -> Link:
    """Return the link for these settings; it counts all methods of the server together."""
    running = 0

    async def counted(answer: Awaitable[Reply]) -> Reply:
        nonlocal running
        try:
            return await answer
        finally:
            running -= 1

    async def counted_stream(following: Handler, request: Any, call: Call) -> AsyncIterator[Any]:
        nonlocal running
        running += 1  # here, not before: whoever never takes a reply is not carried
        try:
            async with replies(following(request, call)) as stream:
                async for reply in stream:
                    yield reply
        finally:
            running -= 1

    def link(following: Handler, request: Any, call: Call) -> Answer:
        nonlocal running
        if running >= settings.concurrency_max:
            raise ResourceExhaustedError(
                f"the server carries {settings.concurrency_max} calls at once; try again shortly",
                metadata={"limit": str(settings.concurrency_max)},
            )
        if call.method.server_streaming:
            return counted_stream(following, request, call)
        answer = following(request, call)
        if not is_awaitable(answer):
            return answer
        running += 1  # from now on: what is told at once is carried no longer than it takes to tell
        return counted(answer)

    return link
