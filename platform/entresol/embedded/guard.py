"""The process that owns the embedded servers: when its parent is gone, they end and their temporary folders go.

`processes.py` runs this file by its path with `python -I -S`, so that it starts in a few milliseconds, and so it
uses the standard library only. Requests and answers are lines of JSON on standard input and output, one at a
time; the end of the input means that the parent is gone. One thread: `preexec_fn` is safe here.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

PARENT_CHECK_S = 1.0
QUIT_S = 5.0
KILL_S = 5.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_IPC_RMID = 0
_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    quit: int

    @property
    def running(self) -> bool:
        return self.process.returncode is None


class Guard:
    """The servers by name, and the requests that the parent may make of them."""

    def __init__(self, temporary: list[str]) -> None:
        self._temporary = temporary
        self._children: dict[str, _Child] = {}
        if _LINUX:  # killed servers leave children behind: they become ours, so that we can see them end
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def start(
        self, name: str, argv: list[str], folder: str, log: str, account: list[int] | None, quit_signal: int
    ) -> int:
        """Start a server that ends immediately on `quit_signal`; its output is appended to `log`."""
        user, group = account or (None, None)
        with open(log, "ab") as output:
            process = subprocess.Popen(  # noqa: S603 (the parent says what to run)
                argv,
                cwd=folder,
                env={"PATH": os.defpath, "LC_ALL": "C"},  # no PGHOST or the like of whoever runs us
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=user,
                group=group,
                extra_groups=None if account is None else [],
                umask=0o077,
                start_new_session=True,
                preexec_fn=_end_with(os.getpid(), quit_signal),
            )
        self._children[name] = _Child(process, quit_signal)
        return process.pid

    def exit_code(self, name: str) -> int | None:
        """Return how the server ended (negative: the signal), or None while it runs."""
        self._reap()
        return self._children[name].process.returncode

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the server's main process."""
        self._reap()
        if self._children[name].running:
            self._children[name].process.send_signal(number)

    def signal_tree(self, name: str, number: int) -> None:
        """Send a signal to the server and all its descendants, and wait for their end if it is SIGKILL.

        A process group would not do: each PostgreSQL process leads a session of its own.
        """
        self._reap()
        child = self._children[name]
        if not child.running:
            return
        root, reached = child.process.pid, set[int]()
        if number in (signal.SIGKILL, signal.SIGSTOP):
            os.kill(root, signal.SIGSTOP)  # it forks no more while its children are looked for
        while found := set(descendants(root)) - reached:
            for pid in found:
                _send(pid, number)
            reached |= found
        _send(root, number)
        if number == signal.SIGKILL:
            self._wait(lambda: not any(exists(pid) for pid in (root, *reached)), KILL_S)

    def end(self) -> None:
        """End every server, gently only as far as that is quick, and remove the temporary folders."""
        for name, child in self._children.items():
            self.signal(name, child.quit)
            self.signal_tree(name, signal.SIGCONT)
        self._wait(lambda: not any(child.running for child in self._children.values()), QUIT_S)
        for name in self._children:
            self.signal_tree(name, signal.SIGKILL)
        for orphan in descendants(os.getpid()):  # what a server started and left to itself, as Patroni does
            _send(orphan, signal.SIGKILL)
        for folder in self._temporary:
            _release_shared_memory(Path(folder))
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self, done: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self._reap()
            if done():
                return
            time.sleep(0.002)

    def _reap(self) -> None:
        """Collect what has ended, including orphans of servers that were killed."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for child in self._children.values():
                    if child.process.pid == pid:
                        child.process.returncode = os.waitstatus_to_exitcode(status)

    def serve(self, parent: int) -> None:
        """Answer requests until the parent is gone."""
        while True:
            ready, _, _ = select.select([sys.stdin], [], [], PARENT_CHECK_S)
            self._reap()
            # A forked child of the parent may hold the pipe open after the parent's death.
            if os.getppid() != parent:
                return
            if ready:
                line = sys.stdin.buffer.readline()
                if not line:
                    return
                print(json.dumps(self._answer(json.loads(line))), flush=True)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": getattr(self, request.pop("do"))(**request)}
        except (OSError, subprocess.SubprocessError, KeyError) as error:
            return {"error": f"{type(error).__name__}: {error}"}


def _end_with(guard: int, quit_signal: int) -> Callable[[], None]:
    """Have the kernel (Linux) end a child of a killed guard; runs after the change of user, which clears that."""

    def prepare() -> None:
        if _LINUX:
            _libc.prctl(_PR_SET_PDEATHSIG, quit_signal, 0, 0, 0)
        if os.getppid() != guard:
            os._exit(1)

    return prepare


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def exists(pid: int) -> bool:
    """Say whether there is a process with this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # of another user
        return True
    return True


def descendants(root: int) -> Iterator[int]:
    """Yield the ids of the processes that a process started, directly or not."""
    children: dict[int, list[int]] = {}
    for pid, parent in _processes():
        children.setdefault(parent, []).append(pid)
    waiting = [root]
    while waiting:
        found = children.get(waiting.pop(), [])
        waiting += found
        yield from found


def _processes() -> Iterator[tuple[int, int]]:
    """Yield the id of every process and that of its parent."""
    if not _LINUX:
        listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, check=True, timeout=5)  # noqa: S607 (POSIX; PATH is the system's)
        for line in listing.stdout.splitlines():
            pid, parent = line.split()
            yield int(pid), int(parent)
        return
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                stat = Path("/proc", entry, "stat").read_bytes()
                yield int(entry), int(stat[stat.rindex(b")") + 2 :].split()[1])


def _release_shared_memory(folder: Path) -> None:
    """Free the System V segment that a killed PostgreSQL leaves; line 7 of postmaster.pid names it."""
    for path in folder.glob("**/postmaster.pid"):
        lines = path.read_text().splitlines()
        if len(lines) > 6 and len(lines[6].split()) == 2:
            _libc.shmctl(int(lines[6].split()[1]), _IPC_RMID, None)


def main() -> None:
    """Serve the parent named by the first argument; the others are folders to remove at the end."""
    signal.signal(signal.SIGTERM, lambda *_: cast(None, sys.exit()))
    guard = Guard(sys.argv[2:])
    try:
        with contextlib.suppress(BrokenPipeError):
            guard.serve(int(sys.argv[1]))
    finally:
        guard.end()


if __name__ == "__main__":
    main()
