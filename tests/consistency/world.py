"""The state of the modelled world, and what must be true of it.

Two records whose buckets differ, in one partition. The log holds committed changes in commit order; positions 1, 2, ...
play the role of LSNs. An entry carries a ghost that no actor reads: `content`, the position of the last change of its
record that it really shows. The protocol is right when what it believes never exceeds the ghost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

VALUE, ABSENT = 1, 2
BOTH, NEITHER = 2, 3  # "records" of a change: TRUNCATE touches both, a row of an uncached table neither
LOST = -1  # content that no surviving log explains


@dataclass(frozen=True)
class Rules:
    """The protocol's rules. A case takes one out to show what it is for."""

    fill_admission: bool = True  # a fill enters only if M <= S
    put_admission: bool = True  # a put enters only if M <= S
    put_confirmed: bool = True  # a put whose own change moved M last enters, as the relay's own
    put_confirmed_source: bool = True  # and counts as confirmed, not as a writer's
    put_overtakes: bool = False  # (weaker design) a put that beats a known version enters although M > S
    gate: bool = True  # the relay applies a change only when the primary shows it
    rewind: bool = True  # the relay reads again when Redis lost what it had applied
    generation: bool = True  # a partition whose positions were lost starts a new generation
    fill_generation: bool = True  # a fill enters only the generation it began in
    put_generation: bool = True  # a put enters only the generation its transaction began in
    position_first: bool = True  # S is taken before the snapshot
    absent_moves: bool = True  # M moves for keys that have no entry
    watermark_last: bool = True  # W moves in the script that applies the changes, not before
    watermark_moves: bool = True  # applying moves W; otherwise only a tick does
    slot_start: bool = True  # W below the slot's start starts a new generation
    newest_base: bool = True  # a new generation begins at the newest position of the batch, not of the call
    whole_batch: bool = True  # a call that continues a batch makes sure that the calls before it are there
    source: bool = True  # only entries the relay has not confirmed survive an older change
    watermark_read_first: bool = True  # a reader takes W before the entry
    database: bool = True  # a database with another history starts a new generation


@dataclass(frozen=True)
class Bounds:
    """What may happen: how often, or, where that costs no states, as often as it likes."""

    keys: int = 1
    writers: int = 2
    fillers: int = 2
    readers: int = 0
    evictions: bool = True
    meta_losses: int = 0
    failovers: int = 0
    losses: int = 0  # Redis loses everything
    restarts: bool = False  # of the relay
    crashes: bool = True  # of writers between commit and put
    acknowledgements: bool = False  # the slot may move on
    promotions: int = 0  # the replica becomes the primary, what it had not replayed is lost
    primary_fills: bool = True
    replica_fills: bool = True
    deletes: bool = True
    truncates: bool = False
    others: bool = False  # writes to uncached tables: they move W alone
    inversions: bool = False  # an insert may draw its version before the row that stands in its way is gone
    batches: bool = False  # the relay may apply two changes in two calls with one watermark
    existing: int = 0  # records 0 .. existing-1 are there at the start


class Entry(NamedTuple):
    """An entry of the present generation. Version 0 is unknown."""

    version: int
    rank: int
    content: int
    direct: bool
    asof: int


class Meta(NamedTuple):
    """The partition's hash: one moved position per record, None until its first change."""

    watermark: int
    generation: int
    base: int
    moved: tuple[int | None, ...]
    history: int = 0  # the database that the positions belong to
    step: int = 0  # the last change applied of a batch that is not complete
    movers: tuple[tuple[int, int] | None, ...] = (
        None,
        None,
    )  # version and rank of the change that moved M last

    def of(self, key: int) -> int:
        """Return M of the record's bucket."""
        moved = self.moved[key]
        return self.base if moved is None else moved


class Redis(NamedTuple):
    """All that one Redis server holds."""

    entries: tuple[Entry | None, ...]
    meta: Meta | None


NOTHING = Redis((), None)


class Relay(NamedTuple):
    """Applied so far, where the slot starts, the batch under way as (next, end), and the history it reads."""

    applied: int
    start: int
    batch: tuple[int, int] | None
    history: int


class Writer(NamedTuple):
    """A write: idle, drawn (has a version, waits for the row), locked, durable (in the log), shown, done."""

    phase: str = "idle"
    key: int = 0
    version: int = 0
    rank: int = 0
    position: int = 0  # the log's end while the row was locked: S of the put
    generation: int = 0  # when the row was locked
    at: int = 0  # of the commit; LOST when no surviving log has it


class Filler(NamedTuple):
    """A read that missed: idle, begun (has S), read (has content), done."""

    phase: str = "idle"
    key: int = 0
    on_primary: bool = False
    position: int = 0
    generation: int = 0
    version: int = 0
    rank: int = 0
    at: int = 0  # last change of the record that the content shows


