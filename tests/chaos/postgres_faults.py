"""What goes wrong with PostgreSQL, and what others write there."""

from __future__ import annotations

import time

from tests.chaos.ground import META, ChaosError, Ground
from tests.chaos.operation import Operation

from entresol.embedded.polling import until

LOSS_S = 1.0  # replicas replay at once: what was acknowledged before that, a promotion keeps
GENERATION_S = 60.0
PSQL_KEYS = tuple(f"users/psql-{number}" for number in range(12))


async def kill_replica(ground: Ground) -> None:
    """Kill a replica, and start it again with what it had."""
    replica = ground.dice.choice(ground.servers.replicas)
    async with ground.fault("kill replica", replica.name):
        await replica.kill()
        await ground.calm(0.5, 3.0)
        await replica.start()


async def kill_primary(ground: Ground) -> None:
    """Kill the primary, and start it again with all that it had."""
    async with ground.fault("kill primary", ground.primary.name):
        await ground.primary.kill()
        await ground.calm(0.5, 4.0)
        await ground.primary.start()


async def promote(ground: Ground) -> None:
    """Kill the primary and make a replica the new one; the others follow it. Without a replica, do nothing."""
    standing = [
        one for one in ground.servers.replicas if one is not ground.primary and await one.is_running()
    ]
    if not standing:
        return
    chosen, *others = standing
    database = await ground.redis.hget(META, "database")
    async with ground.fault("promote", chosen.name):
        killed_s = time.monotonic()
        await ground.primary.kill()
        await chosen.promote()
        ground.primary = chosen

        async def is_new() -> bool:
            return bool(await ground.redis.hget(META, "database") not in (database, None))

        if not await until(is_new, GENERATION_S):
            raise ChaosError(f"no relay reads from the new primary after {GENERATION_S:g} s. {ground.logs()}")
        ground.loss.append((killed_s - LOSS_S, time.monotonic()))
    for other in others:
        await other.follow(chosen)


async def lag(ground: Ground) -> None:
    """Let a replica lag for a while, a little or much; now and then it goes on lagging."""
    longest_ms = 30_000 if ground.is_long else 3000
    replica, delay_ms = (
        ground.dice.choice(ground.servers.replicas),
        ground.dice.choice((30, 1000, longest_ms)),
    )
    async with ground.fault(f"lag {delay_ms} ms", replica.name):
        await replica.set_delay(delay_ms)
        await ground.calm(1.0, 5.0)
    if ground.dice.random() < 0.5:
        await replica.set_delay(0)


async def lag_a_little(ground: Ground) -> None:
    """Let every replica lag as on an ordinary day, from now on."""
    async with ground.fault("lag 300 ms", "replicas"):
        for replica in ground.servers.replicas:
            await replica.set_delay(300)


async def psql(ground: Ground) -> None:
    """Write by psql: one record, or a column of all, which changes no value and every version."""
    async with ground.fault("psql", "primary"):
        if ground.dice.random() < 0.1:
            await ground.primary.psql("UPDATE users SET about = 'touched'")
            return
        key, value = ground.dice.choice(PSQL_KEYS), len(ground.noted) + 1
        insert = f"INSERT INTO users (name, display_name) VALUES ('{key}', '{value}')"
        upsert = f"{insert} ON CONFLICT (name) DO UPDATE SET display_name = '{value}'"
        kind = "delete" if ground.dice.random() < 0.2 else "write"
        start_s = time.monotonic()
        await ground.primary.psql(f"DELETE FROM users WHERE name = '{key}'" if kind == "delete" else upsert)
        written = value if kind == "write" else None
        ground.noted.append(
            Operation("psql", key, kind, "SESSION", written, start_s, time.monotonic(), "ok", "psql")
        )
