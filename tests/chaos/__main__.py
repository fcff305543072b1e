"""`make chaos`: plays scenarios of faults against real processes, and exits with 0 only if everything held."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from tests.chaos.ground import ChaosError
from tests.chaos.scenarios import SCENARIOS, Scenario
from tests.chaos.trial import play

ALL_S_MAX = 40 * 60.0
QUICK_S_MAX = 3 * 60.0
OPERATIONS_MIN = 1_000_000


@dataclass
class Programme:
    """Scenarios played one after the other, within a time; `lines` is what was printed of them."""

    seconds: float
    quick: bool
    keep: Path | None
    lines: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to count the time."""
        self._ends_s = time.monotonic() + self.seconds

    @property
    def left_s(self) -> float:
        """Return how much time is left."""
        return self._ends_s - time.monotonic()

    @property
    def longest_s(self) -> float:
        """Return how long a scenario has taken, at most."""
        return max((line["seconds"] for line in self.lines), default=0.0)

    @property
    def operations(self) -> int:
        """Return how many there were, those of naive strategies aside."""
        return sum(line.get("operations", 0) for line in self.lines if not _is_naive(line))

    async def play(self, scenario: Scenario, seed: int) -> None:
        """Play a scenario and print its line."""
        began_s = time.monotonic()
        line: dict[str, Any]
        try:
            async with asyncio.timeout(self.left_s):
                line = (await play(scenario, seed, quick=self.quick, keep=self.keep)).line
        except (ChaosError, TimeoutError) as error:
            text = str(error) or "out of time"
            line = {"scenario": scenario.name, "seed": seed, "held": False, "error": text}
        line["seconds"] = round(time.monotonic() - began_s, 1)
        self.lines.append(line)
        print(json.dumps(line), flush=True)


async def run(
    scenarios: list[Scenario], seed: int, *, quick: bool, is_sample: bool, keep: Path | None
) -> bool:
    """Play them in turn, print a line for each and a table at the end; True if all held.

    A sample leaves out what it has no time for, as on a busy machine; of all, everything must be played, and while time
    is left the storm again, until there were enough operations.
    """
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background job would not hear them
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    programme = Programme(QUICK_S_MAX if is_sample else ALL_S_MAX, quick, keep)
    for scenario in scenarios:
        if is_sample and programme.longest_s > programme.left_s:
            print(f"no time left for {scenario.name}", file=sys.stderr)
        else:
            await programme.play(scenario, seed)
    if len(scenarios) == len(SCENARIOS) and not quick:
        while programme.operations < OPERATIONS_MIN and programme.longest_s < programme.left_s:
            seed += 1
            await programme.play(SCENARIOS["storm"], seed)
    print(_table(programme.lines), file=sys.stderr)
    return all(line["held"] for line in programme.lines)


def _is_naive(line: dict[str, Any]) -> bool:
    return str(line["scenario"]).startswith("naive")


def _table(lines: list[dict[str, Any]]) -> str:
    """Return the scenarios as a table for people."""
    rows = [("scenario", "held", "seconds", "operations", "faults", "violations", "recovery_s")]
    total = [0, 0, 0]
    for line in lines:
        counts = [
            int(line.get("operations", 0)),
            *(sum(line.get(name, {}).values()) for name in ("faults", "violations")),
        ]
        if not _is_naive(line):
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
