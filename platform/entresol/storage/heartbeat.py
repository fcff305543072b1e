"""A worker's heartbeat on a connection of its own, so that nothing else it does can hold it up."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from entresol.errors import StoreUnavailableError
from entresol.storage.administration import connect_primary
from entresol.storage.catalog import read_query
from entresol.storage.connections import Connection
from entresol.storage.sqlstate import DRIVER_ERRORS

_AGAIN_S = 0.2


async def beat(url: str, worker: uuid.UUID, lease_s: float, may_beat: Callable[[], bool]) -> None:
    """Keep the lease of `worker` for as long as `may_beat` says so; return when it is over, or is to be.

    Three beats are within one lease; when the database is away it is asked again and again.
    """
    while may_beat():
        try:
            async with connect_primary(url, {"application_name": "entresol heart"}) as connection:
                if not await _beat(connection, worker, lease_s, may_beat):
                    return
        except (*DRIVER_ERRORS, StoreUnavailableError):
            await asyncio.sleep(_AGAIN_S)


async def _beat(
    connection: Connection, worker: uuid.UUID, lease_s: float, may_beat: Callable[[], bool]
) -> bool:
    """Beat until `may_beat` says no: then, and when the lease is over, return False."""
    text = read_query("jobs/beat")
    while may_beat():
        if await connection.fetchval(text, worker, lease_s, timeout=lease_s / 3) is None:
            return False
        await asyncio.sleep(lease_s / 3)
    return False
