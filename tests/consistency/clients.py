"""What processes of the platform do in the modelled world: write and put, miss and fill, read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from tests.consistency import fences
from tests.consistency.promises import is_behind, is_visible, last_change
from tests.consistency.rules import Bounds, Rules
from tests.consistency.world import (
    ABSENT,
    BOTH,
    NEITHER,
    TABLE,
    VALUE,
    Change,
    Entry,
    Filler,
    Lister,
    Meta,
    Reader,
    Redis,
    State,
    Viewer,
    Writer,
)

Step = tuple[str, State]
WriterSteps = Iterator[tuple[str, State, Writer]]
FillerSteps = Iterator[tuple[str, State, Filler]]
NAMES = {0: "a", 1: "b", BOTH: "all", NEITHER: "other", TABLE: "the table of a", TABLE + 1: "the table of b"}
_Actor = TypeVar("_Actor", Writer, Filler, Reader, Lister, Viewer)


def with_entry(redis: Redis, key: int, entry: Entry | None) -> Redis:
    """Return the server with another entry of the record."""
    return redis._replace(entries=(*redis.entries[:key], entry, *redis.entries[key + 1 :]))


def replaced(actors: tuple[_Actor, ...], index: int, actor: _Actor) -> tuple[_Actor, ...]:
    """Return the actors, sorted, so that states that differ only in who does what are one state."""
    return tuple(sorted((*actors[:index], actor, *actors[index + 1 :])))


def distinct(actors: tuple[_Actor, ...]) -> Iterator[tuple[int, _Actor]]:
    """Yield one of each set of equal actors: what one of them may do, any may."""
    for index, actor in enumerate(actors):
        if index == 0 or actor != actors[index - 1]:
            yield index, actor


def _locked(state: State) -> set[int]:
    return {writer.key for writer in state.writers if writer.phase in ("locked", "fenced", "durable")}


def _last(state: State, key: int) -> Change:
    """Return the record's last change; a change of everything left no row."""
    at = last_change(state, key, range(1, len(state.log) + 1))
    change = state.log[at - 1] if at else Change(BOTH, 0, ABSENT)
    return change if change.key == key else Change(key, 0, ABSENT)


def generation(state: State) -> int:
    return state.redis.meta.generation if state.redis.meta else 0


