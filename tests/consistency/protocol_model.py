"""Checks the cache protocol in every state it can reach within bounds: `python -m tests.consistency.protocol_model`.

Prints one line for each case; `-v` adds the trace of what broke, names select cases: `... -v X1 P2`. All cases in full
take most of an hour on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.consistency.cases import BROKEN, FULL, SMALL, Case


def report(case: Case, *, verbose: bool) -> bool:
    """Run the case, print what was found, and tell whether that was expected."""
    outcome = case.run()
    as_expected = outcome.is_complete and case.holds == (outcome.complaint is None)
    verdict = "holds " if outcome.complaint is None else "breaks"
    mark = "ok  " if as_expected else "FAIL"
    cost = f"{outcome.states:,} states, {outcome.seconds:.0f} s"
    print(
        f"{mark} {case.name:4} {verdict} {case.text}: {outcome.complaint or 'every state is good'} ({cost})",
        flush=True,
    )
    for number, step in enumerate(outcome.trace if verbose else (), 1):
        print(f"       {number:2}. {step}")
    return as_expected


def main(arguments: Sequence[str]) -> int:
    """Run the cases that `arguments` name, or all."""
    wanted = {argument for argument in arguments if not argument.startswith("-")}
    cases = [case for case in (*SMALL, *BROKEN, *FULL) if not wanted or case.name in wanted]
    results = [report(case, verbose="-v" in arguments) for case in cases]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
