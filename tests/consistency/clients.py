"""What processes of the platform do in the modelled world: write and put, miss and fill, read."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.world import (
    ABSENT,
    BOTH,
    DONE,
    IDLE,
    NEITHER,
    VALUE,
    Bounds,
    Entry,
    Meta,
    Redis,
    Rules,
    State,
    is_behind,
    last_change,
)

Step = tuple[str, State]
Actor = tuple[object, ...]
NAMES = {0: "a", 1: "b", BOTH: "all", NEITHER: "other"}


def with_entry(redis: Redis, key: int, entry: Entry | None) -> Redis:
    """Return the server with another entry of the record."""
    return redis._replace(entries=(*redis.entries[:key], entry, *redis.entries[key + 1 :]))


def replaced(actors: tuple[Actor, ...], index: int, actor: Actor) -> tuple[Actor, ...]:
    """Return the actors, sorted, so that states that differ only in who does what are one state."""
    return tuple(sorted((*actors[:index], actor, *actors[index + 1 :])))  # type: ignore[type-var]


def _locked(state: State) -> set[int]:
    return {writer[1] for writer in state.writers if writer[0] in ("locked", "durable")}  # type: ignore[misc]


def _last(state: State, key: int) -> tuple[int, int]:
    """Return version and rank of the record's last change."""
    at = last_change(state, key, range(1, len(state.log) + 1))
    if not at:
        return 0, ABSENT
    change = state.log[at - 1]
    return (change[1], change[2]) if change[0] == key else (0, ABSENT)


