"""Of the cache's server: whether it can hold what the protocol puts there, and forgets the right things first."""

from __future__ import annotations

import re
from collections.abc import Iterator

from entresol.cache.server import VERSION_MIN
from entresol.doctor.facts import CACHE, Facts
from entresol.doctor.finding import Finding, error, note, size, warning

_POLICY = "CONFIG SET maxmemory-policy volatile-lfu, and the same in the server's configuration"
FULL = 0.9
SLOW = 0.2  # of cache_timeout_s


def mode(facts: Facts) -> Iterator[Finding]:
    """Look whether the server is a single one, or the primary that Sentinel keeps."""
    if facts.cache is None:
        return
    kind = facts.cache.info.get("redis_mode", "standalone")
    if kind == "cluster":
        why = "a script touches the keys of one partition, which a cluster would have on several servers"
        yield error(
            CACHE, "is part of a Redis Cluster", why, "use a single server, or a primary kept by Sentinel"
        )
    if kind == "sentinel":
        why = "a Sentinel holds no data"
        yield error(CACHE, "is a Sentinel", why, "set ENTRESOL_CACHE_URL to the primary that it keeps")
    if facts.cache.info.get("role") == "slave":
        why = "it is read-only: nothing is cached, and STRONG writes fail"
        yield error(CACHE, "is a replica", why, "set ENTRESOL_CACHE_URL to its primary")


def version(facts: Facts) -> Iterator[Finding]:
    """Look whether the server is Redis 6.2, Valkey 7.2 or newer."""
    if facts.cache is None:
        return
    text = facts.cache.info.get("redis_version", "0")
    if tuple(int(part) for part in re.findall(r"\d+", text)[:2]) < VERSION_MIN:
        why = "the protocol's scripts need commands that it does not have"
        yield error(CACHE, f"is version {text}", why, "use Redis 6.2, Valkey 7.2 or newer")


def memory(facts: Facts) -> Iterator[Finding]:
    """Look whether the server's memory is bounded."""
    if facts.cache is not None and not facts.cache.number("maxmemory"):
        yield warning(
            CACHE,
            "has no memory bound",
            "it grows until the machine ends it, and then everything is read from the database at once",
            "CONFIG SET maxmemory to some three quarters of the machine's memory, and the same in its configuration",
        )


def eviction(facts: Facts) -> Iterator[Finding]:
    """Look at what is evicted: it must be entries, never positions and fences, which have no time to live."""
    if facts.cache is None:
        return
    policy = facts.cache.info.get("maxmemory_policy", "noeviction")
    model = facts.asked.model
    if policy.startswith("allkeys-"):
        fenced = (
            sorted(one.type for one in model.resources.values() if one.is_fenced) if model is not None else []
        )
        if fenced:
            why = f"a fence that is evicted lets older values in: STRONG reads of {', '.join(fenced)} break"
            yield error(CACHE, f"maxmemory-policy is {policy}", why, _POLICY)
        else:
            why = "it may evict the positions of a partition, and every entry of it becomes invisible"
            yield warning(CACHE, f"maxmemory-policy is {policy}", why, _POLICY)
    if policy == "noeviction":
        most = facts.cache.number("maxmemory")
        used = facts.cache.number("used_memory")
        is_full = most and used > FULL * most
        say = error if is_full else warning
        filled = f", and {size(used)} of {size(most)} are used" if is_full else ""
        why = (
            "once full it takes nothing: no entry, no fence, and no word of the relay, so that hits grow old"
        )
        yield say(CACHE, f"maxmemory-policy is noeviction{filled}", why, _POLICY)


def persistence(facts: Facts) -> Iterator[Finding]:
    """Look whether a disk that fails stops writes, or one is paid for what the relay makes anew."""
    if facts.cache is None:
        return
    info, config = facts.cache.info, facts.cache.config
    failed = info.get("rdb_last_bgsave_status") == "err" or info.get("aof_last_write_status") == "err"
    if failed and config.get("stop-writes-on-bgsave-error", "yes") == "yes":
        why = "the server refuses every write until a save succeeds, so that nothing is cached and hits grow old"
        remedy = "CONFIG SET save '' (a cache needs none), or mend its disk"
        yield error(CACHE, "its last save to disk failed", why, remedy)
    if info.get("aof_enabled") == "1" and config.get("appendfsync") == "always":
        why = "each command waits for the disk, and what is kept is worth nothing after a restart of some duration"
        yield warning(CACHE, "writes every command to disk first", why, "CONFIG SET appendonly no")
    elif config.get("save"):
        why = "each save copies the memory that changes meanwhile; after a restart the relay makes it new anyway"
        yield note(
            CACHE, f"saves to disk ({config['save']})", why, "CONFIG SET save '', unless others need it"
        )


def replication(facts: Facts) -> Iterator[Finding]:
    """Look whether writes are refused for want of replicas, and one is there to take over."""
    if facts.cache is None or facts.cache.info.get("role") != "master":
        return
    connected = facts.cache.number("connected_slaves")
    wanted = int(facts.cache.config.get("min-replicas-to-write", "0") or 0)
    if connected < wanted:
        why = "the server refuses every write: nothing is cached, and STRONG writes fail"
        remedy = f"start replicas, or CONFIG SET min-replicas-to-write {connected}"
        yield error(CACHE, f"has {connected} replicas and wants {wanted}", why, remedy)
    elif not connected:
        why = (
            "when it is lost, every read goes to the database until another is there, and STRONG writes fail"
        )
        yield note(
            CACHE, "has no replica", why, "give it one, and Sentinel, if the database cannot carry that"
        )


def latency(facts: Facts) -> Iterator[Finding]:
    """Look at how much a command takes of the time that is given to it."""
    if facts.cache is None:
        return
    quickest_s, most_s = facts.cache.round_trip_s, facts.settings.cache_timeout_s
    if quickest_s > SLOW * most_s:
        yield warning(
            CACHE,
            f"the quickest of a few commands took {1000 * quickest_s:.0f} ms; {1000 * most_s:.0f} ms are given",
            "a little more load and it counts as away, so that every read goes to the database",
            "move it nearer, look for slow commands (SLOWLOG GET), or raise ENTRESOL_CACHE_TIMEOUT_S",
        )
