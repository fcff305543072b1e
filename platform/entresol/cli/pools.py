"""Connections to the settings' database, for commands that need nothing else of the platform."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from entresol.config import Settings
from entresol.storage.pools import Pools


@asynccontextmanager
async def opened_pools() -> AsyncIterator[Pools]:
    """Give the pools of the settings' database while the block lasts."""
    pools = await Pools.open(Settings.load())
    try:
        yield pools
    finally:
        await pools.close()
