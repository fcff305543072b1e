"""Several `entresol serve` behind one client, each a process that a test may kill, stop or drain; and callers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import grpc
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc

from entresol_client import EntresolError, trace

ENTRESOL = (sys.executable, "-m", "entresol.cli.main")
WAIT_S = 60.0
CALLERS = 8


@dataclass
class Server:
    """One process."""

    process: subprocess.Popen[str]
    address: str

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def calls(self) -> int:
        """Return how many calls it has begun, health checks and this one included."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self.address, options=options) as channel:
            stub = channelz_pb2_grpc.ChannelzStub(channel)
            (server,) = stub.GetServers(channelz_pb2.GetServersRequest(), timeout=WAIT_S).server
            return int(server.data.calls_started)


@contextmanager
def serving(environment: Mapping[str, str], count: int) -> Iterator[list[Server]]:
    """Start so many servers at the same time, and give them once all serve."""
    with ExitStack() as stack:
        processes = [stack.enter_context(_process(environment)) for _ in range(count)]
        yield [Server(process, _address(process)) for process in processes]


@contextmanager
def _process(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        (*ENTRESOL, "serve"),
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.communicate(timeout=WAIT_S)


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("serving "), line
    return line.rpartition(" ")[2].strip()


@dataclass
class Load:
    """Callers in threads, who make the calls by turns until the block ends; what became of them, by name."""

    calls: Mapping[str, Callable[[], object]]
    done: Counter[str] = field(default_factory=Counter)
    failed: dict[str, list[EntresolError]] = field(default_factory=lambda: defaultdict(list))
    repeated: int = 0  # attempts beyond the first of each call
    _moved: threading.Condition = field(default_factory=threading.Condition)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Call while the block lasts."""
        threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join(WAIT_S)
        assert not any(thread.is_alive() for thread in threads)

    def more(self, count: int) -> None:
        """Return when each call was made so many times more."""
        wanted = {name: self.done[name] + count for name in self.calls}
        with self._moved:
            reached = self._moved.wait_for(
                lambda: all(self.done[name] >= number for name, number in wanted.items()), WAIT_S
            )
        assert reached, (self.done, self.failed)

    def _run(self) -> None:
        while not self._over.is_set():
            for name, call in self.calls.items():
                with trace() as attempts:
                    try:
                        call()
                    except EntresolError as error:
                        self.failed[name].append(error)
                with self._moved:
                    self.done[name] += 1
                    self.repeated += sum(made.attempts - 1 for made in attempts)
                    self._moved.notify_all()
