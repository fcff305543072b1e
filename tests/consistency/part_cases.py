"""The cases of lists (R6), table floors (R7), the near cache (R8) and fences (R9), each part on its own."""

from __future__ import annotations

from dataclasses import replace

from tests.consistency.case import Case, without
from tests.consistency.rules import Bounds, Rules

LISTS = Bounds(scopes=2, listers=1, fillers=0, puts=False, evictions=False, crashes=False)
LISTS_PROMOTION = replace(LISTS, promotions=1, existing=1)
FLOORS = Bounds(fillers=1, floors=True, existing=1)
NEAR = Bounds(near=2, fillers=0, crashes=False, evictions=False, existing=1)
NEAR_FAILOVER = replace(NEAR, failovers=1)
STRONG = Bounds(fillers=1, strong=True, existing=1)
EXPIRY = replace(STRONG, expiries=True)
LINEAR = replace(STRONG, linear=True, crashes=False)

SMALL_PARTS = (
    Case("L1", "lists: a row moves, from primary and replica", LISTS),
    Case("L2", "lists: relay restart", replace(LISTS, restarts=True, existing=1, deletes=False)),
    Case("L3", "lists: promotion", replace(LISTS_PROMOTION, scopes=1)),
    Case("T1", "floors: TRUNCATE raises one", FLOORS),
    Case("N1", "near cache", NEAR),
    Case("N2", "near cache: a filler", replace(NEAR, fillers=1, deletes=False)),
    Case("S1", "fences: they expire, leases expire, writers crash", replace(EXPIRY, deletes=False)),
    Case("S2", "fences: no hit is older than what the primary shows", LINEAR),
)

FULL_PARTS = (
    Case("L4", "lists: losses", replace(LISTS, meta_losses=1, losses=1, existing=1)),
    Case(
        "L5", "lists: failover, W and stamp read apart from the list", replace(LISTS, failovers=1, viewers=1)
    ),
    Case("L6", "lists: either may be read first", replace(LISTS, viewers=1, stamp_last=True)),
    Case(
        "L7",
        "lists: batches, relay restart",
        replace(LISTS, batches=True, restarts=True, existing=1, viewers=1),
    ),
    Case("L8", "lists: floors", replace(LISTS, floors=True, existing=1)),
    Case("L9", "lists: promotion", LISTS_PROMOTION),
    Case("L10", "lists: three writers, two listers", replace(LISTS, writers=3, listers=2, deletes=False)),
    Case(
        "T2",
        "floors: two tables, failover",
        replace(FLOORS, keys=2, existing=2, failovers=1, evictions=False, crashes=False, deletes=False),
    ),
    Case("T3", "floors: failover", replace(FLOORS, failovers=1, crashes=False)),
    Case("T4", "floors: relay restart, batches", replace(FLOORS, restarts=True, batches=True)),
    Case("T5", "floors: positions evicted, total loss", replace(FLOORS, meta_losses=1, losses=1)),
    Case("T6", "floors: re-insertion, three writers", replace(FLOORS, writers=3, inversions=True)),
    Case("T7", "floors: W read apart from the entry", replace(FLOORS, readers=1)),
    Case(
        "T8",
        "floors: not needed is that M counts the floor",
        FLOORS,
        Rules(floor_admission=False),
    ),
    Case("N3", "near cache: failover", NEAR_FAILOVER),
    Case("N4", "near cache: failover within a batch", replace(NEAR_FAILOVER, batches=True, deletes=False)),
    Case("N5", "near cache: positions evicted, total loss", replace(NEAR, meta_losses=1, losses=1)),
    Case("N6", "near cache: floors", replace(NEAR, fillers=1, floors=True)),
    Case("N7", "near cache: promotion", replace(NEAR, promotions=1)),
    Case("N8", "near cache: relay restart, another table", replace(NEAR, restarts=True, others=True)),
    Case("N9", "near cache: two records", replace(NEAR, keys=2, existing=2, deletes=False, batches=True)),
    Case(
        "N10",
        "near cache: writes of a record share a commit",
        replace(NEAR, fillers=1, writers=3, shared=True, evictions=True),
    ),
    Case("S3", "fences: the same, they expire", replace(LINEAR, expiries=True)),
    Case("S4", "fences: three writers, deletes", replace(EXPIRY, writers=3)),
    Case("S5", "fences: re-insertion", replace(EXPIRY, writers=3, inversions=True, evictions=False)),
    Case("S6", "fences: relay restart", replace(EXPIRY, restarts=True)),
    Case("S7", "fences: positions evicted", replace(EXPIRY, meta_losses=1)),
    Case("S8", "fences: changes without a name raise a floor", replace(EXPIRY, floors=True)),
    Case("S9", "fences: two fillers", replace(EXPIRY, fillers=2)),
    Case(
        "S10",
        "fences: fillers read although there is an entry",
        replace(EXPIRY, refreshes=True, evictions=False),
    ),
    Case("S11", "fences: writes of a record share a commit", replace(EXPIRY, writers=3, shared=True)),
)

