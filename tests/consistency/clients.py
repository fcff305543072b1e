"""What processes of the platform do in the modelled world: write and put, miss and fill, read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from tests.consistency.world import (
    ABSENT,
    BOTH,
    NEITHER,
    VALUE,
    Bounds,
    Entry,
    Filler,
    Reader,
    Redis,
    Rules,
    State,
    Writer,
    is_behind,
    last_change,
)

Step = tuple[str, State]
WriterSteps = Iterator[tuple[str, State, Writer]]
FillerSteps = Iterator[tuple[str, State, Filler]]
NAMES = {0: "a", 1: "b", BOTH: "all", NEITHER: "other"}
_Actor = TypeVar("_Actor", Writer, Filler, Reader)


def with_entry(redis: Redis, key: int, entry: Entry | None) -> Redis:
    """Return the server with another entry of the record."""
    return redis._replace(entries=(*redis.entries[:key], entry, *redis.entries[key + 1 :]))


def _replaced(actors: tuple[_Actor, ...], index: int, actor: _Actor) -> tuple[_Actor, ...]:
    """Return the actors, sorted, so that states that differ only in who does what are one state."""
    return tuple(sorted((*actors[:index], actor, *actors[index + 1 :])))


def _distinct(actors: tuple[_Actor, ...]) -> Iterator[tuple[int, _Actor]]:
    """Yield one of each set of equal actors: what one of them may do, any may."""
    for index, actor in enumerate(actors):
        if index == 0 or actor != actors[index - 1]:
            yield index, actor


def _locked(state: State) -> set[int]:
    return {writer.key for writer in state.writers if writer.phase in ("locked", "durable")}


def _last(state: State, key: int) -> tuple[int, int]:
    """Return version and rank of the record's last change."""
    at = last_change(state, key, range(1, len(state.log) + 1))
    changed, version, rank = state.log[at - 1] if at else (BOTH, 0, ABSENT)
    return (version, rank) if changed == key else (0, ABSENT)


def _generation(state: State) -> int:
    return state.redis.meta.generation if state.redis.meta else 0


