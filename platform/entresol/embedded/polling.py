"""Waiting on what a server shows rather than signals: bounded, and quick to see it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_POLL_S = 0.005


async def until(claim: Callable[[], Awaitable[bool]], timeout_s: float) -> bool:
    """Return True once `claim` holds, or False after `timeout_s`."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not await claim():
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_POLL_S)
    return True