BROKEN_PARTS = (
    without("XL1", "lists without stamp <= S", LISTS, stamp=False),
    without("XL2", "only the list that gains the row is stamped", LISTS, stamp_old=False),
    without("XL3", "a stamp goes back", replace(LISTS, restarts=True), stamp_forward=False),
    without(
        "XL5", "a stamp does not count the floor", replace(LISTS, floors=True, existing=1), stamp_floor=False
    ),
    without("XL6", "the stamp is read before W", replace(LISTS, viewers=1), stamp_with_watermark=False),
    without("XL7", "S is taken after the query", LISTS, list_position_first=False),
    without("XL8", "a list enters another generation", LISTS_PROMOTION, list_generation=False),
    without("XL9", "no gate", LISTS, gate=False),
    without("XT1", "entries below the floor are shown", FLOORS, floor_hides=False),
    without("XT2", "the floor is taken for a put's own change", FLOORS, floor_foreign=False),
    without(
        "XT4",
        "a floor that a writer raised is what a read of the primary reflects",
        replace(EXPIRY, floors=True),
        floor_claims=True,
    ),
    without("XN1", "what the stream names is kept", NEAR, near_names=False),
    without("XN2", "no placeholder", NEAR, near_placeholder=False),
    without(
        "XN3",
        "a missed message drops nothing",
        replace(NEAR, near=1, others=True, writers=3, deletes=False),
        near_gap=False,
    ),
    without("XN6", "a fetch from before the stream was followed is kept", NEAR, near_view=False),
    without("XS1", "no fence", STRONG, fence=False),
    without("XS2", "the fence comes after the commit", LINEAR, fence_early=False),
    without("XS3", "a fence leaves the entry", STRONG, fence_drops=False),
    without("XS4", "an older write takes a fence's place", STRONG, fence_order=False),
    without(
        "XS5",
        "a fence that expired before the commit was known is not put up again",
        EXPIRY,
        fence_again=False,
    ),
    without("XS6", "any change lifts a fence", STRONG, fence_lifts=False),
    without("XS7", "who reads keeps the lease", EXPIRY, fence_lease=False),
    without("XS8", "an older put enters under a fence", EXPIRY, put_fence=False),
    without("XS9", "a put comes when its fence has come and gone", EXPIRY, put_in_time=False),
    without("XS10", "a replica is asked", EXPIRY, strong_on_primary=False),
    without("XS13", "what was read is filled under a fence", STRONG, fill_fence=False),
    without("XS11", "(limit) a failover of Redis loses the fence", replace(STRONG, failovers=1)),
    without("XS12", "(limit) a loss of Redis loses the fence", replace(STRONG, losses=1)),
)

BROKEN_PARTS_LARGE = (
    without("XL4", "a missing stamp is zero", replace(LISTS, meta_losses=1, existing=1), stamp_base=False),
    without(
        "XT3",
        "the relay takes an entry below the floor for a newer one",
        replace(FLOORS, writers=3, inversions=True, crashes=False, evictions=False),
        floor_drops=False,
    ),
    without("XN4", "a lost connection drops nothing", NEAR_FAILOVER, near_lost=False),
    without("XN5", "a fetch from a Redis behind the stream is kept", NEAR_FAILOVER, near_behind=False),
)
