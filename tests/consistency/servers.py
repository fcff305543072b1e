"""What servers do in the modelled world: the replica replays, the relay relays, and everything that can be lost is."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.clients import Actor, Step, with_entry
from tests.consistency.world import (
    BOTH,
    DONE,
    LOST,
    NEITHER,
    Bounds,
    Entry,
    Meta,
    Redis,
    Relay,
    Rules,
    State,
)


def replays(state: State) -> Iterator[Step]:
    """Yield the replica's next step."""
    if state.replayed < len(state.log):
        yield f"replica: replays {state.replayed + 1}", state._replace(replayed=state.replayed + 1)


def relays(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield the relay's next steps; when there are none, it has nothing left to do."""
    relay, meta = state.relay, state.redis.meta
    if relay.history != state.history:
        yield from _follow_new_history(state, rules)
        return
    if meta is not None and meta.watermark < (relay.applied if rules.watermark_moves else state.told) and rules.rewind:
        yield _rewind(state, meta, rules)
        return
    if relay.batch is not None:
        yield _apply(state, relay.batch, rules)
        return
    if meta is None:
        yield "relay: ticks, the positions are gone", _reborn(state, relay.applied, rules)
        return
    if not rules.watermark_moves and relay.applied > state.told:
        redis = state.redis._replace(meta=meta._replace(watermark=max(meta.watermark, relay.applied)))
        yield f"relay: ticks, W={relay.applied}", state._replace(redis=redis, told=relay.applied)
    for end in range(relay.applied + 1, min(relay.applied + 1 + bounds.batches, len(state.log)) + 1):
        wanted = range(relay.applied + 1, end + 1)
        if rules.gate and not all(at in state.shown for at in wanted):
            continue
        taken = state._replace(relay=relay._replace(batch=(relay.applied + 1, end)))
        if not rules.watermark_last:
            moved = state.redis._replace(meta=meta._replace(watermark=max(meta.watermark, end)))
            yield f"relay: moves W={end} before the changes", taken._replace(redis=moved)
        elif any(state.log[at - 1][0] == BOTH for at in wanted):
            reset = taken._replace(relay=relay._replace(applied=end))
            yield f"relay: everything changed by {end}", _reborn(reset, end, rules)
        elif end == relay.applied + 1:
            yield _apply(taken, (end, end), rules)
        else:
            yield f"relay: takes {relay.applied + 1} to {end} as one batch", taken


def _rewind(state: State, meta: Meta, rules: Rules) -> Step:
    relay = state.relay
    if meta.watermark < relay.start and rules.slot_start:
        label = f"relay: W={meta.watermark} is before the slot's start {relay.start}"
        newest = relay.batch[1] if relay.batch else relay.applied
        return label, _reborn(state._replace(relay=relay._replace(applied=newest, batch=None)), newest, rules)
    label = f"relay: W={meta.watermark}, not {relay.applied}: reads again from {relay.start}"
    again = state._replace(relay=relay._replace(applied=relay.start, batch=None), told=relay.start)
    if meta.watermark < relay.start:
        again = again._replace(redis=again.redis._replace(meta=meta._replace(watermark=relay.start)))
    return label, again


def _reborn(state: State, at: int, rules: Rules) -> State:
    """Return the state after the partition's hash was made anew."""
    generation = state.generations + 1
    meta = Meta(at, generation, at, (None,) * len(state.redis.entries))
    entries: tuple[Entry | None, ...] = (None,) * len(state.redis.entries)
    if not rules.generation:
        old = state.redis.meta.generation if state.redis.meta else state.generations
        meta, entries, generation = meta._replace(generation=old), state.redis.entries, state.generations
    return state._replace(redis=Redis(entries, meta), generations=generation, told=at)


def _apply(state: State, batch: tuple[int, int], rules: Rules) -> Step:
    """Apply one change of the batch; with its last one the watermark moves."""
    at, end = batch
    is_last = at == end
    relay = state.relay._replace(applied=end if is_last else state.relay.applied, batch=None if is_last else (at + 1, end))
    after = state._replace(relay=relay)
    key, version, rank = state.log[at - 1]
    label = f"relay: applies {at}"
    if state.redis.meta is None:
        return f"{label}, the positions are gone", _reborn(after, end if rules.newest_base else relay.applied, rules)
    redis = state.redis if key == NEITHER else _changed(state.redis, key, at, (version, rank), rules)
    meta = redis.meta
    assert meta is not None
    if is_last and rules.watermark_moves and rules.watermark_last:
        redis = redis._replace(meta=meta._replace(watermark=max(meta.watermark, end)))
    told = end if is_last and rules.watermark_moves else state.told
    return label, after._replace(redis=redis, told=told)


def _changed(redis: Redis, key: int, at: int, stamp: tuple[int, int], rules: Rules) -> Redis:
    old, meta = redis.entries[key], redis.meta
    assert meta is not None
    if old is not None or rules.absent_moves:
        moved = (*meta.moved[:key], max(meta.of(key), at), *meta.moved[key + 1 :])
        redis = redis._replace(meta=meta._replace(moved=moved))
    if old is None or at <= old.asof:
        return redis
    old_stamp = (old.version, old.rank)
    if stamp == old_stamp:
        return with_entry(redis, key, old._replace(direct=False, asof=at))
    if old.version and stamp < old_stamp and (old.direct or not rules.source):
        return with_entry(redis, key, old._replace(asof=at))
    return with_entry(redis, key, None)


def _follow_new_history(state: State, rules: Rules) -> Iterator[Step]:
    """The new primary has a new slot, which starts where its log ends, once all of it is shown."""
    end = len(state.log)
    if len(state.shown) < end:
        return
    after = state._replace(relay=Relay(end, end, None, state.history), told=end)
    if rules.database:
        yield "relay: the database has another history", _reborn(after, end, rules)
    elif state.redis.meta is not None and state.redis.meta.watermark < end and rules.slot_start:
        yield "relay: W is before the new slot's start", _reborn(after, end, rules)
    else:
        yield "relay: reads the new slot", after


def faults(state: State, rules: Rules) -> Iterator[Step]:
    """Yield everything that may go wrong next."""
    left, redis, relay = state.left, state.redis, state.relay
    cut = state._replace(readers=tuple(sorted(_without(state.readers, "took"))))  # type: ignore[type-var]
    if left.evictions:
        fewer = state._replace(left=left._replace(evictions=left.evictions - 1))
        for key, entry in enumerate(redis.entries):
            if entry is not None:
                yield "Redis EVICTS an entry", fewer._replace(redis=with_entry(redis, key, None))
    if left.meta_losses and redis.meta is not None:
        fewer = state._replace(left=left._replace(meta_losses=left.meta_losses - 1))
        # Entries stay, and stay invisible: unless the new hash has their generation, they are as good as gone.
        entries = redis.entries if not rules.generation else (None,) * len(redis.entries)
        yield "Redis EVICTS the positions", fewer._replace(redis=Redis(entries, None))
    if left.failovers:
        if state.copy != redis:
            yield "Redis copies itself", state._replace(copy=redis)
            fewer = cut._replace(left=left._replace(failovers=left.failovers - 1))
            yield "Redis FAILS OVER to its copy", fewer._replace(redis=state.copy)
    if left.losses:
        nothing = Redis((None,) * len(redis.entries), None)
        fewer = cut._replace(left=left._replace(losses=left.losses - 1))
        yield "Redis LOSES everything", fewer._replace(redis=nothing, copy=nothing)
    if left.restarts and (relay.applied > relay.start or relay.batch is not None):
        again = relay._replace(applied=relay.start, batch=None)
        fewer = state._replace(left=left._replace(restarts=left.restarts - 1), told=relay.start)
        yield f"relay: RESTARTS at {relay.start}", fewer._replace(relay=again)
    if left.acknowledgements and relay.start < relay.applied <= (redis.meta.watermark if redis.meta else -1):
        fewer = state._replace(left=left._replace(acknowledgements=left.acknowledgements - 1))
        yield f"relay: lets the slot start at {relay.applied}", fewer._replace(relay=relay._replace(start=relay.applied))
    if left.promotions:
        yield from _promotion(state)


def _promotion(state: State) -> Iterator[Step]:
    """The replica becomes the primary: what it has not replayed never happened, and its numbers are used again."""
    end = state.replayed
    log = state.log[:end]
    shown = frozenset(range(1, end + 1))
    sequence = max((change[1] for change in log), default=0) + 1
    yield (
        f"the replica is PROMOTED at {end}",
        state._replace(
            log=log,
            shown=shown,
            sequence=sequence,
            writers=tuple(sorted(_lost(writer, 6, end) for writer in _without(state.writers, "drawn", "locked", "durable"))),  # type: ignore[type-var]
            fillers=tuple(sorted(_lost(filler, 6, end) for filler in _without(state.fillers, "begun"))),  # type: ignore[type-var]
            redis=_forgotten(state.redis, end),
            copy=_forgotten(state.copy, end),
            history=state.history + 1,
            left=state.left._replace(promotions=state.left.promotions - 1),
        ),
    )


def _without(actors: tuple[Actor, ...], *phases: str) -> list[Actor]:
    return [DONE if actor[0] in phases else actor for actor in actors]


def _lost(actor: Actor, field: int, end: int) -> Actor:
    """Return the actor with its content marked when no surviving log explains it."""
    if len(actor) <= field or int(str(actor[field])) <= end:
        return actor
    return (*actor[:field], LOST, *actor[field + 1 :])


def _forgotten(redis: Redis, end: int) -> Redis:
    entries = tuple(
        entry._replace(content=LOST) if entry is not None and entry.content > end else entry for entry in redis.entries
    )
    return redis._replace(entries=entries)
