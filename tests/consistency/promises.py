"""What must be true of every state, and what of a state nobody can look at any more."""

from __future__ import annotations

from collections.abc import Iterable

from tests.consistency.rules import Bounds, Rules
from tests.consistency.world import (
    BOTH,
    DONE,
    LOST,
    NOTHING,
    TABLE,
    Change,
    Entry,
    Filler,
    ListEntry,
    Lister,
    Meta,
    Near,
    State,
)


def canonical(state: State, rules: Rules, bounds: Bounds) -> State:
    """Return the state without what nobody can look at any more: states that differ in nothing else are one."""
    left, fillers = state.left, state.fillers
    changes: dict[str, object] = {}
    if not left.failovers:
        if state.copy is not NOTHING:
            changes["copy"] = NOTHING
        if any(filler.phase in ("begun", "read") for filler in fillers):
            fillers = tuple(sorted(_still_of_use(filler, state, rules) for filler in fillers))
            changes["fillers"] = fillers
    if rules.watermark_moves and state.told:
        changes["told"] = 0
    if (
        state.replayed < len(state.log)
        and not left.promotions
        and not _replica_is_read((*fillers, *state.listers), bounds)
    ):
        changes["replayed"] = len(state.log)
    if state.sequence and not any(writer.phase == "idle" for writer in state.writers):
        changes["sequence"] = 0
    return state._replace(**changes) if changes else state


def _replica_is_read(readers: Iterable[Filler | Lister], bounds: Bounds) -> bool:
    """Tell whether somebody may yet look at the replica."""
    if not bounds.replica_fills:
        return False
    return any(r.phase == "idle" or (r.phase == "begun" and not r.on_primary) for r in readers)


def _still_of_use(filler: Filler, state: State, rules: Rules) -> Filler:
    """Return the filler, or one that is done when the cache is going to refuse whatever it brings."""
    if filler.phase not in ("begun", "read"):
        return filler
    meta = state.redis.meta
    if rules.fill_generation and rules.generation and (meta is None or meta.generation != filler.generation):
        return DONE
    refuses = rules.fill_admission and rules.position_first and rules.floor_admission and rules.floor_forward
    return DONE if refuses and meta is not None and meta.of(filler.key) > filler.position else filler


def touches(change: Change, key: int) -> bool:
    """Tell whether the change is one of this record."""
    return change.key in (key, BOTH, TABLE + key)


def last_change(state: State, key: int, within: frozenset[int] | range) -> int:
    """Return the position of the record's last change among `within`, 0 for none."""
    return max((at for at in within if touches(state.log[at - 1], key)), default=0)


def is_behind(state: State, content: int, key: int, position: int) -> bool:
    """Tell whether content misses a change of the record at or before `position`."""
    end = min(position, len(state.log))
    return content == LOST or any(touches(change, key) for change in state.log[content:end])


def touches_list(change: Change, scope: int) -> bool:
    """Tell whether the change is one of this list."""
    return scope in change.scopes or change.key in (BOTH, TABLE)


def list_is_behind(state: State, entry: ListEntry, scope: int, position: int) -> bool:
    """Tell whether the list misses a change of its scope at or before `position`."""
    end = min(position, len(state.log))
    return entry.content == LOST or any(touches_list(c, scope) for c in state.log[entry.content : end])


def is_visible(entry: Entry | None, meta: Meta, key: int, rules: Rules) -> bool:
    """Tell whether there is an entry for those who ask."""
    return entry is not None and not (rules.floor_hides and entry.asof < meta.floors[key])


def complaint(state: State, rules: Rules, bounds: Bounds, *, is_quiet: bool) -> str | None:
    """Return what is wrong with this state, if anything is. Between two histories anything goes."""
    if any(reader.phase == "wrong" for reader in state.readers):
        return "reader: the entry misses a change at or before the W it came with"
    if any(viewer.phase == "wrong" for viewer in state.viewers):
        return "viewer: the list misses a change at or before the W it came with"
    meta = state.redis.meta
    near_follows = (
        meta and state.near and meta.generation == state.near.generation and meta.history == state.history
    )
    if state.near is not None and (state.history == 0 or near_follows):
        wrong = _near_complaint(state, state.near, is_quiet=is_quiet)
        if wrong is not None:
            return wrong
    if meta is None or not state.history == state.relay.history == meta.history:
        return None
    return _entry_complaint(state, meta, rules, bounds, is_quiet=is_quiet) or _list_complaint(
        state, meta, rules, is_quiet=is_quiet
    )


def _entry_complaint(state: State, meta: Meta, rules: Rules, bounds: Bounds, *, is_quiet: bool) -> str | None:
    for key, entry in enumerate(state.redis.entries):
        if entry is None or not is_visible(entry, meta, key, rules):
            continue
        if is_behind(state, entry.content, key, meta.watermark):
            return "watermark: the entry misses a change at or before W"
        if is_behind(state, entry.content, key, entry.asof):
            return "asof: the entry misses a change at or before its own asof"
        if is_quiet and is_behind(state, entry.content, key, len(state.log)):
            return "forever: nothing is left to happen, and the entry is stale"
        if bounds.strong:
            promised = state.shown if bounds.linear else state.acknowledged
            if is_behind(state, entry.content, key, last_change(state, key, promised)):
                return "strong: the entry misses a change that was shown or acknowledged"
    return None


def _list_complaint(state: State, meta: Meta, rules: Rules, *, is_quiet: bool) -> str | None:
    for scope, entry in enumerate(state.redis.lists):
        if entry is None:
            continue
        if list_is_behind(state, entry, scope, entry.position):
            return "list: it misses a change at or before its own S"
        if rules.stamp and meta.newest(scope, rules) > entry.position:
            continue
        if list_is_behind(state, entry, scope, meta.watermark):
            return "list: it is valid, and misses a change at or before W"
        if is_quiet and list_is_behind(state, entry, scope, len(state.log)):
            return "list: nothing is left to happen, and it is valid and stale"
    return None


def _near_complaint(state: State, near: Near, *, is_quiet: bool) -> str | None:
    for key, copy in enumerate(near.copies):
        if copy is None:
            continue
        if is_behind(state, copy.content, key, max(copy.watermark, near.watermark)):
            return "near: the copy misses a change at or before the W it is shown with"
        if is_quiet and is_behind(state, copy.content, key, len(state.log)):
            return "near: nothing is left to happen, and the copy is stale"
    return None
