"""Compares the linearizability checker with known verdicts: `python -m tests.consistency.checks FOLDER`.

Prints one line for each history and a summary; exits with 1 if any verdict is another than the known one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.consistency.checks.linearizability import Verdict, check
from tests.consistency.checks.recordings import Recording, recordings


def report(recording: Recording) -> bool:
    """Check the history, print what was found, and tell whether that is the known verdict."""
    began_s = time.monotonic()
    outcome = check(recording.calls, recording.model)
    known = Verdict.LINEARIZABLE if recording.is_linearizable else Verdict.NOT_LINEARIZABLE
    agrees = outcome.verdict is known
    cost = f"{len(recording.calls):,} calls, {outcome.states:,} states, {time.monotonic() - began_s:.2f} s"
    mark = "ok  " if agrees else "FAIL"
    print(f"{mark} {recording.name:14} {outcome.verdict.value} ({cost})", flush=True)
    return agrees


def main(arguments: Sequence[str]) -> int:
    """Report every history in the folder that `arguments` name."""
    if len(arguments) != 1:
        print("usage: python -m tests.consistency.checks FOLDER", file=sys.stderr)
        return 2
    results = [report(recording) for recording in recordings(Path(arguments[0]))]
    print(f"{sum(results)} of {len(results)} histories have the verdict that is known")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
