"""The quota link: more calls at once than the server can carry are refused at the door, not queued."""

from __future__ import annotations

from typing import Any

from entresol.config import Settings
from entresol.errors import ResourceExhaustedError
from entresol.service.call import Call, Handler, Link, Reply


def quota(settings: Settings) -> Link:
    """Return the link for these settings; it counts all methods of the server together."""
    running = 0

    async def link(following: Handler, request: Any, call: Call) -> Reply:
        nonlocal running
        if running >= settings.concurrency_max:
            raise ResourceExhaustedError(
                f"the server carries {settings.concurrency_max} calls at once; try again shortly",
                metadata={"limit": str(settings.concurrency_max)},
            )
        running += 1
        try:
            return await following(request, call)
        finally:
            running -= 1

    return link