DONE = Filler("done")


class Reader(NamedTuple):
    """A read of W and an entry in two commands: idle, took (the first of them), done, wrong."""

    phase: str = "idle"
    key: int = 0
    watermark: int = 0
    generation: int = 0
    entry: Entry | None = None


class Budget(NamedTuple):
    """Faults that may still happen."""

    meta_losses: int
    failovers: int
    losses: int
    promotions: int


class State(NamedTuple):
    """One state of the world. `shown` are the positions that the primary shows, `actors` what is under way."""

    log: tuple[tuple[int, int, int], ...]  # record, version, rank
    shown: frozenset[int]
    sequence: int
    replayed: int
    writers: tuple[Writer, ...]
    fillers: tuple[Filler, ...]
    readers: tuple[Reader, ...]
    redis: Redis
    copy: Redis  # the replica of Redis: some earlier state of it
    relay: Relay
    generations: int
    history: int
    told: int  # the W that the relay last wrote
    left: Budget


def start(bounds: Bounds) -> State:
    """Return the world before anything happens: `existing` records are there, applied, and not cached."""
    log = tuple((key, key + 1, VALUE) for key in range(bounds.existing))
    end = len(log)
    moved = tuple(key + 1 if key < bounds.existing else None for key in range(bounds.keys))
    redis = Redis((None,) * bounds.keys, Meta(end, 1, 0, moved))
    return State(
        log=log,
        shown=frozenset(range(1, end + 1)),
        sequence=end + 1,
        replayed=end,
        writers=(Writer(),) * bounds.writers,
        fillers=(Filler(),) * bounds.fillers,
        readers=(Reader(),) * bounds.readers,
        redis=redis,
        copy=redis,
        relay=Relay(end, end if bounds.acknowledgements else 0, None, 0),
        generations=1,
        history=0,
        told=end,
        left=Budget(*(getattr(bounds, name) for name in Budget._fields)),
    )


def canonical(state: State, rules: Rules, bounds: Bounds) -> State:
    """Return the state without what nobody can look at any more: states that differ in nothing else are one."""
    left = state.left
    fillers = tuple(sorted(_still_of_use(filler, state, rules) for filler in state.fillers))
    looks = any(f.phase == "idle" or (f.phase == "begun" and not f.on_primary) for f in fillers)
    return state._replace(
        fillers=fillers,
        copy=state.copy if left.failovers else NOTHING,
        told=0 if rules.watermark_moves else state.told,
        replayed=state.replayed if left.promotions or (looks and bounds.replica_fills) else len(state.log),
        sequence=state.sequence if any(w.phase == "idle" for w in state.writers) else 0,
    )


def _still_of_use(filler: Filler, state: State, rules: Rules) -> Filler:
    """Return the filler, or one that is done when the cache is going to refuse whatever it brings."""
    if filler.phase not in ("begun", "read") or state.left.failovers:
        return filler
    meta = state.redis.meta
    if rules.fill_generation and rules.generation and (meta is None or meta.generation != filler.generation):
        return DONE
    behind = rules.fill_admission and rules.position_first and meta is not None
    return DONE if behind and meta.of(filler.key) > filler.position else filler


def touches(change: tuple[int, int, int], key: int) -> bool:
    """Tell whether the change is one of this record."""
    return change[0] in (key, BOTH)


def last_change(state: State, key: int, within: frozenset[int] | range) -> int:
    """Return the position of the record's last change among `within`, 0 for none."""
    return max((at for at in within if touches(state.log[at - 1], key)), default=0)


def is_behind(state: State, entry: Entry, key: int, position: int) -> bool:
    """Tell whether the content misses a change of the record at or before `position`."""
    if entry.content == LOST:
        return True
    end = min(position, len(state.log))
    return any(touches(state.log[at - 1], key) for at in range(entry.content + 1, end + 1))


def complaint(state: State, is_quiet: bool) -> str | None:
    """Return what is wrong with this state, if anything is. Between two histories anything goes."""
    if any(reader.phase == "wrong" for reader in state.readers):
        return "reader: the entry misses a change at or before the W it came with"
    meta = state.redis.meta
    if meta is None or not state.history == state.relay.history == meta.history:
        return None
    for key, entry in enumerate(state.redis.entries):
        if entry is None:
            continue
        if is_behind(state, entry, key, meta.watermark):
            return "watermark: the entry misses a change at or before W"
        if is_behind(state, entry, key, entry.asof):
            return "asof: the entry misses a change at or before its own asof"
        if is_quiet and is_behind(state, entry, key, len(state.log)):
            return "forever: nothing is left to happen, and the entry is stale"
    return None
