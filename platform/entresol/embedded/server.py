"""What every embedded server can do: start, stop, be killed, be paused."""

from __future__ import annotations

import signal
from pathlib import Path

from entresol.embedded.polling import until
from entresol.embedded.processes import Processes, last_lines
from entresol.errors import ServerStartError

START_S = 60.0  # recovery after a crash may take its time
STOP_S = 10.0


class Server:
    """One server: a process tree with a data folder and a log. One call at a time."""

    _stop_signal = signal.SIGTERM
    _quit_signal = signal.SIGTERM

    def __init__(self, name: str, processes: Processes, folder: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self._processes = processes
        self._folder = folder
        self._started = False

    @property
    def argv(self) -> list[str]:
        """Return the command line."""
        raise AssertionError("a subclass says it")

    async def start(self) -> None:
        """Start the server, unless it runs, and return when it answers.

        Raises:
            ServerStartError: it ended instead, or did not answer in time.
        """
        if await self.is_running():
            return
        await self._prepare()
        pid = await self._processes.start(self.name, self.argv, self._folder, self.log, self._quit_signal)
        self._started = True

        async def is_settled() -> bool:
            return await self._answers(pid) or not await self.is_running()

        if not await until(is_settled, START_S):
            await self.kill()
            raise ServerStartError(f"{self.name} was not ready after {START_S:g} s. {last_lines(self.log)}")
        if not await self.is_running():
            raise ServerStartError(f"{self.name} ended while it started. {last_lines(self.log)}")

    async def stop(self) -> None:
        """Stop the server in order: sessions are cut, data written out. It is killed if that takes too long."""
        if not await self.is_running():
            return
        await self._processes.signal(self.name, self._stop_signal)
        await self._processes.signal_tree(self.name, signal.SIGCONT)
        if not await self._processes.has_ended(self.name, STOP_S):
            await self.kill()

    async def kill(self) -> None:
        """End the whole process tree with SIGKILL, as a power cut would, and return when it is gone."""
        if self._started:
            await self._processes.signal_tree(self.name, signal.SIGKILL)

    async def pause(self) -> None:
        """Stop the whole process tree where it stands (SIGSTOP): it accepts connections and never answers."""
        await self._processes.signal_tree(self.name, signal.SIGSTOP)

    async def resume(self) -> None:
        """Let the process tree go on after `pause`."""
        await self._processes.signal_tree(self.name, signal.SIGCONT)

    async def is_running(self) -> bool:
        """Say whether the main process lives, paused or not."""
        return self._started and await self._processes.exit_code(self.name) is None

    async def _prepare(self) -> None:
        """Do what must be done before each start."""

    async def _answers(self, pid: int) -> bool:
        raise AssertionError("a subclass says it")
