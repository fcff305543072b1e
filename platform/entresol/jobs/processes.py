"""Processes of their own for attempts that may do anything: told to end, each does, and it takes nobody along."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

from entresol.config import Settings
from entresol.errors import EntresolError
from entresol.jobs.frames import Failure, Ready, Report, Start, Told, encoded, received
from entresol.jobs.kinds import DescribedError, Reports
from entresol.jobs.watch import handed_on
from entresol.storage.jobs import Claimed

log = logging.getLogger(__name__)

# Which knows what stands above this layer: how the functions are found.
PROGRAM = (sys.executable, "-P", "-m", "entresol.cli.isolated")
START_S = 60.0  # for a process to be ready
AGAIN_S = 2.0  # until another is started, when one could not be
END_S = 2.0  # from SIGTERM to SIGKILL
LAST_S = 0.5  # for what a process said before it ended to be heard
ATTEMPTS_MAX = 100  # of one process
GROWTH_BYTES_MAX = 256 * 1024 * 1024


class ProcessEndedError(EntresolError):
    """The process of an attempt ended before the attempt did, by a signal or with a status."""

    reason = "PROCESS_ENDED"

    def __init__(self, status: int) -> None:
        how = f"was ended by {_signal_name(-status)}" if status < 0 else f"ended with status {status}"
        super().__init__(f"the attempt's process {how}", metadata={"how": how})


class Process:
    """One process, which makes one attempt at a time."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._exited = asyncio.ensure_future(process.wait())
        self._attempts = 0
        self._size_bytes_first = 0
        self._is_free = False

    @classmethod
    async def start(cls, start: Start) -> Process:
        """Start a process that takes attempts.

        Raises:
            ProcessEndedError: it does not, and ended.
            TimeoutError: nor did it end.
        """
        ours, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                *PROGRAM,
                str(its.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(its.fileno(),),
                start_new_session=True,  # a signal to the worker's group is not meant for it; one to its own is
            )
        started = cls(process, *await asyncio.open_unix_connection(sock=ours))
        try:
            started._writer.write(encoded(start))
            async with asyncio.timeout(START_S):
                ready = await started._hear()
            assert isinstance(ready, Ready)
            started._size_bytes_first = ready.size_bytes
            started._is_free = True
        except BaseException:
            await started.end()
            raise
        return started

    @property
    def is_there(self) -> bool:
        """Tell whether the process has not ended."""
        return not self._exited.done()

    @property
    def is_free(self) -> bool:
        """Tell whether the process is there, and fit to make an attempt now."""
        return self._is_free and self.is_there

    async def run(self, claimed: Claimed, reports: Reports) -> bytes:
        """Make an attempt and return its result. If it is cancelled, `end` is to follow.

        Raises:
            DescribedError: the attempt failed.
            ProcessEndedError: the process did not survive it.
        """
        self._is_free = False
        self._attempts += 1
        self._writer.write(encoded(handed_on(claimed)))
        while isinstance(told := await self._hear(), Report):
            reports.tell(told.percent, told.step, told.checkpoint)
        assert not isinstance(told, Ready)
        has_grown = told.size_bytes - self._size_bytes_first > GROWTH_BYTES_MAX
        self._is_free = self._attempts < ATTEMPTS_MAX and not has_grown
        if isinstance(told, Failure):
            raise DescribedError(told.text, told.pause_s)
        return told.data

    async def end(self) -> None:
        """Ask the process, and all that it started, to end; then kill them."""
        self._is_free = False
        self._signal(signal.SIGTERM)
        await asyncio.wait((self._exited,), timeout=END_S)
        self._signal(signal.SIGKILL)
        await asyncio.wait((self._exited,))
        self._writer.close()

    async def _hear(self) -> Told:
        heard = asyncio.ensure_future(received(self._reader))
        try:
            await asyncio.wait((heard, self._exited), return_when=asyncio.FIRST_COMPLETED)
            # What it started may still have the socket, of which there is no end then.
            await asyncio.wait((heard,), timeout=LAST_S if self._exited.done() else None)
            if not heard.done() or isinstance(heard.exception(), EOFError | OSError):
                await self.end()
                raise ProcessEndedError(self._exited.result())
            return heard.result()
        finally:
            heard.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class Processes:
    """The processes of one worker: started as there is work, and kept. `changed` is called when there are more."""

    def __init__(self, settings: Settings, changed: Callable[[], None]) -> None:
        level = logging.getLogger().getEffectiveLevel()
        self._start = Start(settings, tuple(sys.path), level)
        self._count_max = settings.jobs_processes or os.cpu_count() or 1
        self._changed = changed
        self._all: set[Process] = set()
        self._starting: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._again_s = 0.0  # on the loop's clock

    @property
    def count(self) -> int:
        """Return how many attempts can be made at once by now."""
        return sum(process.is_there for process in self._all)

    def want(self) -> None:
        """Start another process, unless one is being started, or there are as many as there may be."""
        for process in [process for process in self._all if not process.is_there]:
            self._let_go(process)
        is_time = asyncio.get_running_loop().time() >= self._again_s
        if self._starting is None and len(self._all) < self._count_max and is_time:
            self._starting = asyncio.create_task(self._start_one(), name="entresol process")

    async def run(self, claimed: Claimed, reports: Reports) -> bytes:
        """Make an attempt in a process that is free; what is raised is as for `Process.run`."""
        process = next((process for process in self._all if process.is_free), None)
        if process is None:  # the one that was free when the job was claimed has died
            process = await Process.start(self._start)
            self._all.add(process)
        try:
            return await process.run(claimed, reports)
        except DescribedError:
            raise
        except BaseException:
            await process.end()
            raise
        finally:
            if not process.is_free:
                self._let_go(process)

    async def close(self) -> None:
        """End them all."""
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        for process in [*self._all]:
            self._let_go(process)
        if self._ending:
            await asyncio.wait(self._ending)

    async def _start_one(self) -> None:
        try:
            process = await Process.start(self._start)
            self._all.add(process)
        except (ProcessEndedError, TimeoutError, OSError) as error:
            log.error("a process for isolated jobs could not be started, and is tried again: %s", error)
            self._again_s = asyncio.get_running_loop().time() + AGAIN_S
        finally:
            self._starting = None
            self._changed()

    def _let_go(self, process: Process) -> None:
        self._all.discard(process)
        ending = asyncio.create_task(process.end())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
