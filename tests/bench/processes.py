"""Processes of a benchmark: started on their core, ended by their id, and asked how much CPU they used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STOP_TIMEOUT_S = 15.0
RUN_TIMEOUT_S = 60.0
LINE_SIZE_BYTES_MAX = 1 << 20
_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark cannot give figures; the text says why."""


@dataclass(frozen=True)
class Cores:
    """Who runs where: the system under test on `server`; stores, load and this process on `others`."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def share(cls) -> Cores:
        """Give the server the first core and the others the rest, this process among them."""
        available = sorted(os.sched_getaffinity(0))
        others = frozenset(available[1:]) or frozenset(available)
        os.sched_setaffinity(0, others)
        return cls(frozenset(available[:1]), others)


def free_address() -> str:
    """Return a loopback address that nothing listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"127.0.0.1:{listener.getsockname()[1]}"


async def run_to_end(
    arguments: Sequence[str], environment: Mapping[str, str], timeout_s: float = RUN_TIMEOUT_S
) -> None:
    """Run one command and raise BenchError with its output when it fails."""
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(timeout_s):
        output, _ = await process.communicate()
    if process.returncode:
        raise BenchError(f"{' '.join(arguments)} failed:\n{output.decode(errors='replace')}")


@contextlib.asynccontextmanager
async def started(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    on_cores: frozenset[int],
    *,
    talks: bool = False,
) -> AsyncIterator[Process]:
    """Run a command for the length of the block; it prints to `log`, or over its pipes if it `talks`."""
    pipe = asyncio.subprocess.PIPE
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=pipe if talks else asyncio.subprocess.DEVNULL,
            stdout=pipe if talks else output,
            stderr=output,
            limit=LINE_SIZE_BYTES_MAX,
        )
    os.sched_setaffinity(process.pid, on_cores)
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()


def cpu_s(roots: Sequence[int]) -> float:
    """Return the CPU seconds of these processes and all their descendants, those that ended included."""
    return sum(_own_cpu_s(pid) + reaped_cpu_s(pid) for pid in _tree(roots))


def memory_mib(roots: Sequence[int]) -> float:
    """Return the resident memory of these processes and all their descendants (proc(5), smaps_rollup)."""
    return round(sum(_memory_kib(pid) for pid in _tree(roots)) / 1024, 1)


def _memory_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Rss:")), 0)


def children(pid: int) -> list[int]:
    """Return the processes that this one has started and that run still."""
    return _tree([pid])[1:]


def _tree(roots: Sequence[int]) -> list[int]:
    tree = list(roots)
    for pid in tree:
        with contextlib.suppress(OSError):  # it has ended meanwhile
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                tree += map(int, task.read_text().split())
    return tree


def parent_of(pid: int) -> int | None:
    """Return the id of the process that started `pid`; None of one that does not run here."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third on (proc(5)); none when the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _own_cpu_s(pid: int) -> float:
    """Return the CPU seconds of one process and all its threads (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def reaped_cpu_s(pid: int) -> float:
    """Return the CPU seconds of the descendants that a process has had and waited for."""
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) / _CLOCK_TICKS_PER_S if fields else 0.0
