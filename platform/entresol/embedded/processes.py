"""The parent's end of the guard: starts, signals and ends server processes from any thread and event loop."""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any, cast

from entresol.embedded import guard
from entresol.embedded.accounts import Account
from entresol.embedded.polling import until
from entresol.errors import ServerStartError

ANSWER_S = 15.0
END_S = 20.0


class Processes:
    """Server processes by name, owned by a guard that ends them when this process is gone, however it went.

    A new name starts a new process; a name may be used again once its process has ended.
    """

    def __init__(
        self, account: Account | None, temporary: Sequence[Path], log: Path, held: Sequence[int] = ()
    ) -> None:
        """Start the guard: it removes the `temporary` folders at the end and holds the files `held` until then."""
        self._account = [account.user, account.group] if account else None
        self._lock = threading.Lock()
        argv = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *map(str, temporary)]
        with log.open("ab") as errors:
            self._guard = subprocess.Popen(  # noqa: S603 (this very interpreter and package)
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                pass_fds=tuple(held),
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the parent
            )

    async def start(
        self, name: str, argv: Sequence[str], folder: Path, log: Path, quit_signal: Signals
    ) -> int:
        """Start a process in `folder` and return its id; `quit_signal` makes it end at once, but in order."""
        return cast(
            int,
            await self._ask(
                "start",
                name=name,
                argv=list(argv),
                folder=str(folder),
                log=str(log),
                account=self._account,
                quit_signal=quit_signal,
            ),
        )

    async def exit_code(self, name: str) -> int | None:
        """Return how the process ended (negative: by which signal), or None while it runs."""
        return cast("int | None", await self._ask("exit_code", name=name))

    async def has_ended(self, name: str, timeout_s: float) -> bool:
        """Wait for the process to end, no longer than `timeout_s`."""

        async def ended() -> bool:
            return await self.exit_code(name) is not None

        return await until(ended, timeout_s)

    async def signal(self, name: str, number: Signals) -> None:
        """Send a signal to the main process of `name`."""
        await self._ask("signal", name=name, number=number)

    async def signal_tree(self, name: str, number: Signals) -> None:
        """Send a signal to the process and its descendants; after SIGKILL, return when all are gone."""
        await self._ask("signal_tree", name=name, number=number)

    async def run(self, name: str, argv: Sequence[str], folder: Path, log: Path, *, timeout_s: float) -> None:
        """Run a program to its end.

        Raises:
            ServerStartError: it failed, or took longer than `timeout_s`.
        """
        await self.start(name, argv, folder, log, SIGTERM)
        if not await self.has_ended(name, timeout_s):
            await self.signal_tree(name, SIGKILL)
            raise ServerStartError(
                f"{argv[0]} took more than {timeout_s:g} s and was ended\n{last_lines(log)}"
            )
        if await self.exit_code(name):
            raise ServerStartError(f"{argv[0]} failed\n{last_lines(log)}")

    async def close(self) -> None:
        """End every process, remove the temporary folders, and return when that is done."""
        await asyncio.to_thread(self._close)

    async def _ask(self, do: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._exchange, {"do": do, **arguments})

    def _exchange(self, request: dict[str, Any]) -> Any:
        with self._lock:
            if self._guard.returncode is not None:
                raise ServerStartError("the embedded servers were stopped")
            answer = json.loads(
                self._send(json.dumps(request).encode() + b"\n") or '{"error": "the guard process ended"}'
            )
        if "error" in answer:
            raise ServerStartError(f"{request['do']} {request['name']}: {answer['error']}")
        return answer["value"]

    def _send(self, line: bytes) -> bytes:
        """Return the guard's answer; empty when it is gone or silent."""
        requests, answers = self._guard.stdin, self._guard.stdout
        assert requests is not None
        assert answers is not None
        try:
            requests.write(line)
            requests.flush()
        except BrokenPipeError:
            return b""
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            if selector.select(ANSWER_S):
                return answers.readline()
        self._guard.kill()  # a late answer would be taken for another's; the servers end with their guard
        return b""

    def _close(self) -> None:
        with self._lock:
            if self._guard.returncode is not None:
                return
            try:
                self._guard.communicate(timeout=END_S)  # it takes the end of its input as the end
            except subprocess.TimeoutExpired:
                self._guard.kill()
                self._guard.communicate()


def last_lines(log: Path, count: int = 12) -> str:
    """Return the end of a log, for an error's text."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-count:]
    except OSError:
        lines = []
    return (
        "\n".join([f"The log {log} ends with:", *(f"  {line}" for line in lines)])
        if lines
        else f"{log} is empty."
    )
