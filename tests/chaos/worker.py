"""A process of clients: reads its plan, lives it until told to be quiet, and leaves its history in files.

SIGUSR1 ends the load. SIGTERM has every key read once more at every server, and ends the process.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import uvloop
from tests.chaos.calls import PlatformServer, Server, WireServers
from tests.chaos.naive import NaiveServer
from tests.chaos.server import lose_puts
from tests.chaos.workload import Client, Crowd, Failure, Requests, live
from tests.consistency.checks.operation import Operation

from entresol.app import Platform, load_model
from entresol.config import Settings

AFTER = "after"  # the session that reads everything when all is quiet
_OPERATION, _FAILURE = (
    attrgetter(*(field.name for field in dataclasses.fields(kind))) for kind in (Operation, Failure)
)


@dataclass(frozen=True)
class Plan:
    """What one worker does. `way`: platform (in this process), wire, or a naive strategy."""

    number: int
    seed: int
    way: str
    settings: dict[str, str]
    addresses: list[str]  # of servers, on the way by wire
    platforms: int  # in this process, on the other ways
    crowd: dict[str, Any]
    pause_s: float
    payload_bytes: int
    lost_puts: float
    folder: str

    @property
    def history(self) -> Path:
        """Return the file of operations."""
        return Path(self.folder) / f"worker-{self.number}.history"

    @property
    def failures(self) -> Path:
        """Return the file of failures."""
        return self.history.with_suffix(".failures")

    @property
    def ready(self) -> Path:
        """Return the file that appears when the load begins."""
        return self.history.with_suffix(".ready")

    @property
    def quiet(self) -> Path:
        """Return the file that appears when the load has ended."""
        return self.history.with_suffix(".quiet")


class Notes:
    """The files of what was seen. A line is written when it is noted: many at once would hold up every call."""

    def __init__(self, plan: Plan, stack: ExitStack) -> None:
        self._history = stack.enter_context(plan.history.open("a"))
        self._failures = stack.enter_context(plan.failures.open("a"))

    def operation(self, operation: Operation) -> None:
        """Note a call."""
        self._history.write(_line(operation, _OPERATION))

    def failure(self, failure: Failure) -> None:
        """Note a call that was not answered."""
        self._failures.write(_line(failure, _FAILURE))


def _line(noted: object, values: attrgetter[tuple[object, ...]]) -> str:
    return f"{json.dumps(values(noted))}\n"


async def work(plan: Plan) -> None:
    """Live the plan."""
    quiet, over = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, quiet.set)
    loop.add_signal_handler(signal.SIGTERM, lambda: (quiet.set(), over.set()))
    settings = Settings.load(plan.settings)
    crowd = Crowd(**plan.crowd)
    lose_puts(plan.lost_puts, random.Random(f"{plan.seed}/{plan.number}/puts"))
    async with AsyncExitStack() as stack:
        notes = Notes(plan, stack.enter_context(ExitStack()))
        servers = await _servers(plan, settings, stack)
        requests = Requests(load_model(settings), plan.payload_bytes)

        def client(name: str, dice: random.Random, among: Sequence[Server]) -> Client:
            return Client(name, among, requests, dice, notes.operation, notes.failure, crowd.hurried)

        plan.ready.touch()
        # Over the wire a call costs the machine twice as much, so fewer make more operations.
        sessions = crowd.sessions // 2 if plan.way == "wire" else crowd.sessions
        lives = [_live(plan, crowd, session, client, servers, quiet) for session in range(sessions)]
        await asyncio.gather(*lives)
        plan.quiet.touch()
        await over.wait()
        if plan.way != "wire":  # the servers behind the wire are asked by whoever runs the faults
            keys = sorted({*crowd.every(), *crowd.common()})
            for number, server in enumerate(servers):
                name = f"{AFTER}-{plan.number}-{number}"
                reader = Client(name, [server], requests, random.Random(0), notes.operation, notes.failure)
                for key in keys:
                    await reader.read(key, "EVENTUAL")


async def _live(
    plan: Plan, crowd: Crowd, session: int, client: Any, servers: list[Server], quiet: asyncio.Event
) -> None:
    dice = random.Random(f"{plan.seed}/{plan.number}/{session}")
    one = client(f"w{plan.number}-{session}", dice, servers)
    await live(one, crowd, plan.number, session, dice, plan.pause_s, quiet)


async def _servers(plan: Plan, settings: Settings, stack: AsyncExitStack) -> list[Server]:
    if plan.way == "wire":
        wire = WireServers(plan.addresses, random.Random(f"{plan.seed}/{plan.number}/wire"))
        stack.push_async_callback(wire.close)
        return [wire]
    servers: list[Server] = []
    for number in range(plan.platforms):
        if plan.way == "platform":
            servers.append(PlatformServer(await stack.enter_async_context(await Platform.open(settings))))
        else:
            dice = random.Random(f"{plan.seed}/{plan.number}/{number}")
            servers.append(await stack.enter_async_context(NaiveServer(settings, plan.way, dice)))
    return servers


if __name__ == "__main__":
    uvloop.run(work(Plan(**json.loads(Path(sys.argv[1]).read_text()))))
