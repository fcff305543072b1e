"""The deadline link: no call outlives what its caller, or the server, allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

from entresol.config import Settings
from entresol.errors import DeadlineExceededError
from entresol.service.call import Answer, Call, Handler, Link, Reply, is_awaitable


def deadline(settings: Settings) -> Link:
    """Return the link for these settings."""

    async def within(allowed_s: float, answer: Awaitable[Reply]) -> Reply:
        try:
            async with asyncio.timeout(allowed_s):
                return await answer
        except TimeoutError as error:
            raise DeadlineExceededError("the deadline passed before the work was done") from error

    def link(following: Handler, request: Any, call: Call) -> Answer:
        allowed_s = settings.deadline_default_s if call.timeout_s is None else call.timeout_s
        allowed_s = min(allowed_s, settings.deadline_max_s)
        call.deadline_s = call.clock.monotonic_s() + allowed_s
        answer = following(request, call)
        return within(allowed_s, answer) if is_awaitable(answer) else answer

    return link
