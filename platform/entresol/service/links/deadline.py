"""The deadline link: no call outlives what its caller, or the server, allows.

A stream may go on for as long as its caller likes, for ever if there is no deadline; each piece of work within it, such
as a read of a custom method, has the time of a call.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from entresol.config import Settings
from entresol.errors import DeadlineExceededError
from entresol.service.call import Answer, Call, Handler, Link, Reply, is_awaitable, replies


def deadline(settings: Settings) -> Link:
    """Return the link for these settings."""

    def link(following: Handler, request: Any, call: Call) -> Answer:
        method = call.method
        if method.server_streaming or method.client_streaming:
            allowed_s = math.inf if call.timeout_s is None else call.timeout_s
            call.work_s_max = settings.deadline_default_s
        else:
            allowed_s = settings.deadline_default_s if call.timeout_s is None else call.timeout_s
            allowed_s = min(allowed_s, settings.deadline_max_s)
        call.deadline_s = call.clock.monotonic_s() + allowed_s
        if method.server_streaming:
            return _each_within(following, request, call)
        answer = following(request, call)
        return _within(allowed_s, answer) if is_awaitable(answer) else answer

    return link


async def _within(allowed_s: float, answer: Awaitable[Reply]) -> Reply:
    try:
        async with asyncio.timeout(None if math.isinf(allowed_s) else allowed_s):
            return await answer
    except TimeoutError as error:
        raise DeadlineExceededError("the deadline passed before the work was done") from error


async def _each_within(following: Handler, request: Any, call: Call) -> AsyncIterator[Any]:
    async with replies(following(request, call)) as stream:
        while True:
            try:
                reply = await _within(call.deadline_s - call.clock.monotonic_s(), anext(stream))
            except StopAsyncIteration:
                return
            yield reply
