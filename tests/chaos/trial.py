"""One scenario, played and judged: from nothing running to nothing running, with a verdict in between."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.chaos.calls import WireServers
from tests.chaos.ground import ChaosError, Ground
from tests.chaos.scenarios import Scenario
from tests.chaos.verdict import Evidence, Verdict, judge
from tests.chaos.worker import AFTER
from tests.chaos.workload import Client, Failure
from tests.consistency.checks.operation import Operation

from entresol.embedded.polling import until

SETTLE_S = 60.0
PROBE = "users/probe"


async def play(scenario: Scenario, seed: int, *, quick: bool, keep: Path | None = None) -> Verdict:
    """Play the scenario once and judge it; histories and logs are copied to `keep`.

    Raises:
        ChaosError: it could not be played to the end.
    """
    seconds = scenario.quick_seconds if quick else scenario.seconds
    cast = scenario.cast.smaller() if quick else scenario.cast
    folder = Path(tempfile.mkdtemp(prefix="entresol-chaos-"))
    try:
        async with Ground.opened(cast, folder, seed, seconds) as ground:
            try:
                await _break(scenario, ground)
                recovery_s = await _recover(ground)
                await asyncio.sleep(ground.ends_s - time.monotonic())
                evidence = await _finish(ground, recovery_s)
            finally:
                if keep is not None:
                    shutil.rmtree(keep / scenario.name, ignore_errors=True)
                    shutil.copytree(folder, keep / scenario.name)
        return judge(scenario, seed, evidence)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _break(scenario: Scenario, ground: Ground) -> None:
    """Break things until the time is over, and leave everything working."""
    for action in scenario.before:
        await action(ground)
    for number in range(scenario.actions_max):
        # Dice of its own for each: how often one rolls them, which may depend on what it finds, changes no other.
        ground.dice = random.Random(f"{ground.seed}/{number}")
        calm_s = ground.dice.uniform(*scenario.calm_s)
        if time.monotonic() + calm_s > ground.ends_s:
            break
        await asyncio.sleep(calm_s)
        await ground.dice.choice(scenario.actions)(ground)
    for action in scenario.at_last:
        await action(ground)
    await ground.heal()


async def _recover(ground: Ground) -> float:
    """Return how long after the last fault every server answered and the cache had caught up, under load."""
    healed_s = max((fault.end_s for fault in ground.faults), default=time.monotonic())
    for number, name in enumerate(ground.server_names):
        async with _reader(ground, name, f"probe {name}", ground.noted) as client:
            await _answers(client, number)
    if ground.relay_names:
        await ground.caught_up(SETTLE_S)
    return time.monotonic() - healed_s


async def _finish(ground: Ground, recovery_s: float) -> Evidence:
    """End the load, let everything settle, and read every key everywhere."""
    for plan in ground.plans:
        await ground.processes.signal(f"worker-{plan.number}", signal.SIGUSR1)
    for plan in ground.plans:
        await ground.appears(plan.quiet)
    await ground.settle(SETTLE_S)
    if ground.relay_names:
        await ground.caught_up(SETTLE_S)
    after: list[Operation] = []
    keys = sorted({*ground.cast.crowd.every(), *ground.cast.crowd.common()})
    for name in ground.server_names:
        async with _reader(ground, name, f"{AFTER} {name}", after) as client:
            for key in keys:
                await client.read(key, "EVENTUAL")
    for plan in ground.plans:
        await ground.kill(f"worker-{plan.number}", signal.SIGTERM)
    rows = await ground.rows()
    operations = [*itertools.chain.from_iterable(_operations(plan.history) for plan in ground.plans)]
    failed = list(itertools.chain.from_iterable(_failures(plan.failures) for plan in ground.plans))
    return Evidence(
        operations=[one for one in operations if not one.session.startswith(AFTER)] + ground.noted,
        after=after + [one for one in operations if one.session.startswith(AFTER)],
        failures=failed,
        faults=ground.faults,
        rows={key: rows.get(key) for key in {*keys, *rows, *(one.key for one in operations)}},
        recovery_s=max(0.0, recovery_s),
        loss=ground.loss,
        lag=ground.lag,
        figures=ground.figures,
    )


async def _answers(client: Client, number: int) -> None:
    """Return when a server writes and reads."""
    values = itertools.count(1)

    async def does() -> bool:
        key = f"{PROBE}-{number}-{next(values)}"
        written = await client.write(key, 1, missing=True)
        return written.outcome == "ok" and (await client.read(key, "SESSION")).outcome == "ok"

    if not await until(does, SETTLE_S):
        raise ChaosError(f"server {number + 1} does not answer {SETTLE_S:g} s after the last fault")


@asynccontextmanager
async def _reader(ground: Ground, server: str, session: str, notes: list[Operation]) -> AsyncIterator[Client]:
    """Give a client of one server, which notes what it does."""
    wire = WireServers([ground.address(server)], random.Random(0))
    refused: list[Failure] = []
    try:
        yield Client(session, [wire], ground.requests, random.Random(0), notes.append, refused.append)
    finally:
        await wire.close()


def _operations(path: Path) -> Iterable[Operation]:
    with path.open() as file:
        for line in file:
            yield Operation(*json.loads(line))


def _failures(path: Path) -> Sequence[Failure]:
    with path.open() as file:
        return [Failure(*json.loads(line)) for line in file]
