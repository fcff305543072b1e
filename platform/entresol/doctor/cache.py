"""Of the cache's servers: whether they can hold what the protocol puts there, and forget the right things first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from entresol.cache.address import parse
from entresol.cache.examination import CacheExamination
from entresol.cache.server import VERSION_MIN
from entresol.doctor.facts import CACHE, Facts
from entresol.doctor.finding import Finding, error, note, size, warning

_POLICY = "CONFIG SET maxmemory-policy volatile-lfu, and the same in the server's configuration"
FULL = 0.9
SLOW = 0.2  # of cache_timeout_s


def mode(facts: Facts) -> Iterator[Finding]:
    """Look whether the servers are what the URL says: one, the primary that Sentinels keep, or a cluster."""
    is_cluster = bool(facts.caches) and parse(facts.settings.cache_url).kind == "cluster"
    for server in facts.caches:
        if server.mode == "cluster" and not is_cluster:
            why = "it has some of the keys, and refuses the others"
            remedy = "set ENTRESOL_CACHE_URL to redis+cluster://host:port,host:port"
            yield error(server.label, "is part of a Redis Cluster", why, remedy)
        if server.mode == "sentinel":
            remedy = "set ENTRESOL_CACHE_URL to redis+sentinel://host:port,host:port/NAME"
            yield error(server.label, "is a Sentinel", "a Sentinel holds no data", remedy)
        if server.info.get("role") == "slave":
            why = "it is read-only: nothing is cached, and STRONG writes fail"
            remedy = "set ENTRESOL_CACHE_URL to its primary, or to the Sentinels that keep it"
            yield error(server.label, "is a replica", why, remedy)
    partitions = facts.settings.cache_partitions
    if len(facts.caches) > partitions:
        why = "a partition is kept by one server: the others have nothing to do"
        remedy = "set ENTRESOL_CACHE_PARTITIONS to some times as many as there are servers, alike everywhere"
        yield warning(CACHE, f"has {len(facts.caches)} servers and {partitions} partitions", why, remedy)


def version(facts: Facts) -> Iterator[Finding]:
    """Look whether the servers are Redis 6.2, Valkey 7.2 or newer."""
    for server in facts.caches:
        text = server.info.get("redis_version", "0")
        if tuple(int(part) for part in re.findall(r"\d+", text)[:2]) < VERSION_MIN:
            why = "the protocol's scripts need commands that it does not have"
            yield error(server.label, f"is version {text}", why, "use Redis 6.2, Valkey 7.2 or newer")


def memory(facts: Facts) -> Iterator[Finding]:
    """Look whether the servers' memory is bounded."""
    for server in facts.caches:
        if not server.number("maxmemory"):
            yield warning(
                server.label,
                "has no memory bound",
                "it grows until the machine ends it, and then everything is read from the database at once",
                "CONFIG SET maxmemory to three quarters of the machine's memory, and the same in its configuration",
            )


def eviction(facts: Facts) -> Iterator[Finding]:
    """Look at what is evicted: it must be entries, never positions and fences, which have no time to live."""
    resources = facts.asked.model.resources.values() if facts.asked.model is not None else ()
    fenced = sorted(resource.type for resource in resources if resource.is_fenced)
    for server in facts.caches:
        policy = server.info.get("maxmemory_policy", "noeviction")
        if policy.startswith("allkeys-") and fenced:
            why = f"a fence that is evicted lets older values in: STRONG reads of {', '.join(fenced)} break"
            yield error(server.label, f"maxmemory-policy is {policy}", why, _POLICY)
        elif policy.startswith("allkeys-"):
            why = "it may evict the positions of a partition, and every entry of it becomes invisible"
            yield warning(server.label, f"maxmemory-policy is {policy}", why, _POLICY)
        elif policy == "noeviction":
            yield _full(server)


def _full(server: CacheExamination) -> Finding:
    used, most = server.number("used_memory"), server.number("maxmemory")
    is_full = bool(most) and used > FULL * most
    say = error if is_full else warning
    filled = f", and {size(used)} of {size(most)} are used" if is_full else ""
    why = "once full it takes nothing: no entry, no fence, and no word of the relay, so that hits grow old"
    return say(server.label, f"maxmemory-policy is noeviction{filled}", why, _POLICY)


def persistence(facts: Facts) -> Iterator[Finding]:
    """Look whether a disk that fails stops writes, or one is paid for what the relay makes anew."""
    for server in facts.caches:
        info, config = server.info, server.config
        failed = info.get("rdb_last_bgsave_status") == "err" or info.get("aof_last_write_status") == "err"
        if failed and config.get("stop-writes-on-bgsave-error", "yes") == "yes":
            why = "the server refuses every write until a save succeeds, so that nothing is cached and hits grow old"
            remedy = "CONFIG SET save '' (a cache needs none), or mend its disk"
            yield error(server.label, "its last save to disk failed", why, remedy)
        if info.get("aof_enabled") == "1" and config.get("appendfsync") == "always":
            why = "each command waits for the disk, and what is kept is worth nothing after a restart of some duration"
            yield warning(server.label, "writes every command to disk first", why, "CONFIG SET appendonly no")
        elif config.get("save"):
            why = "each save copies the memory that changes meanwhile; after a restart the relay makes it new anyway"
            remedy = "CONFIG SET save '', unless others need it"
            yield note(server.label, f"saves to disk ({config['save']})", why, remedy)


def replication(facts: Facts) -> Iterator[Finding]:
    """Look whether writes are refused for want of replicas, and one is there to take over."""
    for server in facts.caches:
        if server.info.get("role") != "master":
            continue
        connected = server.number("connected_slaves")
        wanted = int(server.config.get("min-replicas-to-write", "0") or 0)
        if connected < wanted:
            why = "the server refuses every write: nothing is cached, and STRONG writes fail"
            remedy = f"start replicas, or CONFIG SET min-replicas-to-write {connected}"
            yield error(server.label, f"has {connected} replicas and wants {wanted}", why, remedy)
        elif not connected:
            why = "when it is lost, every read goes to the database until another is there, and STRONG writes fail"
            remedy = "give it one, and Sentinels or a cluster, if the database cannot carry that"
            yield note(server.label, "has no replica", why, remedy)


def latency(facts: Facts) -> Iterator[Finding]:
    """Look at how much a command takes of the time that is given to it."""
    most_s = facts.settings.cache_timeout_s
    for server in facts.caches:
        quickest_s = server.round_trip_s
        if quickest_s > SLOW * most_s:
            yield warning(
                server.label,
                f"the quickest of a few commands took {1000 * quickest_s:.0f} ms; {1000 * most_s:.0f} ms are given",
                "a little more load and it counts as away, so that every read goes to the database",
                "move it nearer, look for slow commands (SLOWLOG GET), or raise ENTRESOL_CACHE_TIMEOUT_S",
            )
