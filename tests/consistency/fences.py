"""Fences in the modelled world: from the lock of a STRONG record to the relay nothing enters but what was written."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.rules import Bounds, Rules
from tests.consistency.world import DONE, TABLE, Fence, Redis, State, Writer


def floored(redis: Redis, key: int, at: int, rules: Rules) -> Redis:
    """Return the server with the floor of the record's table raised."""
    meta = redis.meta
    assert meta is not None
    floor = max(meta.floors[key], at) if rules.floor_forward else at
    return redis._replace(meta=meta._replace(floors=(*meta.floors[:key], floor, *meta.floors[key + 1 :])))


def _with_fence(redis: Redis, key: int, fence: Fence | None) -> Redis:
    return redis._replace(fences=(*redis.fences[:key], fence, *redis.fences[key + 1 :]))


def fence(state: State, writer: Writer, rules: Rules, *, is_known: bool = False) -> State:
    """Return the world after a writer has fenced, before its commit, or again when that is known."""
    redis, key = state.redis, writer.key
    if key >= TABLE:  # what it changed it cannot name
        position = writer.at if is_known else writer.position
        return state._replace(redis=floored(redis, key - TABLE, position, rules)) if redis.meta else state
    standing = redis.fences[key]
    if rules.fence_order and standing is not None and standing.position > writer.position:
        return state
    redis = _with_fence(redis, key, Fence(writer.version, writer.rank, writer.position, is_known))
    if rules.fence_drops:
        redis = redis._replace(entries=(*redis.entries[:key], None, *redis.entries[key + 1 :]))
    fillers = state.fillers
    if rules.fence_lease:
        fillers = tuple(sorted(DONE if f.key == key and f.phase in ("begun", "read") else f for f in fillers))
    return state._replace(redis=redis, fillers=fillers)


def know(state: State, writer: Writer, rules: Rules) -> Iterator[State]:
    """Yield the worlds after a writer has learnt that its commit is done, before it acknowledges.

    When half of its fence's time has passed, it fences again; it may have, even if the fence has not expired.
    """
    if writer.key >= TABLE or rules.fence_again:
        yield fence(state, writer, rules, is_known=True)
    standing = state.redis.fences[writer.key] if writer.key < TABLE else None
    if standing is not None and standing.position <= writer.position and not writer.is_late:
        yield state._replace(redis=_with_fence(state.redis, writer.key, standing._replace(is_known=True)))
    elif writer.key < TABLE and not (writer.is_late and rules.fence_again):
        yield state


def refuses_fill(redis: Redis, key: int, stamp: tuple[int, int], rules: Rules) -> bool:
    """Tell whether a fence keeps out what was read: all but the very change that it stands for."""
    standing = redis.fences[key]
    return rules.fill_fence and standing is not None and stamp != (standing.version, standing.rank)


def refuses_put(redis: Redis, writer: Writer, rules: Rules) -> bool:
    """Tell whether a put comes too late: a later write has fenced, or its fence may have come and gone.

    Two writes of one transaction have positions in the order of their versions, though no commit lies between them.
    """
    standing, own = redis.fences[writer.key], (writer.position, writer.version)
    later = standing is not None and (standing.position, standing.version) > own
    return (rules.put_fence and later) or (rules.put_in_time and writer.is_late)


def lift(redis: Redis, key: int, at: int, rules: Rules) -> Redis:
    """Return the server after the change at this position was applied."""
    standing = redis.fences[key] if redis.fences and key < len(redis.fences) else None
    lifts = standing is not None and (at > standing.position or not rules.fence_lifts)
    return _with_fence(redis, key, None) if lifts else redis


def expiries(state: State, rules: Rules, bounds: Bounds) -> Iterator[tuple[str, State]]:
    """Yield the ends of fences, and of leases. A lease is held by each reader that is under way.

    A lease is at most half as long as a fence, and who knows of a commit after half the time fences again. So when a
    fence whose commit is known expires, every lease that was taken before is gone.
    """
    if not bounds.expiries:
        return
    for key, standing in enumerate(state.redis.fences):
        if standing is None:
            continue
        unknown = not standing.is_known and any(
            (w.key, w.position) == (key, standing.position) and w.phase != "known" for w in state.writers
        )
        if bounds.linear and unknown:
            continue
        early = any(f.key == key and f.is_early and f.phase in ("begun", "read") for f in state.fillers)
        if not (standing.is_known and early and rules.fence_lease):
            redis = _with_fence(state.redis, key, None)
            writers = tuple(sorted(_late(w, key, standing.position) for w in state.writers))
            yield "a fence EXPIRES", state._replace(redis=redis, writers=writers)
    for index, filler in enumerate(state.fillers):
        if filler.phase in ("begun", "read") and rules.fence_lease:
            fillers = (*state.fillers[:index], DONE, *state.fillers[index + 1 :])
            yield "a lease EXPIRES", state._replace(fillers=tuple(sorted(fillers)))


def _late(writer: Writer, key: int, position: int) -> Writer:
    """Return the writer; its fence has expired when one that came after it has."""
    fenced = writer.key == key and writer.phase in ("fenced", "durable", "shown", "known")
    return writer._replace(is_late=True) if fenced and writer.position <= position else writer
