"""A primary that is killed, and the standby that has all it acknowledged: that one is the next primary."""

from __future__ import annotations

import asyncio
import os
import time
from signal import SIGSTOP

from tests.offline.findings import Findings, of_failover
from tests.offline.ground import PATIENCE_S, Ground, OfflineError

from entresol.embedded import PostgresServer, Replica
from entresol.embedded.polling import until

STANDBYS = 2  # so that there is one more to take over from the first that did
CALLED = "called"
_SYNCHRONOUS_S = 10.0


async def failover(ground: Ground, is_quick: bool) -> Findings:
    """Kill -9 the primary, while jobs come and go, and promote its synchronous standby; ours is called too.

    A moment before it the standby stops to hear of the primary: what that acknowledged without it would be lost.
    """
    standbys = ground.servers.replicas[: 1 if is_quick else STANDBYS]
    await _synchronize(ground.primary, standbys[0])
    much = {"count": 60 + 200 * len(standbys), "per_s": 20, "seconds": 0.2}
    producers = [await ground.put("failover", **much), await ground.call(CALLED, **much)]
    await ground.some_done(20)
    promoted_s = []
    for standby in standbys:
        if ground.primary is not ground.servers.primary:
            await standby.follow(ground.primary)
            await _synchronize(ground.primary, standby)
        await asyncio.sleep(ground.dice.uniform(1, 2))
        await _stop_sending(ground.primary, standby)
        await asyncio.sleep(ground.dice.uniform(0.3, 1))
        await ground.primary.kill()
        await standby.promote()
        ground.primary = standby
        promoted_s.append(time.time())
        await asyncio.sleep(3)
    for producer in filter(None, producers):
        await ground.end_of(producer, 3 * PATIENCE_S)
    acknowledged = ground.acknowledged()
    await ground.until(lambda rows: acknowledged <= {row.job for row in rows.done}, PATIENCE_S)
    return of_failover(await ground.done(PATIENCE_S, job_s=0.2), promoted_s, acknowledged, CALLED)


async def _synchronize(primary: PostgresServer, standby: Replica) -> None:
    """Let every commit wait until the standby has it."""
    setting = f"ALTER SYSTEM SET synchronous_standby_names = '\"{standby.name}\"'"
    await primary.psql(f"{setting};\nSELECT pg_reload_conf()", database="postgres")

    async def is_synchronous() -> bool:
        return await _sender(primary, standby, "sync_state = 'sync'") != ""

    if not await until(is_synchronous, _SYNCHRONOUS_S):
        raise OfflineError(f"{standby.name} is no synchronous standby of {primary.name}")


async def _stop_sending(primary: PostgresServer, standby: Replica) -> None:
    """Stop the process of the primary that sends to the standby."""
    os.kill(int(await _sender(primary, standby, "true")), SIGSTOP)


async def _sender(primary: PostgresServer, standby: Replica, condition: str) -> str:
    sql = f"SELECT pid FROM pg_stat_replication WHERE application_name = '{standby.name}' AND {condition}"
    return await primary.psql(sql, database="postgres")
