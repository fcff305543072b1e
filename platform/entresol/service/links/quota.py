"""The quota link: more calls at once than the server can carry are refused at the door, not queued."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from entresol.config import Settings
from entresol.errors import ResourceExhaustedError
from entresol.service.call import Answer, Call, Handler, Link, Reply, is_awaitable


def quota(settings: Settings) -> Link:
    """Return the link for these settings; it counts all methods of the server together."""
    running = 0

    async def counted(answer: Awaitable[Reply]) -> Reply:
        nonlocal running
        try:
            return await answer
        finally:
            running -= 1

    def link(following: Handler, request: Any, call: Call) -> Answer:
        nonlocal running
        if running >= settings.concurrency_max:
            raise ResourceExhaustedError(
                f"the server carries {settings.concurrency_max} calls at once; try again shortly",
                metadata={"limit": str(settings.concurrency_max)},
            )
        answer = following(request, call)
        if not is_awaitable(answer):
            return answer
        running += 1  # from now on: what is told at once is carried no longer than it takes to tell
        return counted(answer)

    return link
