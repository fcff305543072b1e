"""Our client finds servers by xds:///: a control plane tells it of them, and of those that come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.many_servers import WAIT_S, Server
from tests.e2e.test_many_servers import READER, addresses, database, pair
from tests.e2e.xds.control_plane import NAME, ControlPlane

__all__ = ["database", "pair"]  # fixtures


@dataclass
class Caller:
    """A process that reads."""

    process: subprocess.Popen[str]

    def more(self, hundreds: int) -> None:
        """Return when it has made so many hundred calls more."""
        assert self.process.stdout is not None
        for _ in range(hundreds):
            assert self.process.stdout.readline() == "called\n"

    def end(self) -> dict[str, int]:
        """Have it end, and return what became of its calls."""
        told, _ = self.process.communicate("", timeout=WAIT_S)
        outcomes: dict[str, int] = json.loads(told.splitlines()[-1])
        return outcomes


@contextmanager
def calling(plane: ControlPlane) -> Iterator[Caller]:
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.e2e.xds.caller", f"xds:///{NAME}", READER),
        env={**os.environ, **plane.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Caller(process)
    finally:
        process.kill()
        process.wait()


def test_servers_are_found_left_and_taken_back_as_the_control_plane_tells(
    pair: list[Server], tmp_path: Path
) -> None:
    with ControlPlane(tmp_path).running() as plane:
        plane.tell(addresses(pair))
        with calling(plane) as caller:
            assert min(shares(pair, caller)) > 100, "both are asked in turn"
            plane.tell(addresses(pair)[1:])
            caller.more(1)
            assert shares(pair, caller)[0] < 100, "the first is asked no more, but for what this test asks"
            plane.tell(addresses(pair))
            caller.more(1)
            assert min(shares(pair, caller)) > 100
            assert set(caller.end()) == {"OK"}
        assert plane.refused == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_goes_costs_no_read(pair: list[Server], tmp_path: Path, number: signal.Signals) -> None:
    with ControlPlane(tmp_path).running() as plane:
        plane.tell(addresses(pair))
        with calling(plane) as caller:
            assert min(shares(pair, caller)) > 100
            pair[0].send(number)
            caller.more(3)
            assert set(caller.end()) == {"OK"}


def shares(pair: list[Server], caller: Caller) -> list[int]:
    """Return how many calls each server began while four hundred were made."""
    before = [server.calls() for server in pair]
    caller.more(4)
    return [server.calls() - was for server, was in zip(pair, before, strict=True)]
