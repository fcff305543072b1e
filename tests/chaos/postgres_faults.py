"""What goes wrong with PostgreSQL, and what others write there."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.chaos.ground import META, ChaosError, Ground
from tests.consistency.checks.operation import Operation

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
        async with ground.fault("rebuild replica", other.name):
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
    """Write some records by psql, or now and then a column of all, which changes no value and every version."""
    async with ground.fault("psql", "primary"):
        if ground.dice.random() < 0.02:
            await ground.primary.psql("UPDATE users SET about = 'touched'")
            return
        await _write(ground, ground.dice.sample(PSQL_KEYS, 4))


async def psql_beneath_readers(ground: Ground) -> None:
    """Evict what psql is about to write, so that readers fetch it while it changes."""
    keys = ground.dice.sample(PSQL_KEYS, 2)
    async with ground.fault("psql beneath readers", "primary"):
        await ground.redis.delete(*map(ground.entry, keys))
        await _write(ground, keys)


async def _write(ground: Ground, keys: Sequence[str]) -> None:
    """Write or delete each key in a transaction of its own."""
    changes: list[tuple[str, int | None]] = []
    for key in keys:
        value = None if ground.dice.random() < 0.2 else len(ground.noted) + len(changes) + 1
        changes.append((key, value))
    start_s = time.monotonic()
    await ground.primary.psql(";\n".join(_statement(key, value) for key, value in changes))
    end_s = time.monotonic()
    for key, value in changes:
        kind = "delete" if value is None else "write"
        ground.noted.append(Operation("psql", key, kind, "SESSION", value, start_s, end_s, "ok", "psql"))


def _statement(key: str, value: int | None) -> str:
    if value is None:
        return f"DELETE FROM users WHERE name = '{key}'"
    insert = f"INSERT INTO users (name, display_name) VALUES ('{key}', '{value}')"
    return f"{insert} ON CONFLICT (name) DO UPDATE SET display_name = '{value}'"
