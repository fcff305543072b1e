"""`make offline-faults`: plays faults against three job queues side by side; exits with 0 only if ours held."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import random
import signal
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.offline.ground import Ground, OfflineError
from tests.offline.scenarios import SCENARIOS
from tests.offline.systems import APART, OURS, SYSTEMS, Apart, System

from entresol.embedded import CacheKind, EmbeddedServers
from entresol.errors import EntresolError

ALL_S_MAX = 25 * 60.0
QUICK_S_MAX = 3 * 60.0
QUICK_SPARE = 1.5  # of the longest one so far, that the next may take
QUICK_AT_ONCE = 2  # scenarios, each with servers of its own; they are waiting most of the time
WORKERS = 3
LATE_MAX = 5  # of what is told of each line
Line = dict[str, Any]
_NO_FIGURES = ("scenario", "system", "seed", "missed", "late", "error", "seconds")


async def run(
    systems: Sequence[System], scenarios: Sequence[str], *, is_quick: bool, seed: int, seconds: float
) -> list[Line]:
    """Play the scenarios, each against all systems at once, and return a line for each and system.

    They are played in turn, or when it is quick `QUICK_AT_ONCE` side by side, and what there is no time for is left
    out; else it has not held.
    """
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell's background job would not hear them
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    ends_s = time.monotonic() + seconds
    lines: list[Line] = []
    waiting, has_ours = deque(scenarios), OURS in systems

    async def play_on(servers: Sequence[EmbeddedServers]) -> None:
        while waiting:
            scenario = waiting.popleft()
            longest_s = max((line["seconds"] for line in lines), default=0.0)
            if is_quick and QUICK_SPARE * longest_s > ends_s - time.monotonic():  # as on a busy machine
                print(f"no time left for {scenario}", file=sys.stderr)
                continue
            players = [
                (system, own)
                for system, own in zip(systems, servers, strict=True)
                if system is OURS or not (is_quick and has_ours and SCENARIOS[scenario].ours_when_quick)
            ]
            if left_out := [system.name for system in systems if system not in dict(players)]:
                print(f"no time for {scenario} by {', '.join(left_out)}", file=sys.stderr)
            lines.extend(
                await asyncio.gather(
                    *(
                        play(system, own, scenario, is_quick=is_quick, seed=seed, ends_s=ends_s)
                        for system, own in players
                    )
                )
            )

    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for _ in range(min(QUICK_AT_ONCE, len(scenarios)) if is_quick else 1):
            own = [
                await stack.enter_async_context(await EmbeddedServers.start(replicas=0, cache=CacheKind.NONE))
                for _ in systems
            ]
            group.create_task(play_on(own))
    return sorted(lines, key=lambda line: scenarios.index(line["scenario"]))


async def play(
    system: System, servers: EmbeddedServers, scenario: str, *, is_quick: bool, seed: int, ends_s: float
) -> Line:
    """Play a scenario against a system, print its line and return it."""
    line: Line = {"scenario": scenario, "system": system.name, "seed": seed, "held": False}
    began_s = time.monotonic()
    dice, chosen = random.Random(seed), SCENARIOS[scenario]
    try:
        async with (
            asyncio.timeout(ends_s - began_s),
            _with_standbys(servers, chosen.standbys) as own,
            _with_cluster(system) as player,
            Ground.opened(player, own, scenario, workers=WORKERS, dice=dice, do=chosen.do) as ground,
        ):
            found = await chosen.play(ground, is_quick)
        line |= {
            "held": not found.missed,
            **found.figures,
            "missed": found.missed,
            "late": found.late[:LATE_MAX],
        }
    except* (OfflineError, EntresolError, TimeoutError, OSError) as errors:
        line["error"] = "; ".join(str(error) or "out of time" for error in errors.exceptions)
    line["seconds"] = round(time.monotonic() - began_s, 1)
    print(json.dumps(line), flush=True)
    return line


@asynccontextmanager
async def _with_standbys(servers: EmbeddedServers, count: int) -> AsyncIterator[EmbeddedServers]:
    """Give the servers, or, where standbys are asked for, others: of those that fail over, none is as it was."""
    if not count:
        yield servers
        return
    async with await EmbeddedServers.start(replicas=count, cache=CacheKind.NONE) as own:
        yield own


@asynccontextmanager
async def _with_cluster(system: System) -> AsyncIterator[System]:
    """Give the system, with a new cluster for its queue where it has one of its own."""
    if not isinstance(system, Apart):
        yield system
        return
    async with await EmbeddedServers.start(replicas=0, cache=CacheKind.NONE) as servers:
        yield dataclasses.replace(system, cluster=servers.write_url)


def table(lines: Sequence[Line]) -> str:
    """Return the systems side by side, for people."""
    systems = list(dict.fromkeys(line["system"] for line in lines))
    rows = [("scenario", "", *systems)]
    for scenario in dict.fromkeys(line["scenario"] for line in lines):
        by_system = {line["system"]: line for line in lines if line["scenario"] == scenario}
        figures = dict.fromkeys(
            name for line in by_system.values() for name in line if name not in _NO_FIGURES
        )
        for figure in figures:
            cells = (_cell(by_system.get(system, {}).get(figure)) for system in systems)
            rows.append((scenario if figure == "held" else "", figure, *cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _cell(value: object) -> str:
    words = {True: "yes", False: "NO", None: "-"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def main() -> None:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="make offline-faults ARGS=...", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer faults, within three minutes")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=list(SYSTEMS))
    parser.add_argument("--scenarios", nargs="+", choices=list(SCENARIOS), default=list(SCENARIOS))
    parser.add_argument("--own-cluster", action="store_true", help="ours alone, its queue in another cluster")
    parser.add_argument("--seed", type=int, help="of the moments of faults; a line tells it")
    given = parser.parse_args()
    systems = [APART] if given.own_cluster else [SYSTEMS[name] for name in given.systems]
    if missing := {system.python for system in systems if not Path(system.python).exists()}:
        parser.error(f"{missing.pop()} is missing: run `make peers`, or choose --systems {OURS.name}")
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    seconds = QUICK_S_MAX if given.quick else ALL_S_MAX
    try:
        lines = asyncio.run(run(systems, given.scenarios, is_quick=given.quick, seed=seed, seconds=seconds))
    except asyncio.CancelledError:
        sys.exit(130)
    print(table(lines), file=sys.stderr)
    sys.exit(0 if all(line["held"] for line in lines if line["system"] in (OURS.name, APART.name)) else 1)


if __name__ == "__main__":
    main()
