"""The state of the modelled world, and what must be true of it.

Two records whose buckets differ, each in a table of its own, in one partition; and lists of the first table, one for
each scope. The log holds committed changes in commit order; positions 1, 2, ... play the role of LSNs. What is cached
carries a ghost that no actor reads: `content`, the position of the last change that it really shows. The protocol is
right when what it believes never exceeds the ghost.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.consistency.rules import Bounds, Rules

VALUE, ABSENT = 1, 2
BOTH, NEITHER = 2, 3  # "records" of a change: everything, and a row of an uncached table
TABLE = 4  # TABLE + n: every record of the table of record n
LOST = -1  # content that no surviving log explains


class Entry(NamedTuple):
    """An entry of the present generation. Version 0 is unknown."""

    version: int
    rank: int
    content: int
    direct: bool
    asof: int


class ListEntry(NamedTuple):
    """A cached list of the present generation: what it reflects, and what it says it does."""

    content: int
    position: int


class Message(NamedTuple):
    """What ADVANCE appends to the stream: the key that changed, and W. `is_first` when those before it are gone."""

    generation: int
    watermark: int
    key: int
    is_first: bool = False


class Fence(NamedTuple):
    """Who wrote last: version, rank, and the position while the row was locked; whether its commit is known."""

    version: int
    rank: int
    position: int
    is_known: bool = False


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

    floors: tuple[int, ...] = (0, 0)
    stamps: tuple[int | None, ...] = ()

    def of(self, key: int) -> int:
        """Return M of the record's bucket, which is at least its table's floor."""
        return max(self.bucket(key), self.floors[key])

    def bucket(self, key: int) -> int:
        """Return the newest change of the bucket."""
        moved = self.moved[key]
        return self.base if moved is None else moved

    def stamp(self, scope: int, rules: Rules) -> int:
        """Return the newest change of the list, but for those that moved the floor."""
        stamp, base = self.stamps[scope], self.base if rules.stamp_base else 0
        return base if stamp is None else stamp

    def newest(self, scope: int, rules: Rules) -> int:
        """Return what a list is judged by."""
        return max(self.stamp(scope, rules), self.floors[0] if rules.stamp_floor else 0)


class Redis(NamedTuple):
    """All that one Redis server holds."""

    entries: tuple[Entry | None, ...]
    meta: Meta | None
    lists: tuple[ListEntry | None, ...] = ()
    stream: tuple[Message, ...] = ()
    fences: tuple[Fence | None, ...] = ()


NOTHING = Redis((), None)


class Relay(NamedTuple):
    """Applied so far, where the slot starts, the batch under way as (next, end), and the history it reads."""

    applied: int
    start: int
    batch: tuple[int, int] | None
    history: int


class Writer(NamedTuple):
    """A write: idle, drawn (has a version, waits for the row), locked, durable (in the log), shown, done.

    Or joined: another write of the record has come behind it in the same transaction, and takes the steps for both.
    """

    phase: str = "idle"
    key: int = 0
    version: int = 0
    rank: int = 0
    position: int = 0  # the log's end while the row was locked: S of the put
    generation: int = 0  # when the row was locked
    at: int = 0  # of the commit; LOST when no surviving log has it
    scopes: tuple[int, ...] = ()  # the lists that lose or gain the row
    is_late: bool = False  # the time of its fence has passed
    earlier: tuple[int, ...] = ()  # the versions that the same transaction gave the record before
    is_superseded: bool = False  # it was joined: its content never was the row for anybody else


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
    is_early: bool = False  # it began under the fence of a commit that was not known


DONE = Filler("done")


class Reader(NamedTuple):
    """A read of W and an entry in two commands: idle, took (the first of them), done, wrong."""

    phase: str = "idle"
    key: int = 0
    watermark: int = 0
    generation: int = 0
    entry: Entry | None = None


class Lister(NamedTuple):
    """A read that missed a list: idle, begun (has S), read (has content), done."""

    phase: str = "idle"
    scope: int = 0
    on_primary: bool = False
    position: int = 0
    generation: int = 0
    at: int = 0


class Viewer(NamedTuple):
    """A read of a list in two commands: idle, took (the first of them), done, wrong."""

    phase: str = "idle"
    scope: int = 0
    list_first: bool = False
    generation: int = 0
    watermark: int = 0
    stamp: int = 0
    entry: ListEntry | None = None


class Copy(NamedTuple):
    """What a process keeps of an entry, and the W it came with."""

    content: int
    watermark: int


class Fetch(NamedTuple):
    """A read of Redis for the near cache: begun, took (has the entry). Spoiled: must not be kept."""

    phase: str
    key: int
    watermark: int = 0  # of the stream, at the begin
    is_spoiled: bool = False
    copy: Copy | None = None


class Near(NamedTuple):
    """A process with a near cache, which follows the stream on one connection and fetches on another."""

    follows: bool = False
    has_view: bool = False  # has had a message, and none was missed since
    generation: int = 0
    watermark: int = 0
    copies: tuple[Copy | None, ...] = ()
    fetch: Fetch | None = None
    old: tuple[Message, ...] | None = None  # what the connection to a Redis that is gone still holds


class Change(NamedTuple):
    """A committed change. `scopes` are the lists that lost or gained the row, the last has it now.

    `earlier` are versions that the same commit gave the record before.
    """

    key: int
    version: int
    rank: int
    scopes: tuple[int, ...] = ()
    earlier: tuple[int, ...] = ()


class Budget(NamedTuple):
    """Faults that may still happen."""

    meta_losses: int
    failovers: int
    losses: int
    promotions: int


class State(NamedTuple):
    """One state of the world. `shown` are the positions that the primary shows, `actors` what is under way."""

    log: tuple[Change, ...]
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
    listers: tuple[Lister, ...] = ()
    viewers: tuple[Viewer, ...] = ()
    near: Near | None = None
    acknowledged: frozenset[int] = frozenset()


def start(bounds: Bounds) -> State:
    """Return the world before anything happens: `existing` records are there, applied, and not cached."""
    scopes = (0,) if bounds.scopes else ()
    log = tuple(Change(key, key + 1, VALUE, scopes) for key in range(bounds.existing))
    end = len(log)
    moved = tuple(key + 1 if key < bounds.existing else None for key in range(bounds.keys))
    meta = Meta(end, 1, 0, moved, stamps=(end or None,) * bounds.scopes)
    fences = (None,) * bounds.keys if bounds.strong else ()
    redis = Redis((None,) * bounds.keys, meta, (None,) * bounds.scopes, fences=fences)
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
        listers=(Lister(),) * bounds.listers,
        viewers=(Viewer(),) * bounds.viewers,
        near=Near(copies=(None,) * bounds.keys) if bounds.near else None,
    )
