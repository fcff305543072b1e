"""The process of isolated attempts: makes one at a time, as the worker that started it says, and ends with it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

from entresol.jobs.frames import Channel, Failure, Ready, Report, Result
from entresol.jobs.kinds import Kinds, Reports, retry_s
from entresol.jobs.watch import followed
from entresol.storage.jobs import Claimed

REPORT_S = 0.2
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, whatever it is doing; and first where memory ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def limit_memory(size_bytes_max: int) -> None:
    """Take no more memory than this, of what the process may write to; 0: as much as there is."""
    if size_bytes_max:
        resource.setrlimit(resource.RLIMIT_DATA, (size_bytes_max, size_bytes_max))


class Isolated:
    """Makes the attempts that come over `channel`. Threads hear and report, for a function may block all else."""

    def __init__(self, channel: Channel, kinds: Kinds) -> None:
        self._channel = channel
        self._kinds = kinds
        self._claims: asyncio.Queue[Claimed | None] = asyncio.Queue()
        self._work: asyncio.Future[bytes] | None = None
        self._is_told = False

    async def run(self) -> None:
        """Make attempts until the worker is gone, or SIGTERM asks for the end."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._tell)
        threading.Thread(target=self._hear, args=(loop,), daemon=True).start()
        self._channel.send(Ready(_size_bytes()))
        while (claimed := await self._claims.get()) is not None and not self._is_told:
            await self._attempt(claimed)

    async def _attempt(self, claimed: Claimed) -> None:
        reports, ended = Reports(), threading.Event()
        telling = threading.Thread(target=self._report, args=(reports, ended), daemon=True)
        telling.start()
        end = await self._end(claimed, reports)
        ended.set()
        telling.join()
        if end is not None:
            self._channel.send(end)

    async def _end(self, claimed: Claimed, reports: Reports) -> Result | Failure | None:
        kind = self._kinds[claimed.kind]
        try:
            with followed(claimed):
                self._work = asyncio.ensure_future(kind.run(claimed, reports))
                return Result(await self._work, _size_bytes())
        except (Exception, asyncio.CancelledError) as error:
            if self._is_told:  # and the worker hears no more
                return None
            known = error if isinstance(error, Exception) else RuntimeError("the function cancelled itself")
            pause_s = retry_s(known, claimed.number, claimed.attempts_max)
            return Failure(pause_s, kind.describe(known, claimed), _size_bytes())
        finally:
            self._work = None

    def _tell(self) -> None:
        """End what runs; what does not hear of it is killed soon."""
        self._is_told = True
        self._claims.put_nowait(None)
        if self._work is not None:
            self._work.cancel()

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        while (claimed := self._channel.receive()) is not None:
            loop.call_soon_threadsafe(self._claims.put_nowait, claimed)
        if self._work is not None:
            os.killpg(0, signal.SIGKILL)  # nobody waits for it, and others have the job
        with suppress(RuntimeError):  # it ends already
            loop.call_soon_threadsafe(self._claims.put_nowait, None)

    def _report(self, reports: Reports, ended: threading.Event) -> None:
        while True:
            is_over = ended.wait(REPORT_S)
            if reports.take():
                self._channel.send(Report(reports.percent, reports.step, reports.checkpoint))
            if is_over:
                return


def _size_bytes() -> int:
    """Return the memory that this process has; 0 where one cannot tell."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