def writes(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what writers may do next."""
    for index, writer in distinct(state.writers):
        for label, after, then in _writer_steps(state, writer, rules, bounds):
            yield f"writer: {label}", after._replace(writers=replaced(after.writers, index, then))


def _writer_steps(state: State, writer: Writer, rules: Rules, bounds: Bounds) -> WriterSteps:
    if writer.phase == "idle":
        yield from _begin_write(state, bounds)
        if bounds.shared:
            yield from _join(state)
    elif writer.phase == "drawn":
        yield from _insert(state, writer)
    elif writer.phase == "locked" and bounds.strong and rules.fence and rules.fence_early:
        fenced = fences.fence(state, writer, rules)
        yield f"fences {NAMES[writer.key]}", fenced, writer._replace(phase="fenced")
    elif writer.phase in ("locked", "fenced"):
        change = Change(writer.key, writer.version, writer.rank, writer.scopes, writer.earlier)
        log = (*state.log, change)
        durable = writer._replace(phase="durable", at=len(log))
        yield f"commit of {NAMES[writer.key]} is in the log at {len(log)}", state._replace(log=log), durable
        if writer.phase == "fenced":
            yield "DIES before its commit", _with_joined(state, writer, Writer("done")), Writer("done")
    elif writer.phase == "durable":
        shown = state._replace(shown=state.shown | {writer.at})
        puts = (writer.key < BOTH and bounds.puts) or bounds.strong
        then = writer._replace(phase="shown") if puts else Writer("done")
        after = shown if bounds.strong else _with_joined(shown, writer, then)
        yield f"commit {writer.at} is shown by the primary", after, then
    elif writer.phase == "shown" and bounds.strong:
        then = writer._replace(phase="known") if writer.key < BOTH else Writer("done")
        for known in fences.know(state, writer, rules) if rules.fence else (state,):
            after = known._replace(acknowledged=state.acknowledged | {writer.at})
            after = _with_joined(after, writer, then)
            yield f"knows that {writer.at} is committed, acknowledges", after, then
    elif writer.phase in ("shown", "known"):
        yield from _put(state, writer, rules, bounds)


def _begin_write(state: State, bounds: Bounds) -> WriterSteps:
    locked, position, version = _locked(state), len(state.log), state.sequence
    start = Writer("locked", position=position, generation=generation(state))
    drawn = state._replace(sequence=version + 1)
    for key in range(bounds.keys):
        if bounds.floors and (bounds.strong or key not in locked) and TABLE + key not in locked:
            yield f"truncates {NAMES[TABLE + key]}", state, start._replace(key=TABLE + key, rank=ABSENT)
        if key in locked or (TABLE + key in locked and not bounds.strong):
            continue
        last = _last(state, key)
        left = last.scopes[-1:] if last.rank == VALUE else ()
        for scopes in _moves(left, bounds) if key == 0 else ((),):
            upsert = start._replace(key=key, version=version, rank=VALUE, scopes=scopes)
            yield f"locks {NAMES[key]}, writes version {version}, S={position}{_in(scopes)}", drawn, upsert
        if last.rank == VALUE and bounds.deletes:
            delete = start._replace(key=key, version=last.version, rank=ABSENT, scopes=left)
            yield f"locks {NAMES[key]}, deletes version {last.version}, S={position}", state, delete
        if last.rank == VALUE and bounds.inversions:
            waiting = Writer("drawn", key, version)
            yield f"inserts {NAMES[key]} with version {version}, waits for the row in its way", drawn, waiting
    if bounds.others:
        yield "writes another table", state, start._replace(key=NEITHER, rank=VALUE)


def _join(state: State) -> WriterSteps:
    """Yield a write of a record that a transaction has written: the last to come takes the steps for all."""
    version, position = state.sequence, len(state.log)
    for first in state.writers:
        if first.phase == "locked" and first.key < BOTH and first.rank == VALUE:
            writers = (w._replace(phase="joined") if w is first else w for w in state.writers)
            after = state._replace(sequence=version + 1, writers=tuple(writers))
            earlier = (*first.earlier, first.version)
            then = first._replace(version=version, position=position, earlier=earlier)
            label = f"joins the transaction of {NAMES[first.key]}, writes version {version}, S={position}"
            yield label, after, then._replace(generation=generation(state))


def _with_joined(state: State, last: Writer, then: Writer) -> State:
    """Return the world in which those whom `last` took the steps for are as far as it is now."""

    def moved(writer: Writer) -> Writer:
        if writer.phase != "joined" or writer.key != last.key or writer.version not in last.earlier:
            return writer
        if then.phase == "done":
            return then
        return writer._replace(phase=then.phase, at=last.at, is_late=last.is_late, is_superseded=True)

    return state._replace(writers=tuple(moved(writer) for writer in state.writers))


def _moves(left: tuple[int, ...], bounds: Bounds) -> Iterator[tuple[int, ...]]:
    """Yield the lists that a write may touch: the one the row is in, and the one it is going to be in."""
    if not bounds.scopes:
        yield ()
    for scope in range(bounds.scopes):
        yield (scope,) if scope in left else (*left, scope)


def _in(scopes: tuple[int, ...]) -> str:
    return f", list {scopes[-1]}" if scopes else ""


def _insert(state: State, writer: Writer) -> WriterSteps:
    if writer.key not in _locked(state) and _last(state, writer.key).rank == ABSENT:
        position = len(state.log)
        locked = writer._replace(phase="locked", rank=VALUE, position=position, generation=generation(state))
        yield f"the row is gone: inserts version {writer.version}, S={position}", state, locked


def _put(state: State, writer: Writer, rules: Rules, bounds: Bounds) -> WriterSteps:
    if bounds.crashes:
        yield "CRASHES before its put", state, Writer("done")
    content = writer.at - 1 if writer.is_superseded else writer.at  # one that misses what came behind it
    offer = Entry(writer.version, writer.rank, content, True, writer.position)
    if bounds.strong and rules.fence and fences.refuses_put(state.redis, writer, rules):
        yield "does not put: fenced", state, Writer("done")
        return
    answer, redis = put(state.redis, writer.key, offer, writer.generation, rules)
    yield (
        f"puts {NAMES[writer.key]} version {writer.version}: {answer}",
        state._replace(redis=redis),
        Writer("done"),
    )


def put(redis: Redis, key: int, offer: Entry, generation: int, rules: Rules) -> tuple[str, Redis]:
    """Return the script's answer, and what it leaves."""
    meta = redis.meta
    if meta is None:
        return "nometa", redis
    if rules.put_generation and generation != meta.generation:
        return "reborn", redis
    old = redis.entries[key]
    if not is_visible(old, meta, key, rules):
        old = None
    newer = old is None or (offer.version, offer.rank) > (old.version, old.rank)
    known = old is not None and old.version > 0
    if (
        rules.put_admission
        and _m(meta, key, rules) > offer.asof
        and not (rules.put_overtakes and known and newer)
    ):
        own = meta.movers[key] == (offer.version, offer.rank)
        if rules.floor_foreign:
            own = own and meta.of(key) == meta.moved[key]
        if rules.put_confirmed and own and old is None:
            confirmed = offer._replace(direct=not rules.put_confirmed_source, asof=meta.of(key))
            return "confirmed", with_entry(redis, key, confirmed)
        return "behind", with_entry(redis, key, None) if newer else redis
    if known and not newer:
        return "older", redis
    return "ok", with_entry(redis, key, offer)


def _m(meta: Meta, key: int, rules: Rules) -> int:
    """Return M as admission sees it."""
    return meta.of(key) if rules.floor_admission else meta._replace(floors=(0, 0)).of(key)


def fills(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers that missed may do next."""
    for index, filler in distinct(state.fillers):
        for label, after, then in _filler_steps(state, filler, rules, bounds):
            yield f"filler: {label}", after._replace(fillers=replaced(after.fillers, index, then))


def _filler_steps(state: State, filler: Filler, rules: Rules, bounds: Bounds) -> FillerSteps:
    if filler.phase == "idle":
        yield from _begin_fill(state, rules, bounds)
    elif filler.phase == "begun":
        yield _read(state, filler, rules)
    elif filler.phase == "read":
        offer = Entry(filler.version, filler.rank, filler.at, True, filler.position)
        answer, redis = fill(state.redis, filler.key, offer, filler.generation, rules)
        label = f"fills {NAMES[filler.key]}, S={filler.position}: {answer}"
        yield label, state._replace(redis=redis), Filler("done")


def _begin_fill(state: State, rules: Rules, bounds: Bounds) -> FillerSteps:
    meta = state.redis.meta
    for key in range(bounds.keys):
        if meta is None or (not bounds.refreshes and is_visible(state.redis.entries[key], meta, key, rules)):
            continue
        position = max(meta.of(key) if rules.floor_claims else meta.bucket(key), meta.watermark)
        leased = any(f.key == key and f.phase in ("begun", "read") for f in state.fillers)
        if bounds.strong and rules.fence_lease and leased:
            continue
        if bounds.primary_fills:
            fence = state.redis.fences[key] if bounds.strong else None
            is_early = fence is not None and not fence.is_known
            begun = Filler("begun", key, True, position, meta.generation, is_early=is_early)
            yield f"misses {NAMES[key]}, begins on the primary, S={position}", state, begun
        if bounds.replica_fills and not (bounds.strong and rules.strong_on_primary):
            begun = Filler("begun", key, False, state.replayed, meta.generation)
            yield f"misses {NAMES[key]}, begins on the replica, S={state.replayed}", state, begun


def _read(state: State, filler: Filler, rules: Rules) -> tuple[str, State, Filler]:
    replayed = range(1, state.replayed + 1)
    at = last_change(state, filler.key, state.shown if filler.on_primary else replayed)
    change = state.log[at - 1] if at else Change(BOTH, 0, ABSENT)
    version, is_value = change.version, change.key == filler.key and change.rank == VALUE
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
    if rules.fill_admission and _m(meta, key, rules) > offer.asof:
        return "behind", redis
    if redis.fences and fences.refuses_fill(redis, key, (offer.version, offer.rank), rules):
        return "fenced", redis
    if old is None or not is_visible(old, meta, key, rules):
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
    for index, reader in distinct(state.readers):
        if meta is None:
            continue
        if reader.phase == "idle":
            for key in range(bounds.keys):
                took = Reader("took", key, meta.watermark, meta.generation, state.redis.entries[key])
                after = state._replace(readers=replaced(state.readers, index, took))
                yield f"reader: takes W={meta.watermark}, or the entry", after
        elif reader.phase == "took":
            first = rules.watermark_read_first
            entry = state.redis.entries[reader.key] if first else reader.entry
            watermark = reader.watermark if first else meta.watermark
            same = entry is not None and reader.generation == meta.generation
            wrong = (
                same
                and entry is not None
                and is_visible(entry, meta, reader.key, rules)
                and is_behind(state, entry.content, reader.key, watermark)
            )
            then = Reader("wrong" if wrong else "done")
            yield "reader: takes the other", state._replace(readers=replaced(state.readers, index, then))
