"""The deadline link: no call outlives what its caller, or the server, allows."""

from __future__ import annotations

import asyncio
from typing import Any

from entresol.config import Settings
from entresol.errors import DeadlineExceededError
from entresol.service.call import Call, Handler, Link, Reply


def deadline(settings: Settings) -> Link:
    """Return the link for these settings."""

    async def link(following: Handler, request: Any, call: Call) -> Reply:
        allowed_s = settings.deadline_default_s if call.timeout_s is None else call.timeout_s
        allowed_s = min(allowed_s, settings.deadline_max_s)
        call.deadline_s = call.clock.monotonic_s() + allowed_s
        try:
            async with asyncio.timeout(allowed_s):
                return await following(request, call)
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline passed before the work was done") from error

    return link
