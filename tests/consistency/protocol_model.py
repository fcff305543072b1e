"""The cache protocol, model-checked: what holds in every reachable state, and what breaks when a rule is taken out."""

from __future__ import annotations

import sys

from tests.consistency.cases import BROKEN, FULL, SMALL

if __name__ == "__main__":
    wanted = [argument for argument in sys.argv[1:] if argument != "-v"]
    for case in SMALL+BROKEN+FULL:
        if wanted and case.name not in wanted:
            continue
        o = case.run()
        print('ok ' if case.holds==(o.complaint is None) else '!!!!!!', case.name, case.text, o.complaint, o.states, round(o.seconds,1), flush=True)
        if '-v' in sys.argv:
            for l in o.trace: print('    ',l)
