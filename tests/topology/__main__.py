"""`make topology-test`: what callers lose while servers behind the balancer end, stop and lag; exits 0 if little."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.debian import PackageMissingError
from tests.topology.events import EVENTS, PATRONI_EVENTS, Findings
from tests.topology.ground import Ground, TopologyError

from entresol.errors import EntresolError

ROUNDS, ALL_S_MAX, QUICK_S_MAX = 2, 300.0, 90.0
Line = dict[str, Any]


async def run(events: Sequence[str], *, rounds: int, seed: int, seconds: float) -> list[Line]:
    """Let the events happen in turn, and return a line for each; what there is no time for has not held."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background job would not hear them
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    ends_s = time.monotonic() + seconds
    plain = [event for event in events if event in EVENTS]
    kept = [event for event in events if event in PATRONI_EVENTS]
    lines = []
    if plain:
        async with Ground.opened(seed) as ground:
            lines += [await happen(ground, event, seed, ends_s) for event in plain * rounds]
    if kept:
        try:
            async with Ground.opened(seed, patroni=True) as ground:
                lines += [await happen(ground, event, seed, ends_s) for event in kept]
        except PackageMissingError as missing:
            print(f"SKIPPED {', '.join(kept)}: {missing}", file=sys.stderr)
    return lines


async def happen(ground: Ground, event: str, seed: int, ends_s: float) -> Line:
    """Let an event happen, print its line and return it."""
    line: Line = {"event": event, "seed": seed, "held": False}
    began_s, found = time.monotonic(), Findings()
    try:
        async with asyncio.timeout(ends_s - began_s):
            await {**EVENTS, **PATRONI_EVENTS}[event](ground, found)
        line["held"] = not found.missed
    except* (TopologyError, EntresolError, TimeoutError, OSError) as errors:
        line["error"] = "; ".join(str(error) or "out of time" for error in errors.exceptions)
        print(ground.logs(), file=sys.stderr)
    line |= {**found.figures, "missed": found.missed, "seconds": round(time.monotonic() - began_s, 1)}
    print(json.dumps(line), flush=True)
    return line


def table(lines: Sequence[Line]) -> str:
    """Return what was lost, for people: a row for each event."""
    kinds = [key for key in dict.fromkeys(key for line in lines for key in line) if key.startswith("lost: ")]
    rows = [("event", "held", "calls", *(kind.removeprefix("lost: ") for kind in kinds), "missed")]
    for line in lines:
        told = line.get("error") or "; ".join(line["missed"])
        cells = (line["event"], "yes" if line["held"] else "NO", line.get("calls", "-"))
        rows.append(tuple(map(str, (*cells, *(line.get(kind, "-") for kind in kinds), told))))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="make topology-test ARGS=...", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="each event once, and none of Patroni, within a minute and a half",
    )
    parser.add_argument("--events", nargs="+", choices=[*EVENTS, *PATRONI_EVENTS], help="none: all")
    parser.add_argument(
        "--seed", type=int, help="of what is asked, and of whom things happen to; a line tells it"
    )
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    rounds, seconds = (1, QUICK_S_MAX) if given.quick else (ROUNDS, ALL_S_MAX)
    events = given.events or (list(EVENTS) if given.quick else [*EVENTS, *PATRONI_EVENTS])
    try:
        lines = asyncio.run(run(events, rounds=rounds, seed=seed, seconds=seconds))
    except asyncio.CancelledError:
        sys.exit(130)
    except (PackageMissingError, TopologyError) as error:
        sys.exit(f"cannot be played: {error}")
    print(table(lines), file=sys.stderr)
    sys.exit(0 if all(line["held"] for line in lines) else 1)


if __name__ == "__main__":
    main()
