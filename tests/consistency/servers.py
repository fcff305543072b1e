"""What servers do in the modelled world: the replica replays, the relay relays, all that can be lost is lost."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.clients import Step, with_entry
from tests.consistency.world import (
    BOTH,
    LOST,
    NEITHER,
    Bounds,
    Entry,
    Filler,
    Meta,
    Reader,
    Redis,
    Relay,
    Rules,
    State,
    Writer,
)


def replays(state: State) -> Iterator[Step]:
    """Yield the replica's next step."""
    if state.replayed < len(state.log):
        yield f"replica: replays {state.replayed + 1}", state._replace(replayed=state.replayed + 1)


def relays(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield the relay's next steps; when there are none, it has nothing left to do."""
    relay, meta = state.relay, _own_meta(state)
    expected = relay.applied if rules.watermark_moves else state.told
    if relay.history != state.history:
        yield from _follow_new_history(state, rules)
    elif meta is not None and meta.watermark < expected and rules.rewind:
        yield _rewind(state, meta, rules)
    elif relay.batch is not None:
        yield _apply(state, relay.batch, rules)
    elif meta is None:
        yield "relay: ticks, the positions are gone", _reborn(state, relay.applied, rules)
    else:
        yield from _advances(state, meta, rules, bounds)


def _own_meta(state: State) -> Meta | None:
    """Return the positions, if they belong to the history that the relay reads."""
    meta = state.redis.meta
    return meta if meta is not None and meta.history == state.relay.history else None


def _advances(state: State, meta: Meta, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    relay = state.relay
    if not rules.watermark_moves and relay.applied > state.told:
        moved = meta._replace(watermark=max(meta.watermark, relay.applied))
        after = state._replace(redis=state.redis._replace(meta=moved), told=relay.applied)
        yield f"relay: ticks, W={relay.applied}", after
    for end in range(relay.applied + 1, min(relay.applied + 1 + bounds.batches, len(state.log)) + 1):
        wanted = range(relay.applied + 1, end + 1)
        if rules.gate and not all(at in state.shown for at in wanted):
            continue
        taken = state._replace(relay=relay._replace(batch=(relay.applied + 1, end)))
        if not rules.watermark_last:
            early = state.redis._replace(meta=meta._replace(watermark=max(meta.watermark, end)))
            yield f"relay: moves W={end} before the changes", taken._replace(redis=early)
        elif any(state.log[at - 1][0] == BOTH for at in wanted):
            after = state._replace(relay=relay._replace(applied=end))
            yield f"relay: everything changed by {end}", _reborn(after, end, rules)
        elif end == relay.applied + 1:
            yield _apply(taken, (end, end), rules)
        else:
            yield f"relay: takes {relay.applied + 1} to {end} as one batch", taken


def _rewind(state: State, meta: Meta, rules: Rules) -> Step:
    relay = state.relay
    if meta.watermark < relay.start and rules.slot_start:
        newest = relay.batch[1] if relay.batch else relay.applied
        after = state._replace(relay=relay._replace(applied=newest, batch=None))
        return f"relay: W={meta.watermark} is before the slot's start", _reborn(after, newest, rules)
    again = state._replace(relay=relay._replace(applied=relay.start, batch=None), told=relay.start)
    if meta.watermark < relay.start:
        again = again._replace(redis=again.redis._replace(meta=meta._replace(watermark=relay.start)))
    return f"relay: W={meta.watermark}, not {relay.applied}: reads again from {relay.start}", again


def _reborn(state: State, at: int, rules: Rules) -> State:
    """Return the state after the partition's hash was made anew."""
    generation = state.generations + 1
    entries: tuple[Entry | None, ...] = (None,) * len(state.redis.entries)
    if not rules.generation:
        generation = state.redis.meta.generation if state.redis.meta else state.generations
        entries = state.redis.entries
    step = state.relay.batch[0] - 1 if state.relay.batch else 0
    meta = Meta(at, generation, at, (None,) * len(entries), state.relay.history, step)
    generations = max(generation, state.generations)
    return state._replace(redis=Redis(entries, meta), generations=generations, told=at)


def _apply(state: State, batch: tuple[int, int], rules: Rules) -> Step:
    """Apply one change of the batch; with its last one the watermark moves."""
    at, end = batch
    expected, meta = state.relay.applied, _own_meta(state)
    if meta is not None and at > expected + 1 and meta.step != at - 1 and rules.whole_batch:
        again = state.relay._replace(batch=(expected + 1, end))
        return f"relay: {at - 1} is not there any more, applies the batch again", state._replace(relay=again)
    is_last = at == end
    relay = state.relay._replace(
        applied=end if is_last else expected, batch=None if is_last else (at + 1, end)
    )
    after = state._replace(relay=relay)
    key, version, rank = state.log[at - 1]
    if meta is None:
        newest = end if rules.newest_base else expected
        return f"relay: applies {at}, the positions are gone", _reborn(after, newest, rules)
    meta = meta._replace(step=0 if is_last else at)
    if is_last and rules.watermark_moves:
        meta = meta._replace(watermark=max(meta.watermark, end))
        after = after._replace(told=end)
    redis = state.redis._replace(meta=meta)
    if key != NEITHER:
        redis = _changed(redis, meta, key, at, (version, rank), rules)
    return f"relay: applies {at}", after._replace(redis=redis)


def _changed(redis: Redis, meta: Meta, key: int, at: int, stamp: tuple[int, int], rules: Rules) -> Redis:
    old = redis.entries[key]
    if old is not None or rules.absent_moves:
        if at >= meta.of(key):
            movers = (*meta.movers[:key], stamp, *meta.movers[key + 1 :])
            meta = meta._replace(movers=movers)
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
    """Yield the start on the new primary: its slot begins where its log ends, once all of that is shown."""
    end = len(state.log)
    if len(state.shown) < end:
        return
    after = state._replace(relay=Relay(end, end, None, state.history), told=end)
    meta = state.redis.meta
    if rules.database or (meta is not None and meta.watermark < end):
        yield "relay: the database has another history", _reborn(after, end, rules)
    else:
        adopted = meta._replace(history=state.history) if meta is not None else None
        yield "relay: reads the new slot", after._replace(redis=state.redis._replace(meta=adopted))


def faults(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield everything that may go wrong next."""
    left, redis = state.left, state.redis
    for key, entry in enumerate(redis.entries if bounds.evictions else ()):
        if entry is not None:
            yield "Redis EVICTS an entry", state._replace(redis=with_entry(redis, key, None))
    if left.meta_losses and redis.meta is not None:
        fewer = state._replace(left=left._replace(meta_losses=left.meta_losses - 1))
        # Entries stay, and stay invisible: unless the new hash has their generation, they are as good as gone.
        entries = redis.entries if not rules.generation else (None,) * len(redis.entries)
        yield "Redis EVICTS the positions", fewer._replace(redis=Redis(entries, None))
    yield from _losses(state)
    yield from _relay_faults(state, bounds)
    if left.promotions:
        yield _promotion(state)


def _losses(state: State) -> Iterator[Step]:
    left, redis = state.left, state.redis
    # Connections end with the server: nobody reads one half before and the other after.
    readers = tuple(Reader("done") if reader.phase == "took" else reader for reader in state.readers)
    if left.failovers and state.copy != redis:
        yield "Redis copies itself", state._replace(copy=redis)
        fewer = state._replace(left=left._replace(failovers=left.failovers - 1), readers=readers)
        yield "Redis FAILS OVER to its copy", fewer._replace(redis=state.copy)
    if left.losses:
        nothing = Redis((None,) * len(redis.entries), None)
        fewer = state._replace(left=left._replace(losses=left.losses - 1), readers=readers)
        yield "Redis LOSES everything", fewer._replace(redis=nothing, copy=nothing)


def _relay_faults(state: State, bounds: Bounds) -> Iterator[Step]:
    relay, meta = state.relay, state.redis.meta
    if bounds.restarts and (relay.applied > relay.start or relay.batch is not None):
        again = relay._replace(applied=relay.start, batch=None)
        yield f"relay: RESTARTS at {relay.start}", state._replace(relay=again, told=relay.start)
    if bounds.acknowledgements and meta is not None and relay.start < relay.applied <= meta.watermark:
        moved = relay._replace(start=relay.applied)
        yield f"relay: lets the slot start at {relay.applied}", state._replace(relay=moved)


def _promotion(state: State) -> Step:
    """Make the replica the primary: what it has not replayed never was, and its numbers are used again."""
    end = state.replayed
    log = state.log[:end]
    writers = (Writer("done") if w.phase in ("drawn", "locked", "durable") else w for w in state.writers)
    fillers = (Filler("done") if f.phase == "begun" else f for f in state.fillers)
    return (
        f"the replica is PROMOTED at {end}",
        state._replace(
            log=log,
            shown=frozenset(range(1, end + 1)),
            sequence=max((change[1] for change in log), default=0) + 1,
            writers=tuple(sorted(w._replace(at=LOST) if w.at > end else w for w in writers)),
            fillers=tuple(sorted(f._replace(at=LOST) if f.at > end else f for f in fillers)),
            redis=_forgotten(state.redis, end),
            copy=_forgotten(state.copy, end),
            history=state.history + 1,
            left=state.left._replace(promotions=state.left.promotions - 1),
        ),
    )


def _forgotten(redis: Redis, end: int) -> Redis:
    entries = (
        entry._replace(content=LOST) if entry is not None and entry.content > end else entry
        for entry in redis.entries
    )
    return redis._replace(entries=tuple(entries))
