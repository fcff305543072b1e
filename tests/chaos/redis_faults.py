"""What goes wrong with Redis."""

from __future__ import annotations

import signal

from redis.asyncio import Redis
from redis.exceptions import RedisError
from tests.chaos.ground import REDIS_S, ChaosError, Ground
from tests.chaos.network import at_port

from entresol.embedded.polling import until
from entresol.embedded.postgres import free_port

LONG_S = 30.0
WARM_S, QUICK_WARM_S = 12.0, 4.0  # in which hits are to come back
FOLLOW_S = 20.0
PLENTY = "256mb"


async def kill(ground: Ground) -> None:
    """Kill Redis for a while, in a long scenario first for 30 s; it comes back empty."""
    first = not ground.faults
    async with ground.fault("kill redis", "redis"):
        await ground.servers.redis.kill()
        if first and ground.is_long:
            await ground.calm(LONG_S, LONG_S)
        else:
            await ground.calm(0.0, 4.0)
        await ground.servers.redis.start()
    await ground.caught_up()
    if first:
        warm_s = WARM_S if ground.is_long else QUICK_WARM_S
        await ground.calm(warm_s, warm_s)


async def empty(ground: Ground) -> None:
    """Take everything from Redis."""
    async with ground.fault("empty redis", "redis"):
        await ground.redis.flushall()


async def evict(ground: Ground) -> None:
    """Take a part of the entries, and nothing of what keeps the cache coherent."""
    async with ground.fault("evict", "redis"):
        keys = [key async for key in ground.redis.scan_iter("{entresol:0}:e:*", count=1000)]
        if keys:
            await ground.redis.delete(*ground.dice.sample(sorted(keys), (len(keys) + 1) // 2))


async def squeeze(ground: Ground) -> None:
    """Give Redis less memory than it has in use, for a while: it evicts, and then has room for almost nothing."""
    used = int((await ground.redis.info("memory"))["used_memory"])
    await ground.redis.config_set("maxmemory-policy", "volatile-lfu")
    async with ground.fault("squeeze redis", "redis"):
        await ground.redis.config_set("maxmemory", int(used * ground.dice.uniform(0.7, 0.97)))
        await ground.calm(0.5, 3.0)
        ground.figures["evicted_keys"] = int((await ground.redis.info("stats"))["evicted_keys"])
        await ground.redis.config_set("maxmemory", PLENTY)


async def fail_over(ground: Ground) -> None:
    """Move the cache's address to an asynchronous copy of Redis that stopped following a moment ago."""
    primary, copy = await _pair(ground)
    await _follows(copy, primary)
    await copy.redis.execute_command("REPLICAOF", "NO", "ONE")
    await ground.calm(0.1, 2.0)
    async with ground.fault("fail over redis", copy.name):
        ground.network.targets["redis"].dial = at_port(copy.port)
        for link in ground.network.to("redis"):
            link.cut()
        ground.redis = copy.redis
        ground.pair = (copy, primary)
        await ground.caught_up()
    await primary.redis.execute_command("REPLICAOF", "127.0.0.1", copy.port)


class Node:
    """A Redis of ours that can follow another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.redis = Redis(host="127.0.0.1", port=self.port, decode_responses=True, socket_timeout=REDIS_S)

    async def start(self, ground: Ground) -> None:
        """Start it, and return when it answers."""
        argv = [ground.servers.redis.argv[0], "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        argv += [
            "--maxmemory",
            PLENTY,
            "--maxmemory-policy",
            "volatile-lfu",
            "--repl-diskless-sync-delay",
            "0",
        ]
        await ground.processes.start(self.name, argv, ground.folder, ground.log(self.name), signal.SIGKILL)
        if not await until(self._answers, FOLLOW_S):
            raise ChaosError(f"{self.name} does not answer")

    async def _answers(self) -> bool:
        try:
            return bool(await self.redis.ping())
        except (RedisError, OSError, TimeoutError):
            return False


async def _pair(ground: Ground) -> tuple[Node, Node]:
    """Return who serves and who follows; the first time, start both and move the cache's address to the first."""
    if ground.pair is None:
        pair = Node("redis-a"), Node("redis-b")
        for node in pair:
            await node.start(ground)
        await pair[1].redis.execute_command("REPLICAOF", "127.0.0.1", pair[0].port)
        ground.pair = pair
        ground.network.targets["redis"].dial = at_port(pair[0].port)
        for link in ground.network.to("redis"):
            link.cut()
        ground.redis = pair[0].redis
        await ground.caught_up()
    return ground.pair


async def _follows(copy: Node, primary: Node) -> None:
    async def has_all() -> bool:
        told = await copy.redis.info("replication")
        return told["role"] == "slave" and told["master_link_status"] == "up"

    if not await until(has_all, FOLLOW_S):
        raise ChaosError(f"{copy.name} does not follow {primary.name} after {FOLLOW_S:g} s")
