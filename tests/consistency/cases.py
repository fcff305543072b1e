"""The cases: bounds under which the protocol holds, and rules without which it breaks. R6 to R9 are in `part_cases`."""

from __future__ import annotations

from dataclasses import replace

from tests.consistency.case import Case, without
from tests.consistency.rules import Bounds

# Re-insertion draws a version too early only when another session updates and deletes the row in its way.
REINSERT = Bounds(writers=3, fillers=0, existing=1, inversions=True, evictions=False, crashes=False)
# Of three writers two, or all, may share a commit; the third writes before it or after.
SHARED = Bounds(writers=3, fillers=1, shared=True)
PROMOTION = Bounds(fillers=1, promotions=1, existing=1, evictions=False, crashes=False)

# Seconds in all: part of the test suite. Evictions, crashes and restarts come as often as they like.
SMALL = (
    Case("P1", "eviction, crash, relay restart", Bounds(fillers=1, restarts=True)),
    Case("P2", "Redis fails over", Bounds(fillers=1, failovers=1, crashes=False, deletes=False)),
    Case("P3", "positions evicted, crash", Bounds(fillers=1, meta_losses=1, evictions=False)),
    Case("P4", "total loss, eviction", Bounds(fillers=1, losses=1, crashes=False, deletes=False)),
    Case(
        "P5",
        "two records, batches of two",
        Bounds(keys=2, fillers=1, batches=True, evictions=False, crashes=False, deletes=False),
    ),
    Case(
        "P6",
        "the slot moves on, Redis fails over",
        Bounds(fillers=1, failovers=1, acknowledgements=True, evictions=False, crashes=False, deletes=False),
    ),
    Case("P7", "W read apart from the entry", Bounds(fillers=1, readers=1, evictions=False, deletes=False)),
    Case("P8", "an uncached table moves W alone", Bounds(fillers=1, others=True)),
    Case("P9", "fillers read although there is an entry", Bounds(fillers=1, refreshes=True, evictions=False)),
    Case("P10", "re-insertion with a smaller version", REINSERT),
    Case("P11", "the replica is promoted, what it lacks is lost", replace(PROMOTION, deletes=False)),
    Case("P12", "writes of a record share a commit, and each is put", replace(SHARED, restarts=True)),
)

# Minutes in all: `make consistency`.
FULL = (
    Case("F1", "two fillers, evictions, crashes, relay restart", Bounds(evictions=True, restarts=True)),
    Case("F2", "two fillers, eviction, crash, failover", Bounds(failovers=1)),
    Case(
        "F3",
        "positions evicted, failover, eviction",
        Bounds(fillers=1, meta_losses=1, failovers=1, crashes=False),
    ),
    Case("F4", "two fillers, total loss, relay restart, eviction, crash", Bounds(losses=1, restarts=True)),
    Case(
        "F5",
        "failover, relay restart, the slot moves on, eviction, crash",
        Bounds(fillers=1, failovers=1, restarts=True, acknowledgements=True),
    ),
    Case(
        "F6",
        "two records, two fillers, batches",
        Bounds(keys=2, batches=True, evictions=False, crashes=False),
    ),
    Case(
        "F7",
        "two records, batches, failover, relay restart",
        Bounds(
            keys=2,
            fillers=1,
            batches=True,
            failovers=1,
            restarts=True,
            evictions=False,
            crashes=False,
            deletes=False,
        ),
    ),
    Case(
        "F8",
        "two records, batches, positions evicted, total loss",
        Bounds(
            keys=2,
            fillers=1,
            batches=True,
            meta_losses=1,
            losses=1,
            evictions=False,
            crashes=False,
            deletes=False,
        ),
    ),
    Case(
        "F9",
        "two records and an uncached table, failover, eviction",
        Bounds(keys=2, fillers=1, others=True, failovers=1, crashes=False, deletes=False),
    ),
    Case(
        "F10",
        "two fillers, which read although there is an entry, failover",
        Bounds(refreshes=True, failovers=1, evictions=False),
    ),
    Case(
        "F11",
        "re-insertion with a smaller version, a filler, eviction",
        Bounds(writers=3, fillers=1, existing=1, inversions=True, crashes=False),
    ),
    Case(
        "F12",
        "re-insertion with a smaller version, failover",
        Bounds(
            writers=3, fillers=0, existing=1, inversions=True, failovers=1, evictions=False, crashes=False
        ),
    ),
    Case("F13", "promotion, two fillers, eviction", Bounds(promotions=1, existing=1, crashes=False)),
    Case(
        "F14",
        "promotion, failover of Redis",
        Bounds(fillers=1, promotions=1, failovers=1, existing=1, evictions=False, crashes=False),
    ),
    Case(
        "F15",
        "W read apart from the entry, failover, eviction",
        Bounds(fillers=1, readers=1, failovers=1, crashes=False),
    ),
    Case("F16", "three writers, two fillers, eviction", Bounds(writers=3, deletes=False, crashes=False)),
    Case("F17", "writes of a record share a commit, failover", replace(SHARED, failovers=1)),
)


BROKEN = (
    without("X1", "fills without M <= S", Bounds(fillers=1), fill_admission=False),
    without("X2", "puts without M <= S", Bounds(fillers=0), put_admission=False),
    without("X3", "no gate", Bounds(), gate=False),
    without("X4", "no rewind", Bounds(fillers=1, failovers=1), rewind=False),
    without("X6", "S taken after the snapshot", Bounds(), position_first=False),
    without("X7", "M moves only for keys with an entry", Bounds(), absent_moves=False),
    without("X8", "W moves before the changes", Bounds(fillers=1), watermark_last=False),
    without(
        "X9", "applying does not move W, a tick does", Bounds(fillers=1, failovers=1), watermark_moves=False
    ),
    without(
        "X10",
        "W below the slot's start is ignored",
        Bounds(fillers=1, failovers=1, acknowledgements=True),
        slot_start=False,
    ),
    without(
        "X12",
        "W read after the entry",
        Bounds(fillers=1, readers=1, evictions=False),
        watermark_read_first=False,
    ),
    without("X13", "confirmed entries survive older versions", REINSERT, source=False),
    without("X19", "a confirmed put counts as a writer's", REINSERT, put_confirmed_source=False),
    without("X14", "a put that beats a known version enters although M > S", REINSERT, put_overtakes=True),
    without("X15", "no new generation for another history", PROMOTION, database=False),
    without("X16", "fills enter another generation", PROMOTION, fill_generation=False),
    without(
        "X20", "the relay applies every change of a commit", replace(SHARED, fillers=0), last_counts=False
    ),
    without("X17", "puts enter another generation", PROMOTION, put_generation=False),
)

# Seconds each.
BROKEN_LARGE = (
    without(
        "X5",
        "no new generation when positions are lost",
        Bounds(fillers=1, meta_losses=1, failovers=1),
        generation=False,
    ),
    without(
        "X11",
        "a new generation begins where the call does, not where the batch ends",
        Bounds(
            keys=2,
            fillers=1,
            meta_losses=1,
            batches=True,
            evictions=False,
            crashes=False,
            deletes=False,
            primary_fills=False,
        ),
        newest_base=False,
    ),
    without(
        "X18",
        "a call continues a batch whose start was lost",
        Bounds(
            keys=2,
            fillers=1,
            failovers=1,
            batches=True,
            evictions=False,
            crashes=False,
            deletes=False,
            primary_fills=False,
        ),
        whole_batch=False,
    ),
)
