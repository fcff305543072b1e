"""The protocol in every state of small worlds, then random histories on real servers: `make consistency`.

Prints a line for each case of the model, a line of JSON for each history, and a table; the exit status is 1 when
anything was not as it must be. A history is random in its dice, not in how the servers interleave: its seed brings back
who does what, not the same run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict

from tests.consistency.protocol_model import ALL, QUICK, check
from tests.consistency.scenarios import SCENARIOS, Scenario, Verdict, play
from tests.integration.cache.conftest import migrate_items
from tests.integration.cache.stage import Stage

from entresol.config import Settings
from entresol.embedded import EmbeddedServers
from entresol.testing.servers import Databases


def main(arguments: Sequence[str]) -> int:
    """Check the model, play the histories, and return the exit status."""
    options = _options(arguments)
    is_good = options.no_model or check(QUICK if options.quick else ALL)
    seconds = options.seconds or (6.0 if options.quick else 60.0)
    scenarios = [
        scenario for scenario in SCENARIOS if not options.scenarios or scenario.name in options.scenarios
    ]
    print(f"histories, {seconds:g} s each, seed {options.seed}", flush=True)
    verdicts = asyncio.run(_play(scenarios * options.rounds, seconds, options.seed))
    _summarize(verdicts)
    return 0 if is_good and all(verdict.is_good for verdict in verdicts) else 1


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.consistency", description=summary)
    parser.add_argument(
        "scenarios", nargs="*", help=f"of {', '.join(repr(s.name) for s in SCENARIOS)}; all if none"
    )
    parser.add_argument(
        "--quick", action="store_true", help="small cases of the model, and histories of seconds"
    )
    parser.add_argument("--no-model", action="store_true", help="histories only")
    parser.add_argument("--seconds", type=float, help="of each history: 60, or 6 with --quick")
    parser.add_argument("--rounds", type=int, default=1, help="how often each scenario is played")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 32), help="of the dice; random if not given"
    )
    return parser.parse_args(arguments)


async def _play(scenarios: Sequence[Scenario], seconds: float, seed: int) -> list[Verdict]:
    verdicts = []
    async with _servers() as servers:
        databases = Databases(servers)
        for number, scenario in enumerate(scenarios):
            database = await databases.create(migrate_items)
            await servers.redis.command("FLUSHALL")
            async with Stage.open(database, servers.redis.url(0)) as stage:
                verdict = await play(stage, scenario, seed + number, seconds)
            await databases.drop(database)
            print(json.dumps({**asdict(verdict), "is_good": verdict.is_good}), flush=True)
            verdicts.append(verdict)
    return verdicts


@asynccontextmanager
async def _servers() -> AsyncIterator[EmbeddedServers]:
    settings = Settings.load()
    servers = await EmbeddedServers.start(
        replicas=1, postgres_bin=settings.postgres_bin, redis_bin=settings.redis_bin
    )
    try:
        yield servers
    finally:
        await servers.stop()


def _summarize(verdicts: Sequence[Verdict]) -> None:
    print(f"\n{'history':20} {'seed':>10} {'hits':>8} {'fills':>8} {'wrong':>6} {'stale':>6}")
    for verdict in verdicts:
        hits, fills = verdict.counts.get("hit", 0), verdict.counts.get("fill", 0)
        wrongs, stale = len(verdict.wrongs), len(verdict.stale)
        mark = "" if verdict.is_good else "  FAIL"
        print(f"{verdict.scenario:20} {verdict.seed:10} {hits:8,} {fills:8,} {wrongs:6} {stale:6}{mark}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