def writes(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what writers may do next."""
    for index, writer in enumerate(state.writers):
        if index and writer == state.writers[index - 1]:
            continue
        steps = {"idle": _begin_write, "drawn": _insert, "locked": _commit, "durable": _show, "shown": _put}
        act = steps.get(str(writer[0]))
        if act is None:
            continue
        for label, next_state, next_writer in act(state, writer, rules, bounds):
            writers = replaced(next_state.writers, index, next_writer)
            yield f"writer: {label}", next_state._replace(writers=writers)


Act = Iterator[tuple[str, State, Actor]]


def _begin_write(state: State, _: Actor, __: Rules, bounds: Bounds) -> Act:
    locked = _locked(state)
    generation = state.redis.meta.generation if state.redis.meta else 0
    lock = len(state.log)
    drawn = state._replace(sequence=state.sequence + 1)
    for key in range(bounds.keys):
        if key in locked or BOTH in locked:
            continue
        version, rank = _last(state, key)
        name = NAMES[key]
        upsert = ("locked", key, state.sequence, VALUE, lock, generation)
        yield f"locks {name}, writes version {state.sequence}, S={lock}", drawn, upsert
        if rank == VALUE and bounds.deletes:
            delete = ("locked", key, version, ABSENT, lock, generation)
            yield f"locks {name}, deletes version {version}, S={lock}", state, delete
        if rank == VALUE and bounds.inversions:
            waiting = ("drawn", key, state.sequence)
            yield f"inserts {name} with version {state.sequence}, waits for the row in its way", drawn, waiting
    if bounds.truncates and not locked - {NEITHER}:
        yield "truncates", state, ("locked", BOTH, 0, ABSENT, lock, generation)
    if bounds.others:
        yield "writes another table", state, ("locked", NEITHER, 0, VALUE, lock, generation)


def _insert(state: State, writer: Actor, _: Rules, __: Bounds) -> Act:
    key, version = writer[1], writer[2]
    if key not in _locked(state) and _last(state, int(str(key)))[1] == ABSENT:
        generation = state.redis.meta.generation if state.redis.meta else 0
        lock = len(state.log)
        yield (
            f"the row is gone: inserts version {version}, S={lock}",
            state,
            ("locked", key, version, VALUE, lock, generation),
        )


def _commit(state: State, writer: Actor, _: Rules, __: Bounds) -> Act:
    _, key, version, rank, *_rest = writer
    log = (*state.log, (key, version, rank))
    yield (
        f"commit of {NAMES[key]} is in the log at {len(log)}",  # type: ignore[index]
        state._replace(log=log),
        ("durable", *writer[1:], len(log)),
    )


def _show(state: State, writer: Actor, _: Rules, __: Bounds) -> Act:
    at: int = writer[6]  # type: ignore[assignment]
    shown = state._replace(shown=state.shown | {at})
    after = ("shown", *writer[1:]) if writer[1] in (0, 1) else DONE
    yield f"commit {at} is shown by the primary, and acknowledged", shown, after


def _put(state: State, writer: Actor, rules: Rules, _: Bounds) -> Act:
    key, version, rank, position, generation, at = writer[1:]
    if state.left.crashes:
        left = state.left._replace(crashes=state.left.crashes - 1)
        yield "CRASHES before its put", state._replace(left=left), DONE
    offer = Entry(version, rank, at, True, position)  # type: ignore[arg-type]
    answer, redis = put(state.redis, key, offer, generation, rules)  # type: ignore[arg-type]
    yield f"puts {NAMES[key]} version {version}: {answer}", state._replace(redis=redis), DONE  # type: ignore[index]


def put(redis: Redis, key: int, offer: Entry, generation: int, rules: Rules) -> tuple[str, Redis]:
    """Return the script's answer, and what it leaves."""
    meta, old = redis.meta, redis.entries[key]
    if meta is None:
        return "nometa", redis
    if rules.put_generation and generation != meta.generation:
        return "reborn", redis
    newer = old is None or (offer.version, offer.rank) > (old.version, old.rank)
    known = old is not None and old.version > 0
    if rules.put_admission and meta.of(key) > offer.asof and not (rules.put_overtakes and known and newer):
        return "behind", with_entry(redis, key, None) if newer else redis
    if known and not newer:
        return "older", redis
    return "ok", with_entry(redis, key, offer)


def fills(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers that missed may do next."""
    for index, filler in enumerate(state.fillers):
        if index and filler == state.fillers[index - 1]:
            continue
        steps = {"idle": _begin_fill, "begun": _read, "read": _fill}
        act = steps.get(str(filler[0]))
        if act is None:
            continue
        for label, next_state, next_filler in act(state, filler, rules, bounds):
            yield f"filler: {label}", next_state._replace(fillers=replaced(state.fillers, index, next_filler))


def _begin_fill(state: State, _: Actor, __: Rules, bounds: Bounds) -> Act:
    meta = state.redis.meta
    if meta is None:
        return
    for key in range(bounds.keys):
        if state.redis.entries[key] is not None:
            continue
        position = max(meta.of(key), meta.watermark)
        if bounds.primary_fills:
            begun = ("begun", key, True, position, meta.generation)
            yield f"misses {NAMES[key]}, begins on the primary, S={position}", state, begun
        if bounds.replica_fills:
            begun = ("begun", key, False, state.replayed, meta.generation)
            yield f"misses {NAMES[key]}, begins on the replica, S={state.replayed}", state, begun


def _read(state: State, filler: Actor, rules: Rules, _: Bounds) -> Act:
    key: int = filler[1]  # type: ignore[assignment]
    at = last_change(state, key, state.shown if filler[2] else range(1, state.replayed + 1))
    change = state.log[at - 1] if at else (BOTH, 0, ABSENT)
    is_value = change[0] == key and change[2] == VALUE
    position = filler[3]
    if not rules.position_first:
        position = len(state.log) if filler[2] else state.replayed
    version, rank = (change[1], VALUE) if is_value else (0, ABSENT)
    label = f"reads version {version}" if is_value else "reads that there is none"
    yield f"{label} (change {at})", state, ("read", key, position, filler[4], version, rank, at)


def _fill(state: State, filler: Actor, rules: Rules, _: Bounds) -> Act:
    key, position, generation, version, rank, at = filler[1:]
    offer = Entry(version, rank, at, True, position)  # type: ignore[arg-type]
    answer, redis = fill(state.redis, key, offer, generation, rules)  # type: ignore[arg-type]
    yield f"fills {NAMES[key]}, S={position}: {answer}", state._replace(redis=redis), DONE  # type: ignore[index]


def fill(redis: Redis, key: int, offer: Entry, generation: int, rules: Rules) -> tuple[str, Redis]:
    """Return the script's answer, and what it leaves."""
    meta: Meta | None = redis.meta
    old = redis.entries[key]
    if meta is None or (rules.fill_generation and generation != meta.generation):
        return "reborn", redis
    if rules.fill_admission and meta.of(key) > offer.asof:
        return "behind", redis
    if old is not None:
        stamp, old_stamp = (offer.version, offer.rank), (old.version, old.rank)
        if stamp == old_stamp:
            # Two findings of no row look alike, whatever came and went between them: the entry is both.
            content = max(old.content, offer.content)
            raised = old._replace(content=content, asof=max(old.asof, offer.asof))
            return "confirmed", with_entry(redis, key, raised)
        if old.version and stamp < old_stamp:
            return "older", redis
        if not old.version:
            return "present", redis
    return "ok", with_entry(redis, key, offer)


def reads(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers of both W and an entry, in two commands, may do next."""
    meta = state.redis.meta
    if meta is None:
        return
    for index, reader in enumerate(state.readers):
        if reader == IDLE:
            for key in range(bounds.keys):
                took = ("took", key, meta.watermark, meta.generation, state.redis.entries[key])
                readers = replaced(state.readers, index, took)
                yield f"reader: takes W={meta.watermark}", state._replace(readers=readers)
        elif reader[0] == "took":
            key, watermark, generation, entry = reader[1:]
            first = rules.watermark_read_first
            now = state.redis.entries[key] if first else entry  # type: ignore[index]
            bound = watermark if first else meta.watermark
            wrong = (
                now is not None
                and generation == meta.generation
                and is_behind(state, now, key, bound)  # type: ignore[arg-type]
            )
            result = ("wrong",) if wrong else DONE
            readers = replaced(state.readers, index, result)
            yield "reader: takes the entry", state._replace(readers=readers)
