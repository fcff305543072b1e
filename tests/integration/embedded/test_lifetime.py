"""Servers end with whoever started them, however that went, and lasting data are found again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from entresol.embedded import CacheKind, EmbeddedServers, folders
from entresol.embedded.guard import descendants
from entresol.embedded.polling import until
from entresol.errors import ConfigurationError, ServerStartError
from entresol.testing.plugin import run

pytestmark = pytest.mark.timeout(60)
GONE_S = 10.0


class Parent:
    """A process that started servers, the processes below it, and the folders of sockets and data."""

    def __init__(self, *arguments: str) -> None:
        script = Path(__file__).with_name("parent.py")
        self.process = subprocess.Popen([sys.executable, script, *arguments], stdout=PIPE, text=True)
        assert self.process.stdout is not None
        with self.process.stdout as output:
            fork, *folders = output.readline().split()
        self.fork = int(fork)
        self.folders = [Path(folder) for folder in folders]
        self.below = set(descendants(self.process.pid)) - {self.fork}

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(GONE_S)

    def leaves_nothing(self, timeout_s: float = GONE_S) -> bool:
        async def has_left_nothing() -> bool:
            return self.nothing_is_left()

        return run(until(has_left_nothing, timeout_s))

    def nothing_is_left(self) -> bool:
        return not any(folder.exists() for folder in self.folders) and not any(map(is_alive, self.below))


def is_alive(pid: int) -> bool:
    """Whoever inherits orphans need not collect them: a zombie is dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_killed_parent_leaves_nothing() -> None:
    parent = Parent("")
    assert len(parent.below) > 10  # a guard, two PostgreSQL with their processes, Redis
    parent.end(signal.SIGKILL)
    assert parent.leaves_nothing()


def test_a_killed_parent_leaves_nothing_even_if_a_fork_of_it_lives_on() -> None:
    parent = Parent("", "fork")
    try:
        parent.end(signal.SIGKILL)
        assert parent.leaves_nothing()
        assert is_alive(parent.fork)
    finally:
        os.kill(parent.fork, signal.SIGKILL)


def test_ctrl_c_leaves_nothing() -> None:
    parent = Parent("")
    parent.end(signal.SIGINT)
    assert parent.leaves_nothing(timeout_s=0)


def test_servers_end_even_when_their_guard_is_killed() -> None:
    parent = Parent("")
    guard = min(parent.below)
    os.kill(guard, signal.SIGKILL)

    async def servers_are_gone() -> bool:
        return not any(map(is_alive, parent.below))

    assert run(until(servers_are_gone, GONE_S))
    parent.end(signal.SIGKILL)
    for folder in parent.folders:
        shutil.rmtree(folder)


async def test_data_outlive_a_stop(folder: Path) -> None:
    async with await EmbeddedServers.start(folder, replicas=1, cache=CacheKind.NONE) as servers:
        await servers.psql("CREATE TABLE kept (number int); INSERT INTO kept VALUES (1)")
        assert servers.cache_url == ""
    async with await EmbeddedServers.start(folder, replicas=2, cache=CacheKind.NONE) as servers:
        assert [await replica.psql("TABLE kept") for replica in servers.replicas] == ["1", "1"]


async def test_data_outlive_a_killed_parent(folder: Path) -> None:
    parent = await asyncio.to_thread(Parent, str(folder))
    await asyncio.to_thread(parent.end, signal.SIGKILL)
    # No waiting: the next start does, for as long as the guard of the last one holds the lock.
    async with await EmbeddedServers.start(folder, replicas=1, durable=True) as servers:
        assert await servers.replicas[0].psql("TABLE kept") == "1"


async def test_data_outlive_a_stop_in_a_folder_that_is_closed_to_other_users(
    closed_folder: Path,
) -> None:
    for expected in ("1", "2"):
        async with await EmbeddedServers.start(closed_folder, replicas=0, cache=CacheKind.NONE) as servers:
            await servers.psql("CREATE TABLE IF NOT EXISTS kept (); INSERT INTO kept DEFAULT VALUES")
            assert await servers.psql("SELECT count(*) FROM kept") == expected


async def test_a_folder_in_use_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "LOCK_WAIT_S", 0.1)
    async with await EmbeddedServers.start(folder, replicas=0, cache=CacheKind.NONE):
        with pytest.raises(ConfigurationError, match=f"other servers run in {folder}; stop them"):
            await EmbeddedServers.start(folder)


async def test_a_lock_left_by_a_server_whose_process_id_is_in_use_again_is_no_obstacle(folder: Path) -> None:
    async with await EmbeddedServers.start(folder, replicas=0, cache=CacheKind.NONE) as servers:
        lock = servers.primary.data / "postmaster.pid"
    lock.write_text(f"{os.getpid()}\n{lock.parent}\n")
    async with await EmbeddedServers.start(folder, replicas=0, cache=CacheKind.NONE) as servers:
        assert await servers.psql("SELECT 1") == "1"


async def test_a_server_that_does_not_start_says_why(folder: Path) -> None:
    async with await EmbeddedServers.start(folder, replicas=0, cache=CacheKind.NONE) as servers:
        settings = servers.primary.data / "postgresql.conf"
    settings.write_text("nonsense")
    with pytest.raises(ServerStartError, match=r"(?s)primary ended while it started.*log.*syntax error"):
        await EmbeddedServers.start(folder, replicas=0, cache=CacheKind.NONE)
    settings.write_text("")
    async with await EmbeddedServers.start(folder, replicas=0, cache=CacheKind.NONE):
        pass
