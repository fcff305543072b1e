"""`make chaos`: plays scenarios of faults against real processes, and exits with 0 only if everything held."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from pathlib import Path

import uvloop
from tests.chaos.ground import ChaosError
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.trial import play

ALL_S_MAX = 40 * 60.0
QUICK_S_MAX = 3 * 60.0


async def run(
    scenarios: list[Scenario], seed: int, *, quick: bool, is_sample: bool, keep: Path | None
) -> bool:
    """Play them in turn, print a line for each and a table at the end; True if all held.

    A sample leaves out what it has no time for, as on a busy machine; of all, everything must be played.
    """
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background job would not hear them
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    ends_s = time.monotonic() + (QUICK_S_MAX if is_sample else ALL_S_MAX)
    lines, held, longest_s = [], True, 0.0
    for scenario in scenarios:
        began_s = time.monotonic()
        if is_sample and began_s + longest_s > ends_s:
            print(f"no time left for {scenario.name}", file=sys.stderr)
            continue
        try:
            async with asyncio.timeout(ends_s - began_s):
                verdict = await play(scenario, seed, quick=quick, keep=keep)
        except (ChaosError, TimeoutError) as error:
            line = {
                "scenario": scenario.name,
                "seed": seed,
                "held": False,
                "error": str(error) or "out of time",
            }
        else:
            line = verdict.line
        longest_s = max(longest_s, time.monotonic() - began_s)
        line["seconds"] = round(time.monotonic() - began_s, 1)
        held = held and bool(line["held"])
        lines.append(line)
        print(json.dumps(line), flush=True)
    print(_table(lines), file=sys.stderr)
    return held


def _table(lines: list[dict[str, object]]) -> str:
    """Return the scenarios as a table for people."""
    rows = [("scenario", "held", "seconds", "operations", "faults", "violations", "recovery_s")]
    total = [0, 0, 0]
    for line in lines:
        counts = [
            int(line.get("operations", 0)),
            *(sum(line.get(name, {}).values()) for name in ("faults", "violations")),
        ]
        if not str(line["scenario"]).startswith("naive"):
            total = [before + count for before, count in zip(total, counts, strict=True)]
        rows.append(
            (
                str(line["scenario"]),
                "yes" if line["held"] else "NO",
                str(line["seconds"]),
                *(f"{count:,}" for count in counts),
                str(line.get("recovery_s", "not played")),
            )
        )
    rows.append(("all but naive", "", "", *(f"{count:,}" for count in total), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(row[at].rjust(widths[at]) for at in range(1, 6)), row[6]])
        for row in rows
    )


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="make chaos ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sample in three minutes")
    parser.add_argument(
        "--scenario", action="append", choices=list(SCENARIOS), help="only this one; may be repeated"
    )
    parser.add_argument("--seed", type=int, help="of all that is random; the one of a line plays it again")
    parser.add_argument("--keep", type=Path, help="copy histories and logs to this folder")
    given = parser.parse_args()
    is_sample = given.quick and not given.scenario
    chosen = [SCENARIOS[name] for name in given.scenario or SCENARIOS]
    if is_sample:
        chosen = [scenario for scenario in chosen if scenario.is_quick]
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    try:
        held = uvloop.run(run(chosen, seed, quick=given.quick, is_sample=is_sample, keep=given.keep))
    except asyncio.CancelledError:
        sys.exit(130)
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
