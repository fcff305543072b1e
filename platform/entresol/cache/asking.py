"""Questions that any of several servers may answer, such as who the primary is: asked one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from entresol.cache.address import Address
from entresol.cache.failure import CacheError
from entresol.cache.wire import Command, Reply, Wire

Answer = TypeVar("Answer")
_NEEDS_NONE = "without any password configured"  # what it answers to one
ANSWER_S = 0.1  # of one of them, behind which the next is asked


async def ask_first(
    hosts: Sequence[Address], commands: Sequence[Command], read: Callable[[list[Reply]], Answer]
) -> tuple[Address, Answer]:
    """Return who answered first in this order, and what; `read` raises CacheError for what is no answer.

    Raises:
        CacheError: none of them did.
    """
    said = []
    for host in hosts:
        try:
            async with asyncio.timeout(ANSWER_S):
                return host, read(await _ask(host, commands))
        except (OSError, TimeoutError, CacheError) as error:
            said.append(f"{host}: {error or 'no answer'}")
    raise CacheError(f"none of {len(said)} servers knows: {'; '.join(said)}", "unreachable")


async def _ask(host: Address, commands: Sequence[Command]) -> list[Reply]:
    """Return the replies, also of a Sentinel that has no password where the servers that it keeps have one."""
    try:
        return await _told(host, commands)
    except CacheError as error:
        if _NEEDS_NONE not in str(error):
            raise
        return await _told(replace(host, user="", password=""), commands)


async def _told(host: Address, commands: Sequence[Command]) -> list[Reply]:
    wire = await host.dial(lambda: Wire(ANSWER_S))
    try:
        greeting = host.greeting()
        return (await wire.send([*greeting, *commands]))[len(greeting) :]
    finally:
        wire.close()
