"""What servers do in the modelled world: the replica replays, the relay relays, all that can be lost is lost."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency import fences
from tests.consistency.clients import NAMES, Step, with_entry
from tests.consistency.near import cut_off, near_forgotten, streamed
from tests.consistency.promises import is_visible
from tests.consistency.rules import Bounds, Rules
from tests.consistency.world import (
    BOTH,
    LOST,
    NEITHER,
    TABLE,
    Change,
    Filler,
    Lister,
    Meta,
    Reader,
    Redis,
    Relay,
    State,
    Viewer,
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
        yield from _follow_new_history(state, rules, bounds)
    elif meta is not None and meta.watermark < expected and rules.rewind:
        yield _rewind(state, meta, rules, bounds)
    elif relay.batch is not None:
        yield _apply(state, relay.batch, rules, bounds)
    elif meta is None:
        yield "relay: ticks, the positions are gone", _reborn(state, relay.applied, rules, bounds)
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
        elif end == relay.applied + 1:
            yield _apply(taken, (end, end), rules, bounds)
        else:
            yield f"relay: takes {relay.applied + 1} to {end} as one batch", taken


def _rewind(state: State, meta: Meta, rules: Rules, bounds: Bounds) -> Step:
    relay = state.relay
    if meta.watermark < relay.start and rules.slot_start:
        newest = relay.batch[1] if relay.batch else relay.applied
        after = state._replace(relay=relay._replace(applied=newest, batch=None))
        return f"relay: W={meta.watermark} is before the slot's start", _reborn(after, newest, rules, bounds)
    again = state._replace(relay=relay._replace(applied=relay.start, batch=None), told=relay.start)
    if meta.watermark < relay.start:
        again = again._replace(redis=again.redis._replace(meta=meta._replace(watermark=relay.start)))
    return f"relay: W={meta.watermark}, not {relay.applied}: reads again from {relay.start}", again


def _reborn(state: State, at: int, rules: Rules, bounds: Bounds) -> State:
    """Return the state after the partition's hash was made anew."""
    generation = state.generations + 1
    redis = _emptied(state.redis)
    if not rules.generation:
        generation = state.redis.meta.generation if state.redis.meta else state.generations
        redis = state.redis
    step = state.relay.batch[0] - 1 if state.relay.batch else 0
    nothing = (None,) * len(redis.entries)
    meta = Meta(at, generation, at, nothing, state.relay.history, step, stamps=(None,) * bounds.scopes)
    redis = streamed(redis._replace(meta=meta), BOTH, bounds)
    return state._replace(redis=redis, generations=max(generation, state.generations), told=at)


def _emptied(redis: Redis) -> Redis:
    """Return the server without entries, lists and hash: what is invisible for good is as good as gone."""
    return redis._replace(entries=(None,) * len(redis.entries), lists=(None,) * len(redis.lists), meta=None)


def _apply(state: State, batch: tuple[int, int], rules: Rules, bounds: Bounds) -> Step:
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
    if meta is None:
        newest = end if rules.newest_base else expected
        return f"relay: applies {at}, the positions are gone", _reborn(after, newest, rules, bounds)
    change = state.log[at - 1]
    meta = meta._replace(step=0 if is_last else at)
    if is_last and rules.watermark_moves:
        meta = meta._replace(watermark=max(meta.watermark, end))
        after = after._replace(told=end)
    redis = _stamped(state.redis._replace(meta=meta), meta, change, at, rules)
    if change.key in (TABLE, TABLE + 1):
        redis = fences.floored(redis, change.key - TABLE, at, rules)
    elif change.key != NEITHER:
        versions = (change.version,) if rules.last_counts else (*change.earlier, change.version)
        for version in versions:
            redis = _changed(redis, change.key, at, (version, change.rank), rules)
        redis = fences.lift(redis, change.key, at, rules)
    return f"relay: applies {at}", after._replace(redis=streamed(redis, change.key, bounds))


def _stamped(redis: Redis, meta: Meta, change: Change, at: int, rules: Rules) -> Redis:
    """Move the stamps of the lists that lost or gained the row."""
    stamps = list(meta.stamps)
    for scope in change.scopes if rules.stamp_old else change.scopes[-1:]:
        stamps[scope] = max(at, stamps[scope] or 0) if rules.stamp_forward else at
    return redis._replace(meta=meta._replace(stamps=tuple(stamps)))


