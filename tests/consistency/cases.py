"""The cases: bounds under which the protocol holds, and rules without which it breaks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.consistency.explorer import Outcome, explore
from tests.consistency.world import Bounds, Rules


@dataclass(frozen=True)
class Case:
    """Rules and bounds, and whether the protocol holds under them."""

    name: str
    text: str
    bounds: Bounds
    rules: Rules = Rules()
    holds: bool = True

    def run(self) -> Outcome:
        """Explore the case."""
        return explore(self.rules, self.bounds)


ONE = Bounds()
TWO = Bounds(keys=2)
CALM = Bounds(evictions=0, crashes=0)


def _holds(name: str, text: str, bounds: Bounds) -> Case:
    return Case(name, text, bounds)


def _breaks(name: str, text: str, bounds: Bounds, **rules: bool) -> Case:
    return Case(name, text, bounds, Rules(**rules), holds=False)


SMALL = (
    _holds("P1", "one record: two writers, a filler, eviction, crash, relay restart", Bounds(fillers=1, restarts=1)),
    _holds("P2", "one record: Redis fails over, eviction, crash", Bounds(fillers=1, failovers=1)),
    _holds("P3", "one record: positions evicted, total loss", Bounds(fillers=1, meta_losses=1, losses=1, crashes=0)),
    _holds("P4", "two records, one writer each, batches of two", Bounds(keys=2, fillers=1, batches=True, existing=1)),
    _holds("P5", "a slot that moves on, Redis fails over", Bounds(fillers=1, failovers=1, acknowledgements=1, crashes=0)),
    _holds("P6", "a reader of W and entry", Bounds(fillers=1, readers=1, evictions=0)),
    _holds("P7", "an uncached table moves W alone", Bounds(fillers=1, others=True, evictions=0)),
    _holds("P8", "truncate", Bounds(keys=2, fillers=1, truncates=True, existing=1, evictions=0, crashes=0)),
    _holds("P9", "re-insert with a smaller version, three writers", Bounds(writers=3, fillers=0, existing=1, inversions=True, evictions=0, crashes=0)),
    _holds("P10", "the replica is promoted, what it lacked is lost", Bounds(fillers=1, promotions=1, existing=1, crashes=0)),
)

FULL = (
    _holds("F1", "two writers, two fillers, evictions 2, crash, relay restart", Bounds(evictions=2, restarts=1)),
    _holds("F2", "two writers, two fillers, eviction, crash, Redis fails over", Bounds(failovers=1)),
    _holds("F3", "positions evicted, failover, eviction, crash, two fillers", Bounds(meta_losses=1, failovers=1, crashes=0, fillers=1)),
    _holds("F4", "total loss, relay restart, eviction, crash, two fillers", Bounds(losses=1, restarts=1)),
    _holds("F5", "failover, relay restart, slot moves on, eviction, crash", Bounds(fillers=1, failovers=1, restarts=1, acknowledgements=1)),
    _holds("F6", "two records, two writers, two fillers, batches, eviction, crash", Bounds(keys=2, batches=True)),
    _holds("F7", "two records, batches, failover, relay restart", Bounds(keys=2, fillers=1, batches=True, failovers=1, restarts=1, evictions=0, crashes=0)),
    _holds("F8", "two records, batches, positions evicted, total loss", Bounds(keys=2, fillers=1, batches=True, meta_losses=1, losses=1, evictions=0, crashes=0)),
    _holds("F9", "two records and an uncached table, failover", Bounds(keys=2, fillers=1, others=True, failovers=1, evictions=0, crashes=0)),
    _holds("F10", "truncate, failover, eviction, two records", Bounds(keys=2, fillers=1, truncates=True, failovers=1, existing=2, crashes=0)),
    _holds("F11", "re-insert with a smaller version, three writers, a filler, eviction", Bounds(writers=3, fillers=1, existing=1, inversions=True, crashes=0)),
    _holds("F12", "re-insert with a smaller version, failover", Bounds(writers=3, fillers=0, existing=1, inversions=True, failovers=1, evictions=0, crashes=0)),
    _holds("F13", "promotion, two fillers, eviction", Bounds(promotions=1, existing=1, crashes=0)),
    _holds("F14", "promotion and Redis failover", Bounds(fillers=1, promotions=1, failovers=1, existing=1, evictions=0, crashes=0)),
    _holds("F15", "a reader of W and entry, failover, eviction", Bounds(fillers=1, readers=1, failovers=1)),
    _holds("F16", "three writers of one record, two fillers", Bounds(writers=3, evictions=0, crashes=0)),
)

BROKEN = (
    _breaks("X1", "fills without M <= S", Bounds(fillers=1, crashes=0), fill_admission=False),
    _breaks("X2", "puts without M <= S", Bounds(fillers=0), put_admission=False),
    _breaks("X3", "a relay without the gate", Bounds(crashes=0), gate=False),
    _breaks("X4", "no rewind when Redis fails over", Bounds(fillers=1, failovers=1), rewind=False),
    _breaks("X5", "no new generation when the positions are lost", Bounds(fillers=1, meta_losses=1, failovers=1), generation=False),
    _breaks("X6", "S taken after the snapshot", ONE, position_first=False),
    _breaks("X7", "M moves only for records that have an entry", ONE, absent_moves=False),
    _breaks("X8", "W moves before the changes", Bounds(fillers=1, restarts=1, failovers=1), watermark_last=False),
    _breaks("X9", "applying does not move W, a tick does", Bounds(fillers=1, failovers=1), watermark_moves=False),
    _breaks("X10", "W below the slot's start is read on from there", Bounds(fillers=1, failovers=1, acknowledgements=1), slot_start=False),
    _breaks("X11", "a new generation begins at the call's position, not the batch's", Bounds(keys=2, fillers=1, meta_losses=1, batches=True, crashes=0, evictions=0), newest_base=False),
    _breaks("X12", "W read after the entry", Bounds(fillers=1, readers=1, evictions=0), watermark_read_first=False),
    _breaks("X13", "newer entries survive older changes although the relay has confirmed them", Bounds(writers=3, fillers=0, existing=1, inversions=True, evictions=0, crashes=0), source=False),
    _breaks("X14", "puts that beat a known version enter although M > S", Bounds(writers=3, fillers=0, existing=1, inversions=True, evictions=0, crashes=0), put_overtakes=True),
    _breaks("X15", "no new generation when the database has another history", Bounds(promotions=1, existing=1), database=False),
    _breaks("X16", "fills enter a generation they did not begin in", Bounds(promotions=1, existing=1), fill_generation=False),
    _breaks("X17", "puts enter a generation they did not begin in", Bounds(promotions=1, existing=1), put_generation=False),
)
