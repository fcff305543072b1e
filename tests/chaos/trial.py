"""One scenario, played and judged: from nothing running to nothing running, with a verdict in between."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.chaos.calls import WireServers
from tests.chaos.ground import ChaosError, Ground
from tests.chaos.operation import Operation
from tests.chaos.scenarios import Scenario
from tests.chaos.verdict import Evidence, Verdict, judge
from tests.chaos.worker import AFTER
from tests.chaos.workload import Client, Failure, Requests

from entresol.app import load_model
from entresol.config import Settings
from entresol.embedded.polling import until

SETTLE_S = 60.0
PROBE = "users/probe"


async def play(scenario: Scenario, seed: int, *, quick: bool, keep: Path | None = None) -> Verdict:
    """Play the scenario once and judge it; histories and logs are copied to `keep`.

    Raises:
        ChaosError: it could not be played to the end.
    """
    seconds = scenario.quick_seconds if quick else scenario.seconds
    folder = Path(tempfile.mkdtemp(prefix="entresol-chaos-"))
    try:
        async with Ground.opened(scenario.cast, folder, seed, seconds) as ground:
            try:
                await scenario.play(ground)
                evidence = await _finish(ground)
            finally:
                if keep is not None:
                    shutil.copytree(folder, keep / scenario.name, dirs_exist_ok=True)
        return judge(scenario, seed, evidence)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _finish(ground: Ground) -> Evidence:
    """See everything recover under load, then end the load, and read every key everywhere."""
    healed_s = max((fault.end_s for fault in ground.faults), default=time.monotonic())
    requests = Requests(load_model(Settings.load({}, protos=str(ground.folder / "protos.binpb"))), 0)
    after: list[Operation] = []
    probes: list[Operation] = []
    failures: list[Failure] = []
    wires = {name: WireServers([ground.address(name)], random.Random(0)) for name in ground.server_names}

    def reader(name: str, notes: list[Operation]) -> Client:
        return Client(
            name, [wires[name.rpartition(" ")[2]]], requests, random.Random(0), notes.append, failures.append
        )

    try:
        for number, name in enumerate(wires):
            await _answers(reader(f"probe {name}", probes), number)
        if ground.relay_names:
            await ground.caught_up(SETTLE_S)
        recovery_s = time.monotonic() - healed_s
        for plan in ground.plans:
            await ground.processes.signal(f"worker-{plan.number}", signal.SIGUSR1)
        for plan in ground.plans:
            await ground.appears(plan.quiet)
        ends_s = time.monotonic()
        await _settle(ground)
        keys = sorted({*ground.cast.crowd.every(), *ground.cast.crowd.common()})
        for name in wires:
            for key in keys:
                await reader(f"{AFTER} {name}", after).read(key, "EVENTUAL")
    finally:
        for wire in wires.values():
            await wire.close()
    for plan in ground.plans:
        await ground.kill(f"worker-{plan.number}", signal.SIGTERM)
    rows = await ground.rows()
    operations = [*itertools.chain.from_iterable(_operations(plan.history) for plan in ground.plans), *probes]
    failed = list(itertools.chain.from_iterable(_failures(plan.failures) for plan in ground.plans))
    return Evidence(
        operations=[one for one in operations if not one.session.startswith(AFTER)] + ground.noted,
        after=after + [one for one in operations if one.session.startswith(AFTER)],
        failures=failed,
        faults=ground.faults,
        rows={key: rows.get(key) for key in {*keys, *rows}},
        ends_s=ends_s,
        recovery_s=max(0.0, recovery_s),
        loss=ground.loss,
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


async def _settle(ground: Ground) -> None:
    """Return when replicas and cache have all that is committed."""
    await ground.settle(SETTLE_S)
    if ground.relay_names:
        await ground.caught_up(SETTLE_S)


def _operations(path: Path) -> Iterable[Operation]:
    with path.open() as file:
        for line in file:
            yield Operation(*json.loads(line))


def _failures(path: Path) -> Sequence[Failure]:
    with path.open() as file:
        return [Failure(*json.loads(line)) for line in file]
