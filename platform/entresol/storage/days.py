"""The days of events: their partitions are made ahead, and dropped whole when their time is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from entresol.schema.model import Resource
from entresol.storage.identifiers import quote_table
from entresol.storage.pools import Pools

log = logging.getLogger(__name__)

KEEP_S = 3600.0
AGAIN_S = 60.0
TIMEOUT_S = 60.0  # many rows of the default partition may have to move
_MAKE = "SELECT entresol.make_days($1::text::regclass)"
_DROP = "SELECT entresol.drop_days($1::text::regclass, $2)"


async def keep_days(pools: Pools, resources: Sequence[Resource]) -> None:
    """Make and drop the days of these resources, for as long as it runs; any number of processes may."""
    while True:
        done = [await _keep(pools, resource) for resource in resources]
        await asyncio.sleep(KEEP_S if all(done) else AGAIN_S)


async def _keep(pools: Pools, resource: Resource) -> bool:
    table, events = quote_table(resource.table), resource.events
    try:
        async with pools.write() as connection:
            await connection.execute(_MAKE, table, timeout=TIMEOUT_S)
            if events is not None and events.kept_days:
                await connection.execute(_DROP, table, events.kept_days, timeout=TIMEOUT_S)
    except Exception as error:  # days are made ahead, so that there is time to try again
        log.warning("days of %s could not be made or dropped, and will be: %r", resource.table, error)
        return False
    return True