def _changed(redis: Redis, key: int, at: int, stamp: tuple[int, int], rules: Rules) -> Redis:
    old, meta = redis.entries[key], redis.meta
    assert meta is not None
    last = meta.moved[key]
    if last is None:
        last = meta.base
    if (old is not None or rules.absent_moves) and at >= last:
        movers = (*meta.movers[:key], stamp, *meta.movers[key + 1 :])
        moved = (*meta.moved[:key], at, *meta.moved[key + 1 :])
        redis = redis._replace(meta=meta._replace(movers=movers, moved=moved))
    if old is None or at <= old.asof:
        return redis
    if rules.floor_drops and not is_visible(old, meta, key, rules):
        return with_entry(redis, key, None)
    old_stamp = (old.version, old.rank)
    if stamp == old_stamp:
        return with_entry(redis, key, old._replace(direct=False, asof=at))
    if old.version and stamp < old_stamp and (old.direct or not rules.source):
        return with_entry(redis, key, old._replace(asof=at))
    return with_entry(redis, key, None)


def _follow_new_history(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield the start on the new primary: its slot begins where its log ends, once all of that is shown."""
    end = len(state.log)
    if len(state.shown) < end:
        return
    after = state._replace(relay=Relay(end, end, None, state.history), told=end)
    meta = state.redis.meta
    if rules.database or (meta is not None and meta.watermark < end):
        yield "relay: the database has another history", _reborn(after, end, rules, bounds)
    else:
        adopted = meta._replace(history=state.history) if meta is not None else None
        yield "relay: reads the new slot", after._replace(redis=state.redis._replace(meta=adopted))


def faults(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield everything that may go wrong next."""
    left, redis = state.left, state.redis
    for key, entry in enumerate(redis.entries if bounds.evictions else ()):
        if entry is not None:
            yield f"Redis EVICTS {NAMES[key]}", state._replace(redis=with_entry(redis, key, None))
    if left.meta_losses and redis.meta is not None:
        fewer = state._replace(left=left._replace(meta_losses=left.meta_losses - 1))
        # Entries stay, and stay invisible: unless the new hash has their generation, they are as good as gone.
        lost = _emptied(redis) if rules.generation else redis._replace(meta=None)
        yield "Redis EVICTS the positions", fewer._replace(redis=lost)
    yield from _losses(state)
    yield from _relay_faults(state, bounds)
    if left.promotions:
        yield _promotion(state)


def _losses(state: State) -> Iterator[Step]:
    left, redis = state.left, state.redis
    # Connections end with the server: nobody reads one half before and the other after.
    readers = tuple(Reader("done") if reader.phase == "took" else reader for reader in state.readers)
    viewers = tuple(Viewer("done") if viewer.phase == "took" else viewer for viewer in state.viewers)
    near = state.near and cut_off(state.near, redis)
    cut = state._replace(readers=readers, viewers=viewers, near=near)
    if left.failovers and state.copy != redis:
        yield "Redis copies itself", state._replace(copy=redis)
        fewer = left._replace(failovers=left.failovers - 1)
        yield "Redis FAILS OVER to its copy", cut._replace(left=fewer, redis=state.copy)
    if left.losses:
        nothing = _emptied(redis)._replace(stream=(), fences=(None,) * len(redis.fences))
        fewer = left._replace(losses=left.losses - 1)
        yield "Redis LOSES everything", cut._replace(left=fewer, redis=nothing, copy=nothing)


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
    listers = (Lister("done") if r.phase == "begun" else r for r in state.listers)
    return (
        f"the replica is PROMOTED at {end}",
        state._replace(
            log=log,
            shown=frozenset(range(1, end + 1)),
            sequence=max((change.version for change in log), default=0) + 1,
            writers=tuple(sorted(w._replace(at=LOST) if w.at > end else w for w in writers)),
            fillers=tuple(sorted(f._replace(at=LOST) if f.at > end else f for f in fillers)),
            listers=tuple(sorted(r._replace(at=LOST) if r.at > end else r for r in listers)),
            near=state.near and near_forgotten(state.near, end),
            redis=_forgotten(state.redis, end),
            copy=_forgotten(state.copy, end),
            history=state.history + 1,
            left=state.left._replace(promotions=state.left.promotions - 1),
        ),
    )


def _forgotten(redis: Redis, end: int) -> Redis:
    entries = (e._replace(content=LOST) if e is not None and e.content > end else e for e in redis.entries)
    lists = (e._replace(content=LOST) if e is not None and e.content > end else e for e in redis.lists)
    return redis._replace(entries=tuple(entries), lists=tuple(lists))