def writes(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what writers may do next."""
    for index, writer in _distinct(state.writers):
        for label, after, then in _writer_steps(state, writer, rules, bounds):
            yield f"writer: {label}", after._replace(writers=_replaced(after.writers, index, then))


def _writer_steps(state: State, writer: Writer, rules: Rules, bounds: Bounds) -> WriterSteps:
    if writer.phase == "idle":
        yield from _begin_write(state, bounds)
    elif writer.phase == "drawn":
        yield from _insert(state, writer)
    elif writer.phase == "locked":
        log = (*state.log, (writer.key, writer.version, writer.rank))
        durable = writer._replace(phase="durable", at=len(log))
        yield f"commit of {NAMES[writer.key]} is in the log at {len(log)}", state._replace(log=log), durable
    elif writer.phase == "durable":
        shown = state._replace(shown=state.shown | {writer.at})
        puts = writer.key not in (BOTH, NEITHER)
        then = writer._replace(phase="shown") if puts else Writer("done")
        yield f"commit {writer.at} is shown by the primary, and acknowledged", shown, then
    elif writer.phase == "shown":
        yield from _put(state, writer, rules, bounds)


def _begin_write(state: State, bounds: Bounds) -> WriterSteps:
    locked, position, version = _locked(state), len(state.log), state.sequence
    start = Writer("locked", position=position, generation=_generation(state))
    drawn = state._replace(sequence=version + 1)
    for key in range(bounds.keys):
        if key in locked or BOTH in locked:
            continue
        present, rank = _last(state, key)
        upsert = start._replace(key=key, version=version, rank=VALUE)
        yield f"locks {NAMES[key]}, writes version {version}, S={position}", drawn, upsert
        if rank == VALUE and bounds.deletes:
            delete = start._replace(key=key, version=present, rank=ABSENT)
            yield f"locks {NAMES[key]}, deletes version {present}, S={position}", state, delete
        if rank == VALUE and bounds.inversions:
            waiting = Writer("drawn", key, version)
            yield f"inserts {NAMES[key]} with version {version}, waits for the row in its way", drawn, waiting
    if bounds.truncates and not locked - {NEITHER}:
        yield "truncates", state, start._replace(key=BOTH, rank=ABSENT)
    if bounds.others:
        yield "writes another table", state, start._replace(key=NEITHER, rank=VALUE)


def _insert(state: State, writer: Writer) -> WriterSteps:
    if writer.key not in _locked(state) and _last(state, writer.key)[1] == ABSENT:
        position = len(state.log)
        locked = writer._replace(phase="locked", rank=VALUE, position=position, generation=_generation(state))
        yield f"the row is gone: inserts version {writer.version}, S={position}", state, locked


def _put(state: State, writer: Writer, rules: Rules, bounds: Bounds) -> WriterSteps:
    if bounds.crashes:
        yield "CRASHES before its put", state, Writer("done")
    offer = Entry(writer.version, writer.rank, writer.at, True, writer.position)
    answer, redis = put(state.redis, writer.key, offer, writer.generation, rules)
    label = f"puts {NAMES[writer.key]} version {writer.version}: {answer}"
    yield label, state._replace(redis=redis), Writer("done")


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
        own = meta.movers[key] == (offer.version, offer.rank)
        if rules.put_confirmed and own and old is None:
            confirmed = offer._replace(direct=not rules.put_confirmed_source, asof=meta.of(key))
            return "confirmed", with_entry(redis, key, confirmed)
        return "behind", with_entry(redis, key, None) if newer else redis
    if known and not newer:
        return "older", redis
    return "ok", with_entry(redis, key, offer)


def fills(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers that missed may do next."""
    for index, filler in _distinct(state.fillers):
        for label, after, then in _filler_steps(state, filler, rules, bounds):
            yield f"filler: {label}", after._replace(fillers=_replaced(after.fillers, index, then))


def _filler_steps(state: State, filler: Filler, rules: Rules, bounds: Bounds) -> FillerSteps:
    if filler.phase == "idle":
        yield from _begin_fill(state, bounds)
    elif filler.phase == "begun":
        yield _read(state, filler, rules)
    elif filler.phase == "read":
        offer = Entry(filler.version, filler.rank, filler.at, True, filler.position)
        answer, redis = fill(state.redis, filler.key, offer, filler.generation, rules)
        label = f"fills {NAMES[filler.key]}, S={filler.position}: {answer}"
        yield label, state._replace(redis=redis), Filler("done")


def _begin_fill(state: State, bounds: Bounds) -> FillerSteps:
    meta = state.redis.meta
    for key in range(bounds.keys):
        if meta is None or state.redis.entries[key] is not None:
            continue
        position = max(meta.of(key), meta.watermark)
        if bounds.primary_fills:
            begun = Filler("begun", key, True, position, meta.generation)
            yield f"misses {NAMES[key]}, begins on the primary, S={position}", state, begun
        if bounds.replica_fills:
            begun = Filler("begun", key, False, state.replayed, meta.generation)
            yield f"misses {NAMES[key]}, begins on the replica, S={state.replayed}", state, begun


def _read(state: State, filler: Filler, rules: Rules) -> tuple[str, State, Filler]:
    replayed = range(1, state.replayed + 1)
    at = last_change(state, filler.key, state.shown if filler.on_primary else replayed)
    changed, version, rank = state.log[at - 1] if at else (BOTH, 0, ABSENT)
    is_value = changed == filler.key and rank == VALUE
    if not rules.position_first:
        position = len(state.log) if filler.on_primary else state.replayed
        filler = filler._replace(position=position)
    label = (
        f"reads version {version} (change {at})" if is_value else f"reads that there is none (change {at})"
    )
    content = (version, VALUE) if is_value else (0, ABSENT)
    return label, state, filler._replace(phase="read", version=content[0], rank=content[1], at=at)


def fill(redis: Redis, key: int, offer: Entry, generation: int, rules: Rules) -> tuple[str, Redis]:
    """Return the script's answer, and what it leaves."""
    meta, old = redis.meta, redis.entries[key]
    if meta is None or (rules.fill_generation and generation != meta.generation):
        return "reborn", redis
    if rules.fill_admission and meta.of(key) > offer.asof:
        return "behind", redis
    if old is None:
        return "ok", with_entry(redis, key, offer)
    stamp, old_stamp = (offer.version, offer.rank), (old.version, old.rank)
    if stamp == old_stamp:
        # Two findings of no row look alike, whatever came and went between them: the entry is both.
        content = max(old.content, offer.content)
        raised = old._replace(content=content, asof=max(old.asof, offer.asof))
        return "confirmed", with_entry(redis, key, raised)
    if not old.version or stamp < old_stamp:
        return "present", redis
    return "ok", with_entry(redis, key, offer)


def reads(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers of both W and an entry may do next."""
    meta = state.redis.meta
    for index, reader in _distinct(state.readers):
        if meta is None:
            continue
        if reader.phase == "idle":
            for key in range(bounds.keys):
                took = Reader("took", key, meta.watermark, meta.generation, state.redis.entries[key])
                after = state._replace(readers=_replaced(state.readers, index, took))
                yield f"reader: takes W={meta.watermark}, or the entry", after
        elif reader.phase == "took":
            first = rules.watermark_read_first
            entry = state.redis.entries[reader.key] if first else reader.entry
            watermark = reader.watermark if first else meta.watermark
            same = entry is not None and reader.generation == meta.generation
            wrong = same and entry is not None and is_behind(state, entry, reader.key, watermark)
            then = Reader("wrong" if wrong else "done")
            yield "reader: takes the other", state._replace(readers=_replaced(state.readers, index, then))
