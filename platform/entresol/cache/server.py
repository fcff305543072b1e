"""The look at the server before serving: one that cannot hold the cache is refused, and the text has the remedy."""

from __future__ import annotations

import re

from entresol.cache.cluster import Cluster
from entresol.cache.connection import Connection
from entresol.cache.failure import CacheError
from entresol.errors import ConfigurationError

VERSION_MIN = (6, 2)


async def check_server(connection: Connection, partitions: int) -> list[str]:
    """Return warnings, each with its remedy. Serving works without a cache, so a silent server is one of them.

    Raises:
        ConfigurationError: the server answers and cannot work.
    """
    try:
        nodes = await connection.nodes()
        texts = [(await node.execute(("INFO",)))[0] for node in nodes]
    except CacheError as error:
        return [f"the cache does not answer ({error}): every read goes to the database until it does"]
    warnings: dict[str, None] = {}
    for text in texts:
        facts = parse_info(text.decode())
        _refuse(facts, is_cluster=isinstance(connection, Cluster))
        warnings |= dict.fromkeys(_warnings(facts))
    if len(nodes) > partitions:
        warnings[
            f"the cluster has {len(nodes)} servers with keys, and the cache {partitions} partitions, each of which is "
            "kept by one: set ENTRESOL_CACHE_PARTITIONS to some times as many as there are servers, alike everywhere"
        ] = None
    return [*warnings]


def parse_info(text: str) -> dict[str, str]:
    """Return what INFO says, by name."""
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line and not line.startswith("#"))


def _refuse(facts: dict[str, str], *, is_cluster: bool) -> None:
    version = facts.get("redis_version", "0")
    if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < VERSION_MIN:
        raise _refusal(f"the server is version {version}: use Redis 6.2, Valkey 7.2 or newer")
    mode = facts.get("redis_mode") or facts.get("server_mode")  # Valkey's name
    if mode == "cluster" and not is_cluster:
        raise _refusal("the server is part of a Redis Cluster: write redis+cluster://host:port")
    if facts.get("role") == "slave":
        raise _refusal("the server is a read-only replica: point to its primary")


def _refusal(text: str) -> ConfigurationError:
    return ConfigurationError(f"setting cache_url: {text}", metadata={"setting": "cache_url"})


def _warnings(facts: dict[str, str]) -> list[str]:
    policy = facts.get("maxmemory_policy", "noeviction")
    if facts.get("maxmemory", "0") == "0":
        return ["the cache has no memory bound: set `maxmemory` and `maxmemory-policy volatile-lfu`"]
    if policy.startswith("allkeys-"):
        return [
            f"maxmemory-policy is {policy}: when it evicts a partition's positions, its entries go with them; "
            "set `maxmemory-policy volatile-lfu`"
        ]
    if policy == "noeviction":
        return ["maxmemory-policy is noeviction: once full, nothing new is cached; set `volatile-lfu`"]
    return []
