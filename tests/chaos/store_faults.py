"""What goes wrong with PostgreSQL and Redis."""

from __future__ import annotations

from tests.chaos.ground import Ground

LONG_S = 60.0  # a scenario of at least this length also has its long faults


async def kill_redis(ground: Ground) -> None:
    """Kill Redis for a while, the first time for 30 s; it comes back empty."""
    away_s = 30.0 if ground.seconds >= LONG_S else 4.0
    while not ground.is_over():
        await ground.calm(1.0, 3.0)
        async with ground.fault("kill redis", "redis"):
            await ground.servers.redis.kill()
            await ground.calm(away_s, away_s)
            await ground.servers.redis.start()
        await ground.caught_up()
        away_s = ground.dice.uniform(0.0, 3.0)


async def kill_replica(ground: Ground) -> None:
    """Kill replicas, one at a time."""
    while not ground.is_over():
        await ground.calm(0.5, 2.0)
        replica = ground.dice.choice(ground.servers.replicas)
        async with ground.fault("kill replica", replica.name):
            await replica.kill()
            await ground.calm(0.5, 3.0)
            await replica.start()


async def kill_primary(ground: Ground) -> None:
    """Kill the primary, and start it again with all that it had."""
    while not ground.is_over():
        await ground.calm(1.0, 4.0)
        async with ground.fault("kill primary", "primary"):
            await ground.primary.kill()
            await ground.calm(0.5, 4.0)
            await ground.primary.start()


async def replica_lag(ground: Ground) -> None:
    """Let the replicas lag, each by as much as it happens."""
    delays_ms = (30, 1000, 30_000) if ground.seconds >= LONG_S else (30, 1000, 3000)
    while not ground.is_over():
        replica, delay_ms = ground.dice.choice(ground.servers.replicas), ground.dice.choice(delays_ms)
        async with ground.fault(f"lag {delay_ms} ms", replica.name):
            await replica.set_delay(delay_ms)
            await ground.calm(2.0, 5.0)
        if ground.dice.random() < 0.5:
            await replica.set_delay(0)
    for replica in ground.servers.replicas:
        await replica.set_delay(0)


async def lag_and_forget(ground: Ground) -> None:
    """Let replicas lag a little and Redis lose everything: an ordinary day, which naive strategies do not survive."""
    while not ground.is_over():
        async with ground.fault("lag 300 ms", "replicas"):
            for replica in ground.servers.replicas:
                await replica.set_delay(300)
            await ground.calm(1.0, 2.0)
        async with ground.fault("empty redis", "redis"):
            await ground.redis.flushall()
    for replica in ground.servers.replicas:
        await replica.set_delay(0)
