"""The cache protocol, model-checked: what holds in every reachable state, and what breaks when a rule is taken out.

`python -m tests.consistency.protocol_model` runs every case in full (minutes) and prints a line for each; `-v` prints
the traces, and names after it select cases. The test suite runs the same cases with smaller bounds.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

from tests.consistency.explorer import Outcome, explore
from tests.consistency.world import Bounds, Rules


@dataclass(frozen=True)
class Case:
    """Rules and bounds, and whether the protocol holds under them. `small` are the bounds for the test suite."""

    name: str
    text: str
    bounds: Bounds
    rules: Rules = Rules()
    holds: bool = True
    small: Bounds | None = None

    def run(self, *, full: bool) -> Outcome:
        """Explore the case."""
        return explore(self.rules, self.bounds if full or self.small is None else self.small)


ONE = Bounds()
TWO = Bounds(keys=2)
CALM = Bounds(evictions=0, crashes=0)


def _broken(name: str, text: str, rules: Rules, bounds: Bounds) -> Case:
    return Case(name, text, bounds, rules, holds=False)


HOLDING = (
    Case("P1", "two writers, two fillers, evictions 2, crash, relay restart", replace(ONE, evictions=2, restarts=1)),
    Case("P2", "failover, eviction, crash", replace(ONE, failovers=1, fillers=1)),
    Case("P3", "positions lost, failover, eviction", replace(ONE, meta_losses=1, failovers=1, fillers=1, crashes=0)),
    Case("P4", "everything lost, eviction, relay restart, crash", replace(ONE, losses=1, restarts=1, fillers=1)),
    Case("P5", "failover, relay restart, eviction", replace(ONE, failovers=1, restarts=1, fillers=1, crashes=0)),
)

BROKEN = (
    _broken("X1", "fills without M <= S", Rules(fill_admission=False), ONE),
)

if __name__ == "__main__":
    wanted = [argument for argument in sys.argv[1:] if argument != "-v"]
    for case in HOLDING + BROKEN:
        if wanted and case.name not in wanted:
            continue
        o = case.run(full=True)
        print(case.name, case.text, o.complaint, o.states, round(o.seconds,1), flush=True)
        if '-v' in sys.argv:
            for l in o.trace: print('    ',l)
