"""The near cache in the modelled world: a process that keeps copies, and follows the stream that ADVANCE appends to."""

from __future__ import annotations

from collections.abc import Iterator

from tests.consistency.promises import is_visible, touches
from tests.consistency.rules import Bounds, Rules
from tests.consistency.world import LOST, Change, Copy, Fetch, Message, Near, Redis, State


def streamed(redis: Redis, key: int, bounds: Bounds) -> Redis:
    """Return the server with a message about the change that has just been applied; the oldest may have to go."""
    meta = redis.meta
    if not bounds.near or meta is None:
        return redis
    stream = (*redis.stream, Message(meta.generation, meta.watermark, key))
    if len(stream) > bounds.near:
        stream = (stream[1]._replace(is_first=True), *stream[2:])
    return redis._replace(stream=stream)


def cut_off(near: Near, redis: Redis) -> Near:
    """Return the process whose Redis is gone: what the connection still holds may yet be heard, or not."""
    return near._replace(old=redis.stream) if near.follows and near.old is None else near


def near_forgotten(near: Near, end: int) -> Near:
    """Return the process after a promotion: what its copies show of the lost changes is lost."""

    def forgotten(copy: Copy | None) -> Copy | None:
        return copy._replace(content=LOST) if copy is not None and copy.content > end else copy

    fetch = near.fetch and near.fetch._replace(copy=forgotten(near.fetch.copy))
    return near._replace(copies=tuple(forgotten(copy) for copy in near.copies), fetch=fetch)


def keeps(state: State, rules: Rules) -> Iterator[tuple[str, State]]:
    """Yield what the process may do next."""
    near, redis = state.near, state.redis
    if near is None:
        return
    if near.old is not None:
        yield "near: loses its connection", state._replace(near=_lost(near, rules))
        if near.old:
            then = _heard(near._replace(old=near.old[1:]), near.old[0], rules)
            yield "near: hears what the old Redis still said", state._replace(near=then)
    elif not near.follows:
        began, at_end = near._replace(follows=True), redis._replace(stream=())
        yield "near: follows the stream from its end", state._replace(near=began, redis=at_end)
    elif redis.stream:
        message, rest = redis.stream[0], redis._replace(stream=redis.stream[1:])
        label = f"near: hears of a change of {message.key}, W={message.watermark}"
        yield label, state._replace(near=_heard(near, message, rules), redis=rest)
    for label, then in _fetch(near, redis, rules):
        yield f"near: {label}", state._replace(near=then)


def _emptied(near: Near) -> Near:
    fetch = near.fetch and near.fetch._replace(is_spoiled=True)
    return near._replace(has_view=False, copies=(None,) * len(near.copies), fetch=fetch)


def _lost(near: Near, rules: Rules) -> Near:
    """Return the process without its connection, and so without its copies."""
    near = near._replace(old=None, follows=False)
    return _emptied(near)._replace(generation=0, watermark=0) if rules.near_lost else near


def _heard(near: Near, message: Message, rules: Rules) -> Near:
    """Return the process after a message."""
    missed = message.is_first or message.generation != near.generation
    if not near.has_view or (missed and rules.near_gap):
        near = _emptied(near) if rules.near_view or near.has_view else near
        near = near._replace(has_view=True, watermark=message.watermark)
    change = Change(message.key, 0, 0)
    copies, fetch = near.copies, near.fetch
    if rules.near_names:
        copies = tuple(None if touches(change, key) else copy for key, copy in enumerate(copies))
    if rules.near_placeholder and fetch is not None and touches(change, fetch.key):
        fetch = fetch._replace(is_spoiled=True)
    heard = near._replace(generation=message.generation, copies=copies, fetch=fetch)
    return heard._replace(watermark=max(near.watermark, message.watermark))


def _fetch(near: Near, redis: Redis, rules: Rules) -> Iterator[tuple[str, Near]]:
    fetch, meta = near.fetch, redis.meta
    if fetch is None:
        for key, copy in enumerate(near.copies):
            if copy is None and (near.has_view or not rules.near_view):
                yield f"fetches {key}", near._replace(fetch=Fetch("begun", key, near.watermark))
    elif fetch.phase == "begun" and meta is not None:
        entry = redis.entries[fetch.key]
        if entry is None or not is_visible(entry, meta, fetch.key, rules):
            yield "finds nothing", near._replace(fetch=None)
            return
        is_behind = rules.near_behind and meta.watermark < fetch.watermark
        took = Fetch("took", fetch.key, 0, fetch.is_spoiled or is_behind, Copy(entry.content, meta.watermark))
        yield f"is given {fetch.key}, W={meta.watermark}", near._replace(fetch=took)
    elif fetch.phase == "took":
        kept = fetch.copy if not fetch.is_spoiled else None
        copies = (*near.copies[: fetch.key], kept, *near.copies[fetch.key + 1 :])
        yield "keeps it" if kept else "does not keep it", near._replace(fetch=None, copies=copies)
