"""Cached lists in the modelled world: who reads one from the database, and who is shown one."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.clients import Step, distinct, replaced
from tests.consistency.promises import list_is_behind, touches_list
from tests.consistency.rules import Bounds, Rules
from tests.consistency.world import ListEntry, Lister, Meta, Redis, State, Viewer


def listings(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers that missed a list may do next."""
    for index, lister in distinct(state.listers):
        for label, after, then in _lister_steps(state, lister, rules, bounds):
            yield f"lister: {label}", after._replace(listers=replaced(after.listers, index, then))


def _lister_steps(
    state: State, lister: Lister, rules: Rules, bounds: Bounds
) -> Iterator[tuple[str, State, Lister]]:
    meta, scope = state.redis.meta, lister.scope
    if lister.phase == "idle" and meta is not None:
        for scope in range(bounds.scopes):
            position = max(meta.stamp(scope, rules), meta.watermark)
            begun = Lister("begun", scope, True, position, meta.generation)
            yield f"begins list {scope} on the primary, S={position}", state, begun
            begun = Lister("begun", scope, False, state.replayed, meta.generation)
            yield f"begins list {scope} on the replica, S={state.replayed}", state, begun
    elif lister.phase == "begun":
        within = state.shown if lister.on_primary else range(1, state.replayed + 1)
        at = max((at for at in within if touches_list(state.log[at - 1], scope)), default=0)
        if not rules.list_position_first:
            lister = lister._replace(position=len(state.log) if lister.on_primary else state.replayed)
        yield f"queries list {scope} (change {at})", state, lister._replace(phase="read", at=at)
    elif lister.phase == "read":
        redis = _stored(state.redis, lister, rules)
        yield f"stores list {scope}, S={lister.position}", state._replace(redis=redis), Lister("done")


def _stored(redis: Redis, lister: Lister, rules: Rules) -> Redis:
    """Return the server with the list, which is as good as none if it is of another generation."""
    same = redis.meta is not None and redis.meta.generation == lister.generation
    entry = ListEntry(lister.at, lister.position) if same or not rules.list_generation else None
    return redis._replace(lists=(*redis.lists[: lister.scope], entry, *redis.lists[lister.scope + 1 :]))


def views(state: State, rules: Rules, bounds: Bounds) -> Iterator[Step]:
    """Yield what readers of a list and of W, stamp and generation may do next: either may come first."""
    meta = state.redis.meta
    for index, viewer in distinct(state.viewers):
        if meta is None:
            continue
        if viewer.phase == "idle":
            for scope in range(bounds.scopes):
                for list_first in range(1 + bounds.stamp_last):
                    took = Viewer("took", scope, bool(list_first), meta.generation, meta.watermark)
                    took = took._replace(stamp=meta.newest(scope, rules), entry=state.redis.lists[scope])
                    after = state._replace(viewers=replaced(state.viewers, index, _seen(took)))
                    yield f"viewer: takes {'the list' if list_first else 'W and stamp'} of {scope}", after
        elif viewer.phase == "took":
            then = Viewer("wrong" if _is_wrong(state, viewer, meta, rules) else "done")
            yield "viewer: takes the other", state._replace(viewers=replaced(state.viewers, index, then))


def _seen(viewer: Viewer) -> Viewer:
    return viewer._replace(stamp=0, watermark=0) if viewer.list_first else viewer._replace(entry=None)


def _is_wrong(state: State, viewer: Viewer, meta: Meta, rules: Rules) -> bool:
    """Tell whether the viewer is shown a list that misses what it must not miss."""
    entry = viewer.entry if viewer.list_first else state.redis.lists[viewer.scope]
    watermark, stamp = viewer.watermark, viewer.stamp
    if viewer.list_first:
        watermark, stamp = meta.watermark, meta.newest(viewer.scope, rules)
    elif not rules.stamp_with_watermark:
        watermark = meta.watermark
    if entry is None or viewer.generation != meta.generation or (rules.stamp and stamp > entry.position):
        return False
    return list_is_behind(state, entry, viewer.scope, watermark)
