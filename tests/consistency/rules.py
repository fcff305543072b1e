"""The rules that a case may take out, and the bounds of its world."""

from __future__ import annotations

from dataclasses import dataclass


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
    last_counts: bool = True  # of several changes of a record in one commit the relay applies the last
    source: bool = True  # only entries the relay has not confirmed survive an older change
    watermark_read_first: bool = True  # a reader takes W before the entry
    database: bool = True  # a database with another history starts a new generation
    # Table floors (R7)
    floor_hides: bool = True  # an entry whose asof is below the floor is none
    floor_admission: bool = True  # M is at least the floor
    floor_foreign: bool = True  # a put whose own change moved M last is refused when the floor has passed it
    floor_drops: bool = True  # for the relay, too
    floor_forward: bool = True  # a floor never goes back
    floor_claims: bool = False  # (weaker design) a read of the primary claims to reflect the floor
    # Lists (R6)
    stamp: bool = True  # a list is shown only if its stamp <= S
    stamp_old: bool = True  # a row that moves from one list to another moves the stamp of the one it left
    stamp_forward: bool = True  # a stamp never goes back
    stamp_base: bool = True  # a missing stamp is the partition's base, not zero
    stamp_floor: bool = True  # a stamp is at least the table's floor
    stamp_with_watermark: bool = True  # a reader takes the stamp with W, not before
    list_position_first: bool = True  # S of a list is taken before the query
    list_generation: bool = True  # a list belongs to the generation in which its query began
    # The near cache (R8)
    near_names: bool = True  # what the stream names is dropped
    near_placeholder: bool = True  # and what is being fetched meanwhile
    near_gap: bool = True  # everything is dropped when a message was missed, or the generation is another
    near_lost: bool = True  # everything is dropped when the connection is lost
    near_behind: bool = True  # nothing is kept that is from a Redis behind what the stream told
    near_view: bool = (
        True  # nothing is kept that was fetched before the first message, or before all was dropped
    )
    # Fences (R9)
    fence: bool = True  # a writer fences
    fence_early: bool = True  # before its commit, not only after
    fence_drops: bool = True  # a fence drops the entry
    fence_order: bool = True  # a fence gives way only to one of a later position
    fence_again: bool = True  # when the fence has expired, the writer fences again before it acknowledges
    fill_fence: bool = True  # under a fence only the change that it stands for is filled
    fence_lifts: bool = True  # only a change behind the fence's position lifts it
    fence_lease: bool = (
        True  # a fence takes the lease, too, and none that is older than the commit outlasts the fence
    )
    put_fence: bool = True  # a put is refused when a later write has fenced
    put_in_time: bool = True  # and when the time of its own fence has passed
    strong_on_primary: bool = True  # what misses is read from the primary


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
    refreshes: bool = False  # fillers read although there is an entry, before it ends
    others: bool = False  # writes to uncached tables: they move W alone
    inversions: bool = False  # an insert may draw its version before the row that stands in its way is gone
    batches: bool = False  # the relay may apply two changes in two calls with one watermark
    existing: int = 0  # records 0 .. existing-1 are there at the start
    puts: bool = True  # writers put
    shared: bool = (
        False  # writes of a record may share a commit, and all their writers put (not with promotions)
    )
    floors: bool = False  # TRUNCATE of one table, which raises its floor
    scopes: int = 0  # lists
    listers: int = 0  # reads that missed a list
    viewers: int = 0  # reads of a list and its stamp, in two commands
    stamp_last: bool = False  # of which the list may be the first
    near: int = 0  # messages the stream keeps, for a process with a near cache; 0 for no such process
    strong: bool = False  # writers fence, and an acknowledged commit is shown by every hit
    linear: bool = False  # (of strong) what the primary has shown, too, acknowledged or not
    expiries: bool = False  # fences may expire
