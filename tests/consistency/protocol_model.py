"""Checks the cache protocol in every state it can reach within bounds: `python -m tests.consistency.protocol_model`.

Prints one line for each case, which run in as many processes as there are cores; `-v` adds the trace of what broke,
`--quick` leaves out the large ones, names select cases: `... -v X1 P2`.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.consistency.case import Case
from tests.consistency.cases import BROKEN, BROKEN_LARGE, FULL, SMALL
from tests.consistency.explorer import Outcome
from tests.consistency.part_cases import BROKEN_PARTS, BROKEN_PARTS_LARGE, FULL_PARTS, SMALL_PARTS

QUICK = (*BROKEN_LARGE, *BROKEN_PARTS_LARGE, *SMALL, *SMALL_PARTS, *BROKEN, *BROKEN_PARTS)
ALL = (*FULL, *FULL_PARTS, *QUICK)  # the largest first


def report(case: Case, outcome: Outcome, *, verbose: bool) -> bool:
    """Print what was found, and tell whether that was expected."""
    as_expected = outcome.is_complete and case.holds == (outcome.complaint is None)
    verdict = "holds " if outcome.complaint is None else "breaks"
    mark = "ok  " if as_expected else "FAIL"
    cost = f"{outcome.states:,} states, {outcome.seconds:.0f} s"
    print(
        f"{mark} {case.name:4} {verdict} {case.text}: {outcome.complaint or 'every state is good'} ({cost})",
        flush=True,
    )
    for number, step in enumerate(outcome.trace if verbose or not as_expected else (), 1):
        print(f"       {number:2}. {step}")
    return as_expected


def check(cases: Iterable[Case], *, verbose: bool = False) -> bool:
    """Run the cases, one process for each core, and tell whether all went as expected."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), mp_context=spawn, max_tasks_per_child=1) as processes:
        running = {processes.submit(case.run): case for case in cases}
        unexpected = 0
        for done in as_completed(running):
            unexpected += not report(running[done], done.result(), verbose=verbose)
    return unexpected == 0


def main(arguments: Sequence[str]) -> int:
    """Run the cases that `arguments` name, or all."""
    wanted = {argument for argument in arguments if not argument.startswith("-")}
    cases = QUICK if "--quick" in arguments else ALL
    chosen = [case for case in cases if not wanted or case.name in wanted]
    return 0 if check(chosen, verbose="-v" in arguments) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
